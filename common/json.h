/*
 * json.h - cJSON, made strict
 *
 * cJSON accepts what a durable file must not: duplicate keys, invalid UTF-8,
 * \u0000 (which cuts the string), bytes behind the value, control characters
 * inside strings, numbers like 01 and integers that a double can't hold. This
 * refuses all of them (RFC 8259, and RFC 7493 for the keys).
 */
#ifndef IPCLAB_JSON_H
#define IPCLAB_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Parse exactly one JSON value of `len` bytes. The tree is the caller's
 * (cJSON_Delete). NULL: *line is the line of the first offence, from 1, and
 * why[cap] one short sentence; *line 0: it may be strict JSON, but there was no
 * memory to parse it.
 */
cJSON *json_parse(const char *text, size_t len, size_t *line, char *why,
                  size_t cap);

/* The string under `key` of an object, or NULL when it is missing or not a
 * string. The tree's. */
const char *json_string(const cJSON *object, const char *key);

/* The whole number 0..2^53-1 under `key` into *v: 0, or -EINVAL. */
int json_number(const cJSON *object, const char *key, uint64_t *v);

#endif
