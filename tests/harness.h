/*
 * harness.h - what every test program of the lab shares
 *
 * CUnit keeps the list of cases and their results. What it lacks is here: each
 * case runs in a process group of its own with a deadline, a private runtime
 * folder and data folder; an EXPECT that fails in any process below the case
 * fails the case; a case without a single EXPECT fails; so does one that
 * leaves a process, a descriptor, a runtime file or a shared memory segment
 * behind. Results as JUnit XML and a closing `N passed, N failed`.
 */
#ifndef IPCLAB_HARNESS_H
#define IPCLAB_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_case {
    const char *name; /* unique; "pipe/block/echo-random" */
    void (*run)(const void *arg);
    const void *arg;
    unsigned seconds; /* deadline; 0 = 60 */
};

struct test_suite {
    const char *name; /* "schedule"; also names the JUnit file */
    const struct test_case *cases;
    size_t count;
    /* NULL, or: called in the case's process when it has ended and after it
     * was found clean otherwise, to look for what this suite could leave. */
    void (*leftovers)(const struct test_case *c);
};

/* main() of a test program. IPCLAB_TEST_SLOW=N in the environment gives each
 * case N times as long. Options: -l lists the cases, -k TEXT runs those
 * whose name contains TEXT (may be repeated), -x FILE writes JUnit XML, -v
 * prints every case. Returns the exit code: 0 all passed, 1 not, 64 usage. */
int harness_main(int argc, char **argv, const struct test_suite *suite);

/* The case's private folder (absolute path, empty at the start). */
const char *harness_dir(void);

/* The program `ipclab` that is tested, absolute: $IPCLAB_BIN, or build/ipclab.
 * Exits with 1 and says so when it isn't there. */
const char *harness_ipclab(void);

/* Say that a case was skipped, and why; then return from it. */
void harness_skip(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* EXPECT notes a failure and goes on; REQUIRE ends the process that met it.
 * Any process below the case may use them. */
void harness_check(bool ok, bool fatal, const char *file, int line,
                   const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#define EXPECT(cond)                                                           \
    harness_check((cond), false, __FILE__, __LINE__, "expected %s", #cond)
#define REQUIRE(cond)                                                          \
    harness_check((cond), true, __FILE__, __LINE__, "required %s", #cond)

/* Integers; both are evaluated once. Negative ones are shown with errno's
 * name, since most of them are -errno. */
#define EXPECT_INT(expected, got)                                              \
    harness_int((expected), (got), false, __FILE__, __LINE__, #got)
#define REQUIRE_INT(expected, got)                                             \
    harness_int((expected), (got), true, __FILE__, __LINE__, #got)
void harness_int(long long expected, long long got, bool fatal,
                 const char *file, int line, const char *what);

#define EXPECT_STR(expected, got)                                              \
    harness_str((expected), (got), __FILE__, __LINE__, #got)
void harness_str(const char *expected, const char *got, const char *file,
                 int line, const char *what);

#define EXPECT_BYTES(expected, got, len)                                       \
    harness_bytes((expected), (got), (len), __FILE__, __LINE__, #got)
void harness_bytes(const void *expected, const void *got, size_t len,
                   const char *file, int line, const char *what);

#endif
