/*
 * api_call.c - see api_call.h
 */
#include "api_call.h"

#include "clock.h"
#include "json.h"
#include "timestamp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WHOLE_MAX    9007199254740991u /* 2^53 - 1, as json.h has it */
#define WHOLE_DIGITS 16                /* of that */

bool call_refuse(const struct call *c, enum refusal why, const char *field,
                 const char *sentence)
{
    reply_error(c->reply, why, field, sentence);
    return false;
}

/* ---- arguments ---------------------------------------------------------- */

bool call_string(const struct call *c, const char *field, const char **text)
{
    if (!cJSON_IsObject(c->in))
        return call_refuse(c, REPLY_NOT_AN_OBJECT, NULL, NULL);
    *text = json_string(c->in, field);
    return *text || call_refuse(c, REPLY_MISSING, field, NULL);
}

bool call_time(const struct call *c, const char *field, int64_t *t)
{
    const char *text;

    return call_string(c, field, &text) &&
           (timestamp_parse(text, t) == 0 ||
            call_refuse(c, REPLY_BAD_TIME, field, NULL));
}

bool call_token(const struct call *c, uint64_t *token)
{
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(c->in, "token");
    const char *text = o ? cJSON_GetStringValue(o) : call_query(c, "token");

    *token = client_token();
    if (!o && !text)
        return true;
    *token = 0;
    if (text && strlen(text) == 16 &&
        strspn(text, "0123456789abcdefABCDEF") == 16)
        *token = strtoull(text, NULL, 16);
    return *token != 0 || call_refuse(c, REPLY_BAD_TOKEN, "token", NULL);
}

const char *call_query(const struct call *c, const char *name)
{
    return door_query(&c->rq->query, name);
}

bool call_query_number(const struct call *c, const char *name, uint64_t usual,
                       uint64_t *v)
{
    const char *text = call_query(c, name);
    size_t len = text ? strlen(text) : 0;

    *v = usual;
    if (!text)
        return true;
    *v = UINT64_MAX;
    if (len > 0 && len <= WHOLE_DIGITS && strspn(text, "0123456789") == len)
        *v = strtoull(text, NULL, 10);
    return *v <= WHOLE_MAX || call_refuse(c, REPLY_BAD_NUMBER, name, NULL);
}

bool call_query_time(const struct call *c, const char *name, int64_t usual,
                     int64_t *t)
{
    const char *text = call_query(c, name);

    *t = usual;
    return !text || timestamp_parse(text, t) == 0 ||
           call_refuse(c, REPLY_BAD_TIME, name, NULL);
}

/* ---- the store ---------------------------------------------------------- */

int call_ask(struct call *c, way_request *ask, void *arg)
{
    return way_ask(c->way, ask, arg, &c->journey, c->refusal);
}

void call_fail(const struct call *c, int result)
{
    static const struct {
        int result;
        enum refusal why;
        const char *field;
    } answers[] = {
        {WIRE_NOT_FOUND, REPLY_NO_SUCH_EVENT, NULL},
        {WIRE_BAD_TITLE, REPLY_BAD_TITLE, "title"},
        {WIRE_BAD_TIME, REPLY_END_BEFORE_START, "end"},
        {WIRE_BAD_TOKEN, REPLY_TOKEN_USED, "token"},
        {WIRE_READ_ONLY, REPLY_READ_ONLY, NULL},
        {WIRE_NO_SPACE, REPLY_NO_SPACE, NULL},
    };

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (answers[i].result == result) {
            call_refuse(c, answers[i].why, answers[i].field, c->refusal);
            return;
        }
    call_refuse(c, REPLY_UNREACHABLE, NULL, c->refusal);
}

/* ---- answers ------------------------------------------------------------ */

void call_put_event(FILE *out, const struct event *ev)
{
    char start[TIMESTAMP_SIZE], end[TIMESTAMP_SIZE];

    fprintf(out,
            "\"id\": %" PRIu32 ", \"rev\": %" PRIu64 ", \"title\": ", ev->id,
            ev->rev);
    reply_string(out, ev->title);
    fprintf(out, ", \"start\": \"%s\", \"end\": \"%s\"",
            timestamp_format(ev->start, start), timestamp_format(ev->end, end));
}

static uint64_t span(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

/* Where this request has been, and how long (api.h): the sum of its hops is the
 * time from its arrival here to now. The server's times are those of the last
 * round trip: of several they would tell nothing. */
static void put_hops(const struct call *c, FILE *out)
{
    const struct journey *j = &c->journey;
    const struct wire_stamps *s = &j->stamps;
    bool one = j->trips == 1;
    const struct {
        const char *name;
        uint64_t ns;
        bool been; /* there */
    } hops[] = {
        {"gateway", span(c->rq->begun + j->turns + j->asking, j->done), true},
        {"turn", j->turns, j->turns > 0},
        {"trips", j->asking, !one},
        {"there", span(j->begun, s->received), one},
        {"store", span(s->received, s->handled), one},
        {"journal", span(s->handled, s->synced), one && s->synced},
        {"back", span(s->synced ? s->synced : s->handled, j->done), one},
        {"reply", span(j->done, (uint64_t)clock_now_ns()), true},
    };

    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++)
        if (hops[i].been)
            fprintf(out, "%s{\"hop\": \"%s\", \"ns\": %" PRIu64 "}",
                    i ? ", " : "", hops[i].name, hops[i].ns);
}

void call_put_journey(const struct call *c)
{
    static const char *const waits[] = {
        [TP_BLOCK] = "block", [TP_SPIN] = "spin", [TP_ADAPT] = "adapt"};
    const struct journey *j = &c->journey;
    FILE *out = c->reply->out;
    struct sight sight;

    watch_see(&c->a->watch, &sight);
    fprintf(out,
            "\"journey\": {\"transport\": \"%s\", \"wait\": \"%s\", "
            "\"gateway\": %ld, \"store\": %ld, \"trips\": %u, "
            "\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"hops\": [",
            c->way->t->name, waits[c->way->wait], (long)getpid(), sight.pid,
            j->trips, j->sent_bytes, j->received_bytes);
    put_hops(c, out);
    fputs("]}}", out);
}
