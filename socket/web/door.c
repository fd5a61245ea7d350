/*
 * door.c - see door.h
 *
 * Why a header may be there only once: two readers of the same request, one of
 * which takes the first and one the last, are how requests are smuggled. The
 * library takes what it likes; we take none.
 *
 * It needs _DEFAULT_SOURCE for getrandom.
 */
#define _DEFAULT_SOURCE
#include "door.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

enum {
    BAD_REQUEST = 400,
    UNAUTHORIZED = 401,
    FORBIDDEN = 403,
    NOT_FOUND = 404,
    NOT_ALLOWED = 405,
    LENGTH_REQUIRED = 411,
    TOO_LARGE = 413,
    WRONG_TYPE = 415,
    MISDIRECTED = 421
};

static int refuse(int status, const char **why, const char *sentence)
{
    *why = sentence;
    return status;
}

static unsigned count_of(const struct door_request *rq, const char *name)
{
    unsigned n = 0;

    for (size_t i = 0; i < rq->count; i++)
        n += strcasecmp(rq->headers[i].name, name) == 0;
    return n;
}

const char *door_header(const struct door_request *rq, const char *name)
{
    for (size_t i = 0; i < rq->count; i++)
        if (strcasecmp(rq->headers[i].name, name) == 0)
            return rq->headers[i].value ? rq->headers[i].value : "";
    return NULL;
}

/* ---- the first look ------------------------------------------------------- */

static bool is_path(const char *target)
{
    if (target[0] != '/')
        return false;
    for (; *target; target++)
        if ((unsigned char)*target < ' ' || *target == 0x7f)
            return false;
    return true;
}

/* Decimal digits only, and not too many of them. */
static bool is_length(const char *text)
{
    size_t n = strspn(text, "0123456789");

    return n > 0 && n < 16 && text[n] == '\0';
}

static bool is_our_host(const struct door *d, const char *host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    char ours[32];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(ours, sizeof ours, "%s:%u", names[i], d->port);
        if (strcasecmp(host, ours) == 0)
            return true;
    }
    return false;
}

/* Another site's page must not even read through the user's browser. Old
 * browsers and programs don't say where they come from: they need the token,
 * as everybody does. */
static bool is_foreign(const struct door_request *rq, const char *host)
{
    const char *site = door_header(rq, "Sec-Fetch-Site");
    const char *origin = door_header(rq, "Origin");
    bool safe = !strcmp(rq->method, "GET") || !strcmp(rq->method, "HEAD");
    bool page = safe && strncmp(rq->target, "/api", 4) != 0;

    if (origin && (strncmp(origin, "http://", 7) != 0 ||
                   strcasecmp(origin + 7, host) != 0))
        return true;
    /* A link on another site may lead to the page: it is only the page. */
    return site && !page && strcmp(site, "same-origin") != 0 &&
           strcmp(site, "none") != 0;
}

int door_look(const struct door *d, const struct door_request *rq,
              const char **why)
{
    static const char *const single[] = {"Host",          "Content-Length",
                                         "Content-Type",  "Origin",
                                         "Authorization", "Sec-Fetch-Site"};
    const char *host = door_header(rq, "Host");
    const char *length = door_header(rq, "Content-Length");

    if (!is_path(rq->target))
        return refuse(BAD_REQUEST, why, "the target isn't a path");
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (count_of(rq, single[i]) > 1)
            return refuse(BAD_REQUEST, why, "a header is there twice");
    if (door_header(rq, "Transfer-Encoding"))
        return refuse(BAD_REQUEST, why,
                      "bodies come with a Content-Length here");
    if (length && !is_length(length))
        return refuse(BAD_REQUEST, why, "Content-Length isn't a number");
    if (!host)
        return refuse(BAD_REQUEST, why, "the header Host is missing");
    if (!is_our_host(d, host))
        return refuse(MISDIRECTED, why, "nobody of this name is here");
    if (is_foreign(rq, host))
        return refuse(FORBIDDEN, why, "another site's page is asking");
    return 0;
}

/* ---- the second one ------------------------------------------------------- */

/* Is `method` one of "GET, POST"? */
static bool is_listed(const char *list, const char *method)
{
    size_t len = strlen(method);

    for (const char *at = list; (at = strstr(at, method)); at += len)
        if ((at == list || at[-1] == ' ') &&
            (at[len] == '\0' || at[len] == ','))
            return true;
    return false;
}

/* In a time that doesn't tell how much of it is right. */
static bool has_token(const struct door *d, const struct door_request *rq)
{
    static const char scheme[] = "Bearer ";
    const char *given = door_header(rq, "Authorization");
    unsigned char differ = 0;

    if (!given || strncasecmp(given, scheme, sizeof scheme - 1) != 0)
        return false;
    given += sizeof scheme - 1;
    if (strlen(given) != DOOR_TOKEN)
        return false;
    for (size_t i = 0; i < DOOR_TOKEN; i++)
        differ |= (unsigned char)(given[i] ^ d->token[i]);
    return differ == 0;
}

/* "application/json", with or without parameters behind it. */
static bool is_type(const char *given, const char *type)
{
    size_t len = strlen(type);

    return given && strncasecmp(given, type, len) == 0 &&
           (given[len] == '\0' || given[len] == ';' || given[len] == ' ');
}

static int check_body(const struct door_request *rq,
                      const struct door_path *path, const char **why)
{
    const char *type = door_header(rq, "Content-Type");
    bool takes = path->body_max > 0 &&
                 (!strcmp(rq->method, "POST") || !strcmp(rq->method, "PUT"));

    if (!takes)
        return door_length(rq) == 0
                   ? 0
                   : refuse(BAD_REQUEST, why, "no body belongs here");
    if (!door_header(rq, "Content-Length"))
        return refuse(LENGTH_REQUIRED, why, "say how long the body is");
    if (door_length(rq) > path->body_max)
        return refuse(TOO_LARGE, why, "the body is too long");
    if (!is_type(type, "application/json") &&
        !(path->calendar && is_type(type, "text/calendar")))
        return refuse(WRONG_TYPE, why,
                      path->calendar ? "send application/json or text/calendar"
                                     : "send application/json");
    return 0;
}

int door_enter(const struct door *d, const struct door_request *rq,
               const struct door_path *path, const char **why)
{
    bool api =
        path ? path->kind == DOOR_API : strncmp(rq->target, "/api", 4) == 0;

    /* Before 404: what is here is nobody else's business. */
    if (api && !has_token(d, rq))
        return refuse(UNAUTHORIZED, why,
                      "open the page by the link that 'ipclab web' printed");
    if (!path)
        return refuse(NOT_FOUND, why, "there is nothing here");
    if (!is_listed(path->methods, rq->method))
        return refuse(NOT_ALLOWED, why, "not with this method");
    return check_body(rq, path, why);
}

size_t door_length(const struct door_request *rq)
{
    const char *text = door_header(rq, "Content-Length");
    size_t len = 0;

    for (; text && *text >= '0' && *text <= '9'; text++)
        len = len * 10 + (size_t)(*text - '0'); /* 15 digits at most */
    return len;
}

int door_make_token(char token[DOOR_TOKEN + 1])
{
    uint8_t bytes[DOOR_TOKEN / 2];
    ssize_t n = getrandom(bytes, sizeof bytes, 0); /* whole: less than 256 */

    if (n != sizeof bytes)
        return n < 0 ? -errno : -EIO;
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}
