/*
 * crc32c: the checksum of that name (Castagnoli's polynomial), as RFC 3720 has it.
 */
#ifndef BANTER_SERVER_NET_CRC32C_H
#define BANTER_SERVER_NET_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on with a sum, which begins as 0, over `size` more bytes. */
static inline uint32_t crc32c(uint32_t sum, const uint8_t *bytes, size_t size)
{
    enum { BITS = 8 };
    const uint32_t reversed_polynomial = 0x82f63b78;
    sum = ~sum;
    for (size_t i = 0; i < size; i++) {
        sum ^= bytes[i];
        for (int bit = 0; bit < BITS; bit++)
            sum = sum >> 1 ^ (sum & 1 ? reversed_polynomial : 0);
    }
    return ~sum;
}

#endif
