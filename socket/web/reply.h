/*
 * reply.h - an answer of the gateway, while it is being written
 *
 *      reply_open     r->out is a stream into memory
 *        fprintf ...    the body, and r->status; or
 *        reply_error    instead of what is there so far
 *      reply_close    it is whole
 *
 * JSON goes out as text: a list of a million events is never a tree in memory,
 * and a write without memory is remembered by the stream until reply_close
 * asks for it.
 *
 * Rests on: open_memstream(3).
 */
#ifndef IPCLAB_WEB_REPLY_H
#define IPCLAB_WEB_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Why a request isn't done. Each has an HTTP status, one word for programs,
 * and a sentence for people: see the table in reply.c. The words never
 * change. */
enum refusal {
    REPLY_OK = 0, /* it isn't refused */

    /* door.h, gateway.c */
    REPLY_BAD_TARGET,
    REPLY_BAD_HEAD,
    REPLY_REPEATED_HEADER,
    REPLY_REPEATED_PARAMETER,
    REPLY_TRANSFER_ENCODING,
    REPLY_BAD_LENGTH,
    REPLY_NO_HOST,
    REPLY_WRONG_HOST,
    REPLY_FOREIGN_PAGE,
    REPLY_NO_KEY,
    REPLY_NO_SUCH_PATH,
    REPLY_WRONG_METHOD,
    REPLY_UNEXPECTED_BODY,
    REPLY_NO_LENGTH,
    REPLY_TOO_LONG,
    REPLY_WRONG_TYPE,
    REPLY_TOO_MANY_FIELDS,

    /* what was sent */
    REPLY_BAD_JSON,
    REPLY_NOT_AN_OBJECT,
    REPLY_MISSING,
    REPLY_BAD_NUMBER,
    REPLY_BAD_TIME,
    REPLY_END_BEFORE_START,
    REPLY_EMPTY_TITLE,
    REPLY_LONG_TITLE,
    REPLY_BAD_TITLE,
    REPLY_BAD_TOKEN,
    REPLY_BAD_FLAG,
    REPLY_BAD_FORMAT,
    REPLY_NO_SUCH_TRANSPORT,
    REPLY_BAD_FILE,

    /* what became of it */
    REPLY_NO_SUCH_EVENT,
    REPLY_CHANGED,
    REPLY_TOKEN_USED,
    REPLY_UNREACHABLE,
    REPLY_HALF_IMPORTED,
    REPLY_READ_ONLY,
    REPLY_NO_SPACE,
    REPLY_NO_MEMORY
};

/* All zero is a start. */
struct reply {
    FILE *out; /* NULL = not open */
    int status;
    char *body; /* malloc'ed; the caller's after reply_close, to free */
    size_t len;
    const char *type; /* constant; NULL = JSON */
    const char *name; /* of a file to be saved; constant, or NULL */
};

/* Begin. False without memory: then it is status 500, has no body, and isn't
 * to be closed. */
bool reply_open(struct reply *r);

/* Write a JSON string, with its quotes. What isn't UTF-8 is left out: a
 * sentence may have been cut off inside a character. */
void reply_string(FILE *out, const char *text);

/* Throw away what was written since reply_open. */
void reply_rewind(struct reply *r);

/* {code, error, field} instead of what was written. `field` is the member or
 * parameter that is wrong, or NULL; `sentence` NULL = the table's. */
void reply_error(struct reply *r, enum refusal why, const char *field,
                 const char *sentence);

/* The same, but more members may follow, and the object isn't closed. */
void reply_begin_error(struct reply *r, enum refusal why, const char *field,
                       const char *sentence);

/* End. When memory was missing meanwhile: status 500, and no body. */
void reply_close(struct reply *r);

#endif
