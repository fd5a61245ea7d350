/* fnv.h - FNV-1a, 64 bits: a small hash of bytes; no guard against an enemy */
#ifndef IPCLAB_FNV_H
#define IPCLAB_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV_START 0xcbf29ce484222325u

/* Bytes in parts: hand the last result in as h; FNV_START first. */
static inline uint64_t fnv(uint64_t h, const void *bytes, size_t len)
{
    const unsigned char *b = bytes;

    for (size_t i = 0; i < len; i++)
        h = (h ^ b[i]) * 0x100000001b3u;
    return h;
}

#endif
