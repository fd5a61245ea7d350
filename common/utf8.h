/*
 * utf8.h - one character at a time
 */
#ifndef IPCLAB_UTF8_H
#define IPCLAB_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The first character of the `len` bytes at `s` into *point: its length in
 * bytes, or 0 when it isn't valid UTF-8 (RFC 3629: over-long forms,
 * surrogates, beyond U+10FFFF, cut off) or len is 0. */
size_t utf8_next(const char *s, size_t len, uint32_t *point);

#endif
