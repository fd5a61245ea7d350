/*
 * door.c - see door.h
 *
 * The library is easy-going: it takes two Hosts, a Content-Length beside a
 * Transfer-Encoding, and targets that are whole URLs. It stops at a NUL, and at
 * a line like ": x"; a folded line it adds to the header's *name*, and so loses
 * a Content-Length. We take none of them.
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

#define HTTP_PORT     80
#define LENGTH_DIGITS 15 /* of a length; more are too long for any path */

/* ---- pairs -------------------------------------------------------------- */

/* How two names are compared. */
typedef int compare(const char *a, const char *b);

static const char *find(const struct door_pairs *p, const char *name,
                        compare *differ)
{
    for (size_t i = 0; i < p->count; i++)
        if (differ(p->at[i].name, name) == 0)
            return p->at[i].value ? p->at[i].value : "";
    return NULL;
}

static unsigned count_of(const struct door_pairs *p, const char *name,
                         compare *differ)
{
    unsigned n = 0;

    for (size_t i = 0; i < p->count; i++)
        n += differ(p->at[i].name, name) == 0;
    return n;
}

const char *door_header(const struct door_request *rq, const char *name)
{
    return find(&rq->headers, name, strcasecmp);
}

const char *door_query(const struct door_pairs *query, const char *name)
{
    return find(query, name, strcmp);
}

/* ---- the first look ----------------------------------------------------- */

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

/* What a header's name is made of (RFC 9110, 5.6.2). */
static bool is_token(const char *name)
{
    static const char marks[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return *name && name[strspn(name, marks)] == '\0';
}

/* Every line as browsers write it, "Name: value", or "Name:" without one; and
 * all bytes of the head are in what we know of it: nothing was skipped. */
static bool is_plain(const struct door_request *rq)
{
    static const char end[] = " HTTP/1.1\r\n\r\n"; /* or 1.0 */
    size_t size = strlen(rq->method) + 1 + rq->target + sizeof end - 1;

    for (size_t i = 0; i < rq->headers.count; i++) {
        const char *name = rq->headers.at[i].name;
        const char *value = rq->headers.at[i].value;

        if (!is_token(name) || !value || has_control(value))
            return false;
        size += strlen(name) + 1 + (*value != '\0') + strlen(value) + 2;
    }
    return size == rq->size;
}

/* What must not be there twice: two readers of the same request, one of which
 * takes the first and one the last, are how requests are smuggled. */
static bool repeats_header(const struct door_pairs *headers)
{
    static const char *const single[] = {"Host",          "Content-Length",
                                         "Content-Type",  "Origin",
                                         "Authorization", "Sec-Fetch-Site"};

    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (count_of(headers, single[i], strcasecmp) > 1)
            return true;
    return false;
}

static bool repeats_parameter(const struct door_pairs *query)
{
    for (size_t i = 0; i < query->count; i++)
        if (count_of(query, query->at[i].name, strcmp) > 1)
            return true;
    return false;
}

static bool is_length(const char *text)
{
    size_t n = strspn(text, "0123456789");

    return n > 0 && text[n] == '\0';
}

/* Where we listen. HTTP's own port may be left out, and a browser does. */
static bool is_our_host(const struct door *d, const char *host)
{
    static const char *const names[] = {"127.0.0.1", "localhost"};
    char ours[32];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(ours, sizeof ours, "%s:%u", names[i], d->port);
        if (strcasecmp(host, ours) == 0 ||
            (d->port == HTTP_PORT && strcasecmp(host, names[i]) == 0))
            return true;
    }
    return false;
}

static bool is_api(const struct door_request *rq)
{
    return strncmp(rq->path, "/api/", 5) == 0;
}

/* Another site's page must not even read through the user's browser. Old
 * browsers and programs don't say where they come from: they need the key, as
 * everybody does. */
