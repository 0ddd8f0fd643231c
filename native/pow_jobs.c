/* Preparing block headers and Bitmessage jobs: all that does not depend on the nonce is worked out
 * here, once. And the exact decision about one nonce. */
#include "pow_jobs.h"

#include "digests.h"

#include <stdlib.h>
#include <string.h>

/* The bits that a number of at most `limit` never has. */
static uint64_t bits_above(uint64_t limit)
{
    uint64_t below = limit;

    for (int shift = 1; shift < 64; shift *= 2)
        below |= below >> shift;
    return ~below;
}

static void header_words(const header_job *job, uint32_t nonce_word, uint32_t words[64])
{
    memset(words, 0, 16 * sizeof *words);
    memcpy(words, job->tail, sizeof job->tail);
    words[3] = nonce_word;
    words[4] = 0x80000000u;
    words[15] = 8 * HEADER_BYTES;
}

bool misocoin_prepare_headers(header_job *job, const unsigned char header[HEADER_BYTES],
                              const unsigned char target[32], uint32_t versions)
{
    uint32_t block[16], words[64], version;

    job->versions = calloc(versions, sizeof *job->versions);
    if (job->versions == NULL)
        return false;
    job->version_count = versions;
    for (int i = 0; i < 16; i++)
        block[i] = misocoin_load32(header + 4 * i);
    for (int i = 0; i < 3; i++)
        job->tail[i] = misocoin_load32(header + 64 + 4 * i);
    for (int i = 0; i < 8; i++)
        job->target[i] = misocoin_swap32(misocoin_load32(target + 4 * i));
    job->mask = misocoin_swap32((uint32_t)bits_above(job->target[7]));

    header_words(job, 0, words);
    misocoin_sha256_schedule(words);
    job->w16 = words[16], job->w17 = words[17], job->w18 = words[18], job->w19 = words[19];

    version = misocoin_swap32(block[0]);
    for (uint32_t i = 0; i < versions; i++) {
        header_version *rolled = &job->versions[i];

        block[0] = misocoin_swap32(version ^ i << 13);
        memcpy(rolled->midstate, misocoin_sha256_initial, sizeof rolled->midstate);
        misocoin_sha256_block(rolled->midstate, block);
        memcpy(rolled->started, rolled->midstate, sizeof rolled->started);
        misocoin_sha256_rounds(rolled->started, words, 0, 4);
    }
    return true;
}

void misocoin_release_headers(header_job *job)
{
    free(job->versions);
}

bool misocoin_header_wins(const header_job *job, uint64_t number)
{
    uint32_t words[64], first[8], second[8];
    uint32_t nonce = (uint32_t)(number / job->version_count);

    memcpy(first, job->versions[number % job->version_count].midstate, sizeof first);
    header_words(job, misocoin_swap32(nonce), words);
    misocoin_sha256_block(first, words);
    memset(words, 0, sizeof words);
    memcpy(words, first, sizeof first);
    words[8] = 0x80000000u;
    words[15] = 8 * 32;
    memcpy(second, misocoin_sha256_initial, sizeof second);
    misocoin_sha256_block(second, words);
    for (int i = 7; i >= 0; i--) {
        uint32_t part = misocoin_swap32(second[i]);
        if (part != job->target[i])
            return part < job->target[i];
    }
    return true;
}

static uint64_t ror64(uint64_t x, int n) { return x >> n | x << (64 - n); }
static uint64_t mix0(uint64_t x) { return ror64(x, 1) ^ ror64(x, 8) ^ x >> 7; }
static uint64_t mix1(uint64_t x) { return ror64(x, 19) ^ ror64(x, 61) ^ x >> 6; }

void misocoin_prepare_bitmessage(bitmessage_job *job, const unsigned char initial_hash[64],
                                 uint64_t target)
{
    uint64_t words[80], *w = words, *part = job->schedule;

    memset(words, 0, sizeof words);
    for (int i = 0; i < 8; i++)
        w[1 + i] = misocoin_load64(initial_hash + 8 * i);
    w[9] = 0x8000000000000000u;
    w[15] = 8 * 72;
    memcpy(job->words, words, sizeof job->words);
    memcpy(job->started, misocoin_sha512_initial, sizeof job->started);
    misocoin_sha512_rounds(job->started, words, 0, 1);

    /* Of words 16 to 31, the terms made of constant words; 17, 19 and 21 are constant. */
    part[0] = mix1(w[14]) + w[9] + mix0(w[1]);
    part[1] = mix1(w[15]) + w[10] + mix0(w[2]) + w[1];
    part[2] = w[11] + mix0(w[3]) + w[2];
    part[3] = mix1(part[1]) + w[12] + mix0(w[4]) + w[3];
    part[4] = w[13] + mix0(w[5]) + w[4];
    part[5] = mix1(part[3]) + w[14] + mix0(w[6]) + w[5];
    part[6] = w[15] + mix0(w[7]) + w[6];
    for (int i = 7; i < 15; i++)
        part[i] = mix0(w[i + 1]) + w[i];
    part[15] = w[15];
    job->target = target;
    job->mask = bits_above(target);
}

bool misocoin_bitmessage_wins(const bitmessage_job *job, uint64_t nonce)
{
    uint64_t words[16], first[8], second[8];

    memcpy(words, job->words, sizeof words);
    words[0] = nonce;
    memcpy(first, misocoin_sha512_initial, sizeof first);
    misocoin_sha512_block(first, words);
    memset(words, 0, sizeof words);
    memcpy(words, first, sizeof first);
    words[8] = 0x8000000000000000u;
    words[15] = 8 * 64;
    memcpy(second, misocoin_sha512_initial, sizeof second);
    misocoin_sha512_block(second, words);
    return second[0] <= job->target;
}
