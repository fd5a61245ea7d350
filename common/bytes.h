/*
 * bytes.h - numbers as little-endian bytes
 *
 * Byte by byte, so it is right on every machine and for every alignment;
 * compilers make one load or store of it where they can.
 */
#ifndef IPCLAB_BYTES_H
#define IPCLAB_BYTES_H

#include <stdint.h>

static inline void put_le(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t get_le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;

    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

#endif
