/* From puzzles to jobs: what pow.c calls before and after a kernel. */
#ifndef MISOCOIN_POW_JOBS_H
#define MISOCOIN_POW_JOBS_H

#include "pow.h"

#define HEADER_BYTES 80

/* `target` is little-endian. False where memory is short; what is prepared must be released. */
bool misocoin_prepare_headers(header_job *job, const unsigned char header[HEADER_BYTES],
                              const unsigned char target[32], uint32_t versions);
void misocoin_release_headers(header_job *job);

void misocoin_prepare_bitmessage(bitmessage_job *job, const unsigned char initial_hash[64],
                                 uint64_t target);

/* A text whose counter's last digits are dealt to the kernels stretch by stretch. */
typedef struct {
    bool is_sha1;
    int bits;                     /* leading zero bits wanted */
    const unsigned char *digits;  /* the counter's alphabet */
    uint64_t base;                /* its size */
    int high_width;               /* digits of the counter that stay during a stretch */
    uint64_t low_count;           /* values of the digits that do not */
    uint32_t *low;                /* both tables of the stretch, one after the other */
    unsigned char *message;       /* prefix, counter, suffix and padding */
    unsigned char *high_digits;   /* where the counter begins in it */
    size_t first_block, low_block; /* in it: of the counter's first digit, and first low digit */
    uint32_t prefix_state[8];     /* before the first of these */
    uint64_t high;                /* the high digits' value in the stretch at hand */
    hashcash_stretch stretch;
} hashcash_job;

/* Wants 2 to 64 digits and a counter of 1 to 64 of them. */
bool misocoin_prepare_hashcash(hashcash_job *job, bool is_sha1, const unsigned char *prefix,
                               size_t prefix_size, const unsigned char *suffix, size_t suffix_size,
                               const unsigned char *digits, int base, int width, int bits);
void misocoin_release_hashcash(hashcash_job *job);

/* The kernels' contract for numbers that may lie in several stretches; what is found does win. */
uint64_t misocoin_search_hashcash(hashcash_job *job, const pow_kernel *kernel, uint64_t first,
                                  uint64_t count);

#endif
