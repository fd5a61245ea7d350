/*
 * crc32.h - CRC-32 (IEEE 802.3: reflected polynomial 0xEDB88320), the one of
 * gzip and PNG. crc32_of("123456789", 9) is 0xcbf43926.
 */
#ifndef IPCLAB_CRC32_H
#define IPCLAB_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of len bytes. Any thread, any time; never fails. */
uint32_t crc32_of(const void *bytes, size_t len);

#endif
