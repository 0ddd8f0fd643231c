/* The search for nonces: what a job is, and what a kernel does with it.
 *
 * pow.c takes puzzles from Python, pow_jobs.c and pow_hashcash.c prepare them, and a kernel
 * searches. Vectors with a nonce in each lane are searched by pow_lanes32.h and pow_lanes64.h,
 * which pow_c.c (one lane), pow_avx2.c and pow_avx512.c give their vectors; instructions for SHA
 * itself by pow_streams.h, to which pow_shani.c and pow_armv8.c give theirs. A kernel compares one
 * word of the digest; what passes is decided by the plain C of digests.c, and again by hashlib in
 * Python. */
#ifndef MISOCOIN_POW_H
#define MISOCOIN_POW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && defined(__x86_64__)
#define MISOCOIN_POW_X86 1
#elif defined(__GNUC__) && defined(__aarch64__) && defined(__AARCH64EL__)
/* Clang before 16 has the intrinsics only where all code may use them, as on Apple's machines. */
#if !defined(__clang__) || __clang_major__ >= 16 || defined(__ARM_FEATURE_SHA2)
#define MISOCOIN_POW_ARMV8 1
#endif
#endif

#define MOST_LANES 32 /* of any kernel: tables are padded by as many entries */

/* -- block headers: the double SHA-256 of 80 bytes ----------------------------------------- */

typedef struct {
    uint32_t midstate[8]; /* after the first 64 bytes */
    uint32_t started[8];  /* after rounds 0 to 3 of the rest; the nonce's word is missing in a, e */
} header_version;

typedef struct {
    header_version *versions; /* version i: its bits from 13 up differ from the first's by i */
    uint32_t version_count;
    uint32_t tail[3];         /* bytes 64 to 75: the words before the nonce's */
    uint32_t w16, w17;        /* of the schedule: these do not depend on the nonce, */
    uint32_t w18, w19;        /* and of these this part does not */
    uint32_t mask;            /* bits of the digest's last word that no winner has */
    uint32_t target[8];       /* least significant word first */
} header_job;

/* Number n is header nonce n / version_count, version n % version_count. */
bool misocoin_header_wins(const header_job *job, uint64_t number);

/* -- Bitmessage: the double SHA-512 of 72 bytes -------------------------------------------- */

typedef struct {
    uint64_t words[16];   /* the first block; word 0 is the nonce's */
    uint64_t started[8];  /* after round 0; the nonce is missing in a and e */
    uint64_t schedule[16]; /* of words 16 to 31, what does not depend on the nonce */
    uint64_t mask;        /* bits of the trial value that no winner has */
    uint64_t target;
} bitmessage_job;

bool misocoin_bitmessage_wins(const bitmessage_job *job, uint64_t nonce);

/* -- hashcash: SHA-1 or SHA-256 of a text with a counter ------------------------------------ */

enum stamp_digest { STAMP_SHA1 = 0, STAMP_SHA256 = 1 };

/* The counter's last digits run through a table while everything before them stays: a stretch.
 * The kernel sees the blocks from the first of these digits to the end of the padding. */
typedef struct {
    uint32_t *blocks;       /* block_count * 16 words, the low digits left zero */
    size_t block_count;
    uint32_t state[8];      /* before these blocks */
    int low_word;           /* the low digits lie in this word and the next */
    const uint32_t *low[2]; /* per value of the low digits: what to put in these two words */
    uint32_t mask;          /* bits of the digest's first word that must be zero */
} hashcash_stretch;

struct hashcash_job;
bool misocoin_hashcash_wins(const struct hashcash_job *job, uint64_t number);

/* -- kernels -------------------------------------------------------------------------------- */

#define NOTHING UINT64_MAX

/* Each looks at `count` numbers from `first` on and answers the lowest winner's distance from
 * `first`, or NOTHING. For hashcash, `first` counts values of the low digits, and only the mask is
 * compared: the caller decides. */
typedef struct {
    const char *name;
    uint64_t (*header)(const header_job *, uint64_t first, uint64_t count);
    uint64_t (*bitmessage)(const bitmessage_job *, uint64_t first, uint64_t count);
    uint64_t (*sha1)(const hashcash_stretch *, uint64_t first, uint64_t count);
    uint64_t (*sha256)(const hashcash_stretch *, uint64_t first, uint64_t count);
} pow_kernel;

extern const pow_kernel misocoin_kernel_c;
#ifdef MISOCOIN_POW_X86
extern const pow_kernel misocoin_kernel_avx2, misocoin_kernel_avx512, misocoin_kernel_shani;
#elif defined(MISOCOIN_POW_ARMV8)
extern const pow_kernel misocoin_kernel_armv8;
#endif

#endif
