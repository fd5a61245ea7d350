/*
 * utf8.c - strict decoding of UTF-8; see utf8.h
 */
#include "utf8.h"

size_t utf8_next(const char *s, size_t len, uint32_t *point)
{
    /* The smallest code point that needs so many bytes: less is over-long,
     * the classic way to smuggle a '/' or a NUL past a check. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)s;
    size_t size;

    if (len == 0)
        return 0;
    if (p[0] < 0x80) {
        *point = p[0];
        return 1;
    }
    size = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc0 || p[0] > 0xf7 || len < size)
        return 0;

    uint32_t v = p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (p[i] & 0x3fu);
    }
    if (v < least[size] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    *point = v;
    return size;
}
