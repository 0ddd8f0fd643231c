/* SHA-1, SHA-256 and SHA-512 of FIPS 180-4, one message block at a time, in plain C: what the fast
 * kernels prepare their work with, and what their hits are checked by. */
#ifndef MISOCOIN_DIGESTS_H
#define MISOCOIN_DIGESTS_H

#include <stdint.h>

extern const uint32_t misocoin_sha1_initial[5];
extern const uint32_t misocoin_sha256_initial[8];
extern const uint64_t misocoin_sha512_initial[8];
extern const uint32_t misocoin_sha256_k[64];
extern const uint64_t misocoin_sha512_k[80];

/* All words of the schedule, from the first sixteen. */
void misocoin_sha1_schedule(uint32_t words[80]);
void misocoin_sha256_schedule(uint32_t words[64]);
void misocoin_sha512_schedule(uint64_t words[80]);

/* Rounds `from` to `to` - 1 of a block's words, without the final addition of the old state. */
void misocoin_sha1_rounds(uint32_t state[5], const uint32_t words[80], int from, int to);
void misocoin_sha256_rounds(uint32_t state[8], const uint32_t words[64], int from, int to);
void misocoin_sha512_rounds(uint64_t state[8], const uint64_t words[80], int from, int to);

/* One block of sixteen words taken into the state. */
void misocoin_sha1_block(uint32_t state[5], const uint32_t block[16]);
void misocoin_sha256_block(uint32_t state[8], const uint32_t block[16]);
void misocoin_sha512_block(uint64_t state[8], const uint64_t block[16]);

static inline uint32_t misocoin_load32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline uint64_t misocoin_load64(const unsigned char *bytes)
{
    return (uint64_t)misocoin_load32(bytes) << 32 | misocoin_load32(bytes + 4);
}

static inline uint32_t misocoin_swap32(uint32_t word)
{
    return word >> 24 | (word >> 8 & 0xFF00) | (word << 8 & 0xFF0000) | word << 24;
}

#endif
