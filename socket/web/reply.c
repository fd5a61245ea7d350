/*
 * reply.c - see reply.h
 */
#include "reply.h"

#include "utf8.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    int status;
    const char *code, *sentence;
} refusals[] = {
    [REPLY_BAD_TARGET] = {400, "bad-target", "the target isn't a path"},
    [REPLY_BAD_HEAD] = {400, "bad-head",
                        "a line of the head isn't plain: 'Name: value'"},
    [REPLY_REPEATED_HEADER] = {400, "repeated-header",
                               "a header is there twice"},
    [REPLY_REPEATED_PARAMETER] = {400, "repeated-parameter",
                                  "a parameter is there twice"},
    [REPLY_TRANSFER_ENCODING] = {400, "transfer-encoding",
                                 "bodies come with a Content-Length here"},
    [REPLY_BAD_LENGTH] = {400, "bad-length", "Content-Length isn't a number"},
    [REPLY_NO_HOST] = {400, "no-host", "the header Host is missing"},
    [REPLY_WRONG_HOST] = {421, "wrong-host", "nobody of this name is here"},
    [REPLY_FOREIGN_PAGE] = {403, "foreign-page",
                            "another site's page is asking"},
    [REPLY_NO_KEY] = {401, "no-key",
                      "open the page by the link that 'ipclab web' printed"},
    [REPLY_NO_SUCH_PATH] = {404, "no-such-path", "there is nothing here"},
    [REPLY_WRONG_METHOD] = {405, "wrong-method", "not with this method"},
    [REPLY_UNEXPECTED_BODY] = {400, "unexpected-body", "no body belongs here"},
    [REPLY_NO_LENGTH] = {411, "no-length", "say how long the body is"},
    [REPLY_TOO_LONG] = {413, "too-long", "the body is too long"},
    [REPLY_WRONG_TYPE] =
        {415, "wrong-type",
         "send application/json (a file may be text/calendar)"},
    [REPLY_TOO_MANY_FIELDS] = {431, "too-many-fields",
                               "too many headers or parameters"},
    [REPLY_BAD_JSON] = {400, "bad-json", "the body isn't JSON"},
    [REPLY_NOT_AN_OBJECT] = {400, "not-an-object", "not a JSON object"},
    [REPLY_MISSING] = {400, "missing", "it is missing, or not a string"},
    [REPLY_BAD_NUMBER] =
        {400, "bad-number",
         "it is missing, or not a whole number from 0 to 2^53 - 1"},
    [REPLY_BAD_TIME] =
        {400, "bad-time",
         "not a time like 2026-11-23T09:00:00Z, or no such date"},
    [REPLY_END_BEFORE_START] = {400, "end-before-start",
                                "the end isn't after the start"},
    [REPLY_EMPTY_TITLE] = {400, "empty-title", "the title is empty"},
    [REPLY_LONG_TITLE] = {400, "long-title",
                          "the title is longer than 255 bytes"},
    [REPLY_BAD_TITLE] = {400, "bad-title", "such a title can't be stored"},
    [REPLY_BAD_TOKEN] = {400, "bad-token",
                         "not 16 hexadecimal digits, or all of them 0"},
    [REPLY_BAD_FLAG] = {400, "bad-flag", "it is true or false"},
    [REPLY_BAD_FORMAT] = {400, "bad-format", "it is json or ics"},
    [REPLY_NO_SUCH_TRANSPORT] = {400, "no-such-transport",
                                 "no transport of this name"},
    [REPLY_BAD_FILE] = {422, "bad-file", "the file can't be imported"},
    [REPLY_NO_SUCH_EVENT] = {404, "no-such-event",
                             "there is no such event (any more)"},
    [REPLY_CHANGED] = {409, "changed",
                       "somebody else has changed it meanwhile"},
    [REPLY_TOKEN_USED] = {409, "token-used",
                          "the token was used for another change"},
    [REPLY_UNREACHABLE] = {503, "unreachable", "the store can't be reached"},
    [REPLY_HALF_IMPORTED] = {503, "half-imported",
                             "only a part of the file came in"},
    [REPLY_READ_ONLY] = {503, "read-only",
                         "the journal failed: no more changes"},
    [REPLY_NO_SPACE] = {507, "no-space", "there is no room"},
    [REPLY_NO_MEMORY] = {500, "no-memory", "the gateway has no memory left"},
};

bool reply_open(struct reply *r)
{
    r->out = open_memstream(&r->body, &r->len);
    r->status = r->out ? 200 : 500;
    return r->out != NULL;
}

void reply_rewind(struct reply *r)
{
    (void)fseeko(r->out, 0, SEEK_SET); /* unlike rewind, it keeps an error */
}

void reply_string(FILE *out, const char *text)
{
    const char *end = text + strlen(text);
    uint32_t c;

    fputc('"', out);
    for (size_t n; text < end; text += n ? n : 1) {
        n = utf8_next(text, (size_t)(end - text), &c);
        if (n == 1 && (c < ' ' || c == '"' || c == '\\' || c == 0x7f))
            fprintf(out, "\\u%04x", (unsigned)c);
        else
            (void)fwrite(text, 1, n, out); /* reply_close sees an error */
    }
    fputc('"', out);
}

void reply_begin_error(struct reply *r, enum refusal why, const char *field,
                       const char *sentence)
{
    reply_rewind(r);
    r->status = refusals[why].status;
    fprintf(r->out, "{\"code\": \"%s\", \"error\": ", refusals[why].code);
    reply_string(r->out, sentence ? sentence : refusals[why].sentence);
    fputs(", \"field\": ", r->out);
    if (field)
        reply_string(r->out, field);
    else
        fputs("null", r->out);
}

void reply_error(struct reply *r, enum refusal why, const char *field,
                 const char *sentence)
{
    reply_begin_error(r, why, field, sentence);
    fputc('}', r->out);
}

void reply_close(struct reply *r)
{
    bool broken = ferror(r->out) != 0;

    broken |= fclose(r->out) != 0;
    r->out = NULL;
    if (!broken)
        return;
    r->status = 500;
    free(r->body);
    r->body = NULL;
    r->len = 0;
}
