/*
 * door.h - who may speak to the gateway, and how: looked at before any body
 *
 * Loopback is no wall: every user of this machine and every web page that is
 * open in the browser can connect to it. So each request passes these, in this
 * order, and the first that fails answers (the words are its `code`):
 *
 *   400  bad-target         not a path, or a control character or NUL in it
 *        bad-head           a line that others may read in another way
 *        repeated-header    there twice, but must be there once
 *        repeated-parameter the same behind '?'
 *        transfer-encoding  bodies come with a Content-Length
 *        bad-length         a Content-Length that isn't a number
 *        no-host
 *   421  wrong-host         a foreign name that leads to 127.0.0.1 (DNS
 *                           rebinding)
 *   403  foreign-page       the browser says that another site's page is asking
 *   401  no-key             the API without the key that only our link has
 *   404  no-such-path
 *   405  wrong-method       Allow says which are right
 *   400  unexpected-body    where none belongs
 *   411  no-length   413  too-long   415  wrong-type
 *
 * It sees no sockets: a request is what the gateway has collected of it.
 * Rests on: RFC 9110 and 9112; Fetch Metadata (Sec-Fetch-Site).
 */
#ifndef IPCLAB_WEB_DOOR_H
#define IPCLAB_WEB_DOOR_H

#include "reply.h"

#define DOOR_KEY 64 /* hexadecimal digits of the key */

/* What a path takes. */
struct door_path {
    const char *methods; /* "GET, POST": as the header Allow says it */
    size_t body_max;     /* bytes of a body; 0 = none belongs here */
    bool calendar;       /* text/calendar is welcome beside JSON */
};

/* A header, or a parameter behind '?'. */
struct door_pair {
    const char *name, *value; /* value NULL: there was no '=' */
};

struct door_pairs {
    const struct door_pair *at;
    size_t count;
};

/* A request's head; its path and its parameters are decoded. */
struct door_request {
    const char *method, *path;
    struct door_pairs headers, query;
    size_t target; /* bytes of it, as it came */
    size_t size;   /* bytes of the whole head, with its empty line */
};

struct door {
    unsigned port;
    char key[DOOR_KEY + 1];
};

/* The first look, before anybody knows the path: REPLY_OK, or what refuses
 * it. */
enum refusal door_look(const struct door *d, const struct door_request *rq);

/* The second one, with what `path` takes (NULL: there is no such path). */
enum refusal door_enter(const struct door *d, const struct door_request *rq,
                        const struct door_path *path);

/* The body's length, bytes, that the head announces; 0 if none, SIZE_MAX if
 * nobody wants so much. After door_look. */
size_t door_length(const struct door_request *rq);

/* The value under a name, "" for none, or NULL: there is no such name. Names
 * of headers are the same in any case (RFC 9110, 5.1). */
const char *door_header(const struct door_request *rq, const char *name);
const char *door_query(const struct door_pairs *query, const char *name);

/* A key from getrandom(2). 0, or -errno. */
int door_make_key(char key[DOOR_KEY + 1]);

#endif
