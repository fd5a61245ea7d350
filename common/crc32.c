/*
 * crc32.c - CRC-32, eight bytes a step ("slicing by 8")
 *
 * One table gives what one byte does to the checksum. Table k gives what a
 * byte does that has k more bytes behind it, so eight bytes are looked up
 * independently of each other and the CPU overlaps the eight loads. The FIFO
 * chapter checks every message, so this is on the measured path.
 */
#include "crc32.h"

#include "bytes.h"

#include <pthread.h>

#define POLYNOMIAL 0xEDB88320u

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        table[0][i] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (int i = 0; i < 256; i++) {
            uint32_t prev = table[k - 1][i];
            table[k][i] = (prev >> 8) ^ table[0][prev & 0xff];
        }
    }
}

uint32_t crc32_of(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint32_t crc = 0xffffffffu;

    (void)pthread_once(&table_once, make_table); /* fails on bad args only */
    for (; len >= 8; p += 8, len -= 8) {
        uint32_t lo = crc ^ get32(p), hi = get32(p + 4);
        crc = table[7][lo & 0xff] ^ table[6][lo >> 8 & 0xff] ^
              table[5][lo >> 16 & 0xff] ^ table[4][lo >> 24] ^
              table[3][hi & 0xff] ^ table[2][hi >> 8 & 0xff] ^
              table[1][hi >> 16 & 0xff] ^ table[0][hi >> 24];
    }
    for (; len > 0; p++, len--)
        crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
    return ~crc;
}
