/* Texts with a counter: laying out the message, stretch by stretch. */
#include "digests.h"
#include "pow_jobs.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 64
#define MOST_LOW_DIGITS 5    /* so that they lie in two neighbouring words at most */
#define MOST_LOW_VALUES 4096 /* so that their table stays near */

static void load_block(uint32_t words[16], const unsigned char *bytes)
{
    for (int i = 0; i < 16; i++)
        words[i] = misocoin_load32(bytes + 4 * i);
}

static void take_block(const hashcash_job *job, uint32_t state[8], const uint32_t words[16])
{
    if (job->is_sha1)
        misocoin_sha1_block(state, words);
    else
        misocoin_sha256_block(state, words);
}

static void take_bytes(const hashcash_job *job, uint32_t state[8], size_t from, size_t to)
{
    uint32_t words[16];

    for (size_t block = from; block < to; block++) {
        load_block(words, job->message + block * BLOCK);
        take_block(job, state, words);
    }
}

/* The table: for each value of the low digits, the two words they lie in, all else zero. */
static void fill_table(hashcash_job *job, int low_width, int place)
{
    uint32_t *tables[2] = {job->low, job->low + job->low_count + MOST_LANES};

    for (uint64_t value = 0; value < job->low_count; value++) {
        uint64_t rest = value, words = 0;
        for (int i = low_width - 1; i >= 0; i--, rest /= job->base)
            words |= (uint64_t)job->digits[rest % job->base] << (8 * (7 - place - i));
        tables[0][value] = (uint32_t)(words >> 32);
        tables[1][value] = (uint32_t)words;
    }
    job->stretch.low[0] = tables[0];
    job->stretch.low[1] = tables[1];
}

bool misocoin_prepare_hashcash(hashcash_job *job, bool is_sha1, const unsigned char *prefix,
                               size_t prefix_size, const unsigned char *suffix, size_t suffix_size,
                               const unsigned char *digits, int base, int width, int bits)
{
    const size_t size = prefix_size + (size_t)width + suffix_size;
    const size_t block_count = (size + 1 + 8 + BLOCK - 1) / BLOCK;
    size_t low_at;
    int low_width = 0;

    memset(job, 0, sizeof *job);
    job->is_sha1 = is_sha1;
    job->bits = bits;
    job->digits = digits;
    job->base = (uint64_t)base;
    job->low_count = 1;
    while (low_width < width && low_width < MOST_LOW_DIGITS &&
           job->low_count * job->base <= MOST_LOW_VALUES) {
        job->low_count *= job->base;
        low_width++;
    }
    job->high_width = width - low_width;
    low_at = prefix_size + (size_t)job->high_width;
    job->first_block = prefix_size / BLOCK;
    job->low_block = low_at / BLOCK;
    job->stretch.block_count = block_count - job->low_block;
    job->stretch.low_word = (int)(low_at % BLOCK / 4);
    job->stretch.mask = bits >= 32 ? UINT32_MAX : ~(uint32_t)(UINT32_MAX >> bits);

    job->message = calloc(block_count, BLOCK);
    job->low = calloc(2 * (job->low_count + MOST_LANES), sizeof *job->low);
    job->stretch.blocks = calloc(job->stretch.block_count, BLOCK);
    if (job->message == NULL || job->low == NULL || job->stretch.blocks == NULL) {
        misocoin_release_hashcash(job);
        return false;
    }
    memcpy(job->message, prefix, prefix_size);
    memcpy(job->message + size - suffix_size, suffix, suffix_size);
    job->message[size] = 0x80;
    for (int i = 0; i < 8; i++)
        job->message[block_count * BLOCK - 1 - i] = (unsigned char)((uint64_t)size * 8 >> 8 * i);
    job->high_digits = job->message + prefix_size;
    fill_table(job, low_width, (int)(low_at % 4));

    memcpy(job->prefix_state, is_sha1 ? misocoin_sha1_initial : misocoin_sha256_initial,
           is_sha1 ? sizeof misocoin_sha1_initial : sizeof misocoin_sha256_initial);
    take_bytes(job, job->prefix_state, 0, job->first_block);
    for (size_t i = 1; i < job->stretch.block_count; i++)
        load_block(job->stretch.blocks + 16 * i, job->message + (job->low_block + i) * BLOCK);
    job->high = NOTHING;
    return true;
}

void misocoin_release_hashcash(hashcash_job *job)
{
    free(job->message);
    free(job->low);
    free(job->stretch.blocks);
}

static void begin_stretch(hashcash_job *job, uint64_t high)
{
    uint64_t rest = high;

    for (int i = job->high_width - 1; i >= 0; i--, rest /= job->base)
        job->high_digits[i] = job->digits[rest % job->base];
    memcpy(job->stretch.state, job->prefix_state, sizeof job->prefix_state);
    take_bytes(job, job->stretch.state, job->first_block, job->low_block);
    load_block(job->stretch.blocks, job->message + job->low_block * BLOCK);
    job->high = high;
}

/* Decides about one value of the low digits in the stretch at hand. */
static bool low_value_wins(const hashcash_job *job, uint64_t value)
{
    const hashcash_stretch *stretch = &job->stretch;
    uint32_t state[8], words[16];
    int bits = job->bits;

    memcpy(state, stretch->state, sizeof state);
    for (size_t block = 0; block < stretch->block_count; block++) {
        memcpy(words, stretch->blocks + 16 * block, sizeof words);
        for (int part = 0; part < 2; part++)
            if ((size_t)(stretch->low_word + part) / 16 == block)
                words[(stretch->low_word + part) % 16] |= stretch->low[part][value];
        take_block(job, state, words);
    }
    for (int i = 0; bits > 0; i++, bits -= 32)
        if ((bits >= 32 ? state[i] : state[i] >> (32 - bits)) != 0)
            return false;
    return true;
}

uint64_t misocoin_search_hashcash(hashcash_job *job, const pow_kernel *kernel, uint64_t first,
                                  uint64_t count)
{
    uint64_t (*search)(const hashcash_stretch *, uint64_t, uint64_t) =
        job->is_sha1 ? kernel->sha1 : kernel->sha256;
    uint64_t done = 0;

    while (done < count) {
        uint64_t high = (first + done) / job->low_count, low = (first + done) % job->low_count;
        uint64_t size = job->low_count - low < count - done ? job->low_count - low : count - done;
        uint64_t found;

        if (high != job->high)
            begin_stretch(job, high);
        found = search(&job->stretch, low, size);
        if (found == NOTHING)
            done += size;
        else if (low_value_wins(job, low + found))
            return done + found;
        else
            done += found + 1;
    }
    return NOTHING;
}
