/*
 * fuzz_json.c - strict JSON (common/json.c)
 *
 * Two parsers read the same text: our scanner, and cJSON behind it. What the
 * scanner lets through, cJSON must be able to read; what was accepted must be
 * accepted again when cJSON has printed it, and be the same tree.
 */
#include "fuzz.h"

#include "json.h"

#include <stdlib.h>

/* What was refused is refused with a line of the text and a reason. */
static void check_refusal(const uint8_t *data, size_t size, size_t line,
                          const char *why)
{
    size_t lines = 1;

    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    MUST(line >= 1 && line <= lines);
    MUST(why[0] != '\0' && strcmp(why, "no memory to parse it") != 0);
}

/* Does a number begin at `i` with a 0 that it may not begin with? */
static bool has_zero(const uint8_t *text, size_t size, size_t i)
{
    if (i > 0 && strchr("0123456789.eE+-", text[i - 1]) != NULL)
        return false; /* it doesn't begin here */
    i += text[i] == '-';
    return i + 1 < size && text[i] == '0' && text[i + 1] >= '0' &&
           text[i + 1] <= '9';
}

/* What nobody sees in the tree any more. */
static void check_text(const uint8_t *text, size_t size)
{
    bool in_string = false;

    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"') {
            in_string = !in_string;
        } else if (text[i] == '\\') {
            MUST(in_string);
            MUST(size - i < 6 || memcmp(text + i, "\\u0000", 6) != 0);
            i++;
        } else {
            MUST(text[i] >= ' ' || !in_string);
            MUST(in_string || !has_zero(text, size, i));
        }
    }
    MUST(!in_string);
}

/* The calls that take an object's members. */
static void look_inside(const cJSON *tree)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, tree)
    {
        uint64_t v = UINT64_MAX;

        if (item->string == NULL)
            continue;
        MUST(json_string(tree, item->string) == item->valuestring);
        if (json_number(tree, item->string, &v) == 0)
            MUST(v <= 9007199254740991u && (double)v == item->valuedouble);
    }
}

/* A double that was written with an exponent may be printed as an integer that
 * nobody may write: then, and only then, there is no way back. */
static bool is_too_big(const char *why)
{
    return strcmp(why, "an integer beyond 2^53 - 1") == 0;
}

static void print_and_back(const cJSON *tree)
{
    char *text = cJSON_PrintUnformatted(tree), *again, why[80] = "";
    size_t line;
    cJSON *back;

    MUST(text != NULL);
    back = json_parse(text, strlen(text), &line, why, sizeof why);
    MUST(back != NULL || is_too_big(why));
    if (back != NULL) {
        MUST(cJSON_Compare(tree, back, true));
        again = cJSON_PrintUnformatted(back);
        MUST(again != NULL && strcmp(text, again) == 0);
        cJSON_free(again);
    }
    cJSON_Delete(back);
    cJSON_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[80] = "";
    size_t line = 0;
    cJSON *tree = json_parse((const char *)data, size, &line, why, sizeof why);

    if (tree == NULL) {
        check_refusal(data, size, line, why);
        return 0;
    }
    check_text(data, size);
    look_inside(tree);
    print_and_back(tree);
    cJSON_Delete(tree);
    return 0;
}