static bool is_foreign(const struct door_request *rq, const char *host)
{
    const char *site = door_header(rq, "Sec-Fetch-Site");
    const char *origin = door_header(rq, "Origin");
    bool safe = !strcmp(rq->method, "GET") || !strcmp(rq->method, "HEAD");
    bool page = safe && !is_api(rq);

    if (origin && (strncmp(origin, "http://", 7) != 0 ||
                   strcasecmp(origin + 7, host) != 0))
        return true;
    /* A link on another site may lead to the page: it is only the page. */
    return site && !page && strcmp(site, "same-origin") != 0 &&
           strcmp(site, "none") != 0;
}

enum refusal door_look(const struct door *d, const struct door_request *rq)
{
    const char *host = door_header(rq, "Host");
    const char *length = door_header(rq, "Content-Length");

    if (rq->path[0] != '/' || has_control(rq->path))
        return REPLY_BAD_TARGET;
    if (!is_plain(rq))
        return REPLY_BAD_HEAD;
    if (repeats_header(&rq->headers))
        return REPLY_REPEATED_HEADER;
    if (repeats_parameter(&rq->query))
        return REPLY_REPEATED_PARAMETER;
    if (door_header(rq, "Transfer-Encoding"))
        return REPLY_TRANSFER_ENCODING;
    if (length && !is_length(length))
        return REPLY_BAD_LENGTH;
    if (!host)
        return REPLY_NO_HOST;
    if (!is_our_host(d, host))
        return REPLY_WRONG_HOST;
    return is_foreign(rq, host) ? REPLY_FOREIGN_PAGE : REPLY_OK;
}

/* ---- the second one ----------------------------------------------------- */

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
static bool has_key(const struct door *d, const struct door_request *rq)
{
    static const char scheme[] = "Bearer ";
    const char *given = door_header(rq, "Authorization");
    unsigned char differ = 0;

    if (!given || strncasecmp(given, scheme, sizeof scheme - 1) != 0)
        return false;
    given += sizeof scheme - 1;
    if (strlen(given) != DOOR_KEY)
        return false;
    for (size_t i = 0; i < DOOR_KEY; i++)
        differ |= (unsigned char)(given[i] ^ d->key[i]);
    return differ == 0;
}

/* "application/json", with or without parameters behind it. */
static bool is_type(const char *given, const char *type)
{
    size_t len = strlen(type);

    return given && strncasecmp(given, type, len) == 0 &&
           (given[len] == '\0' || given[len] == ';' || given[len] == ' ');
}

static enum refusal check_body(const struct door_request *rq,
                               const struct door_path *path)
{
    const char *type = door_header(rq, "Content-Type");
    bool takes = path->body_max > 0 &&
                 (!strcmp(rq->method, "POST") || !strcmp(rq->method, "PUT"));

    if (!takes)
        return door_length(rq) == 0 ? REPLY_OK : REPLY_UNEXPECTED_BODY;
    if (!door_header(rq, "Content-Length"))
        return REPLY_NO_LENGTH;
    if (door_length(rq) > path->body_max)
        return REPLY_TOO_LONG;
    if (is_type(type, "application/json") ||
        (path->calendar && is_type(type, "text/calendar")))
        return REPLY_OK;
    return REPLY_WRONG_TYPE;
}

enum refusal door_enter(const struct door *d, const struct door_request *rq,
                        const struct door_path *path)
{
    /* Before 404: what is here is nobody else's business. */
    if (is_api(rq) && !has_key(d, rq))
        return REPLY_NO_KEY;
    if (!path)
        return REPLY_NO_SUCH_PATH;
    if (!is_listed(path->methods, rq->method))
        return REPLY_WRONG_METHOD;
    return check_body(rq, path);
}

size_t door_length(const struct door_request *rq)
{
    const char *text = door_header(rq, "Content-Length");
    size_t len = 0;

    if (text && strlen(text) > LENGTH_DIGITS)
        return SIZE_MAX;
    for (; text && *text; text++)
        len = len * 10 + (size_t)(*text - '0'); /* door_look: digits only */
    return len;
}

int door_make_key(char key[DOOR_KEY + 1])
{
    uint8_t bytes[DOOR_KEY / 2];
    ssize_t n = getrandom(bytes, sizeof bytes, 0); /* whole: less than 256 */

    if (n != sizeof bytes)
        return n < 0 ? -errno : -EIO;
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(key + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}
