/*
 * crash_run.c - see crash_run.h
 *
 * Each case is a process that calls harness_main with a suite of this one
 * case. What it prints, and its JUnit file, are kept apart in a folder and put
 * together here, in the order in which the cases end.
 */
#include "crash_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS 64

struct job {
    pid_t pid; /* 0 = free */
    const struct test_case *c;
};

struct pool {
    const struct crash_run *run;
    struct job job[JOBS];
    unsigned running, passed, failed;
    char dir[32];
    FILE *cases; /* the middle of the JUnit file; NULL = none */
};

/* A job's file in the folder. */
static void job_path(char path[64], const struct pool *p, const struct job *j,
                     const char *ending)
{
    (void)snprintf(path, 64, "%s/%u.%s", p->dir, (unsigned)(j - p->job),
                   ending);
}

static void job_process(const struct pool *p, const struct job *j)
{
    struct test_suite one = *p->run->suite;
    char out[64], xml[64], x[] = "-x", v[] = "-v", program[200];
    char *argv[] = {program, x, xml, v, NULL};

    job_path(out, p, j, "out");
    job_path(xml, p, j, "xml");
    (void)snprintf(program, sizeof program, "%s", p->run->program);
    one.cases = j->c;
    one.count = 1;
    if (!freopen(out, "w", stdout))
        exit(1);
    optind = 1; /* main has used getopt before */
    exit(harness_main(p->run->verbose ? 4 : 3, argv, &one));
}

/* Copies a file's lines but those that begin with a word of the list, which
 * ends with NULL; then the file has done its work. `to` NULL: nobody asks. */
static void move_lines(FILE *to, const char *path, const char *const *but)
{
    FILE *from = fopen(path, "r"); /* a job that died early has none */
    char line[4096];

    while (to && from && fgets(line, sizeof line, from)) {
        const char *const *word = but;

        while (*word && strncmp(line, *word, strlen(*word)) != 0)
            word++;
        if (!*word)
            (void)fputs(line, to); /* closing `to` tells */
    }
    if (from)
        (void)fclose(from); /* only read */
    (void)unlink(path);     /* likewise, if it exists */
}

static struct job *find_job(struct pool *p, pid_t pid)
{
    struct job *j = p->job;

    while (j < p->job + JOBS - 1 && j->pid != pid)
        j++;
    return j;
}

/* Waits for one case, and says what it said. */
static void reap_job(struct pool *p)
{
    static const char *const frame[] = {"<?xml", "<testsuite", "</testsuite",
                                        NULL};
    char path[64], closing[64];
    const char *const but[] = {closing, p->run->verbose ? NULL : "  skipped",
                               NULL};
    int status = 0;
    pid_t pid = wait(&status);
    struct job *j = find_job(p, pid);

    if (pid <= 0 || j->pid != pid)
        return; /* EINTR */
    (void)snprintf(closing, sizeof closing, "%s: ", p->run->suite->name);
    job_path(path, p, j, "out");
    move_lines(p->run->say, path, but);
    (void)fflush(p->run->say); /* the last line tells */
    job_path(path, p, j, "xml");
    move_lines(p->cases, path, frame);
    if (status == 0)
        p->passed++;
    else
        p->failed++;
    if (p->run->ended)
        p->run->ended(j->c, status == 0);
    j->pid = 0;
    p->running--;
}

static void start_job(struct pool *p, const struct test_case *c)
{
    struct job *j = find_job(p, 0);

    (void)fflush(NULL); /* or the child prints it, too */
    j->c = c;
    j->pid = fork();
    if (j->pid == 0)
        job_process(p, j);
    if (j->pid > 0) {
        p->running++;
    } else {
        j->pid = 0;
        p->failed++;
    }
}

/* The JUnit file: a head that knows the totals, the cases, an end. */
static void write_junit(struct pool *p)
{
    FILE *f = fopen(p->run->xml, "w");
    char line[4096];

    if (!f) {
        fprintf(stderr, "cannot write '%s': %s\n", p->run->xml,
                strerror(errno));
        p->failed++;
        return;
    }
    fprintf(f,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuite name=\"%s\" tests=\"%u\" failures=\"%u\">\n",
            p->run->suite->name, p->passed + p->failed, p->failed);
    rewind(p->cases);
    while (fgets(line, sizeof line, p->cases))
        (void)fputs(line, f);
    fprintf(f, "</testsuite>\n");
    p->failed += fclose(f) != 0;
}

int crash_run(const struct crash_run *run)
{
    static struct pool p;
    const struct test_suite *s = run->suite;

    p = (struct pool){.run = run, .dir = "/tmp/ipclab-crash-XXXXXX"};
    if (!mkdtemp(p.dir)) {
        fprintf(stderr, "%s: cannot make a folder in /tmp\n", run->program);
        return 1;
    }
    p.cases = run->xml ? tmpfile() : NULL;
    for (size_t i = 0; i < s->count; i++) {
        unsigned most;

        if (!run->wanted(&s->cases[i]))
            continue;
        most = run->jobs(&s->cases[i]);
        while (p.running >= (most < JOBS ? most : JOBS - 1))
            reap_job(&p);
        start_job(&p, &s->cases[i]);
    }
    while (p.running)
        reap_job(&p);
    if (p.cases) {
        write_junit(&p);
        (void)fclose(p.cases); /* a temporary file */
    }
    (void)rmdir(p.dir); /* empty: every job's files were removed */
    if (p.passed + p.failed == 0) {
        fprintf(stderr, "%s: no such case\n", run->program);
        return 64;
    }
    fprintf(run->say, "%s: %u passed, %u failed\n", s->name, p.passed,
            p.failed);
    return p.failed ? 1 : 0;
}
