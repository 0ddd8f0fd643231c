/* The kernels with the processor's SHA instructions (Intel SHA Extensions; AVX for its forms of three
 * operands, which save the copies).
 *
 * An instruction does two rounds on a state held as two registers, (A, B, E, F) and (C, D, G, H),
 * highest lane first; it takes four cycles, but another may begin in each. So STREAMS independent
 * hashes run side by side, stream after stream in steps of a group: four message words, four
 * rounds. The words are made one step before their rounds, so that neither waits for the other. */
#include "pow.h"

#ifdef MISOCOIN_POW_X86

#include "digests.h"

#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("sha,avx")))
#define OP static inline __attribute__((always_inline, target("sha,avx")))
#define UNROLLED _Pragma("GCC unroll 16")
#define STREAMS 4
#define EACH UNROLLED for (int s = 0; s < STREAMS; s++)

typedef struct {
    __m128i abef[STREAMS], cdgh[STREAMS];
} states;

OP __m128i words4(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3)
{
    return _mm_setr_epi32((int)w0, (int)w1, (int)w2, (int)w3);
}

OP __m128i load4(const uint32_t *words) { return _mm_loadu_si128((const __m128i *)words); }
OP __m128i group_k(int group) { return load4(misocoin_sha256_k + 4 * group); }
OP __m128i abef_of(const uint32_t s[8]) { return words4(s[5], s[4], s[1], s[0]); }
OP __m128i cdgh_of(const uint32_t s[8]) { return words4(s[7], s[6], s[3], s[2]); }

/* Four rounds of all streams, each with its own words (constants added). */
OP void four_rounds(states *state, const __m128i kw[STREAMS])
{
    EACH {
        state->cdgh[s] = _mm_sha256rnds2_epu32(state->cdgh[s], state->abef[s], kw[s]);
        state->abef[s] = _mm_sha256rnds2_epu32(state->abef[s], state->cdgh[s],
                                               _mm_shuffle_epi32(kw[s], 0x0E));
    }
}

/* Four rounds of all streams with the same words. */
OP void four_shared_rounds(states *state, __m128i kw)
{
    EACH state->cdgh[s] = _mm_sha256rnds2_epu32(state->cdgh[s], state->abef[s], kw);
    kw = _mm_shuffle_epi32(kw, 0x0E);
    EACH state->abef[s] = _mm_sha256rnds2_epu32(state->abef[s], state->cdgh[s], kw);
}

/* Words t - 7 of a group, from the two groups before it. */
OP __m128i seventh_back(__m128i newest, __m128i older) { return _mm_alignr_epi8(newest, older, 4); }

/* A group from the four before it, oldest first. */
OP __m128i next_group(__m128i g0, __m128i g1, __m128i g2, __m128i g3)
{
    return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(g0, g1), seventh_back(g3, g2)),
                                g3);
}

/* Four rounds of all streams with the words of one group, while those of group `next` are made. */
OP void rounds_and_group(states *state, __m128i kw[STREAMS], __m128i g[STREAMS][4], int next)
{
    const int i = next & 3;

    EACH {
        const __m128i now = kw[s];

        g[s][i] = next_group(g[s][i], g[s][(i + 1) & 3], g[s][(i + 2) & 3], g[s][(i + 3) & 3]);
        kw[s] = _mm_add_epi32(g[s][i], group_k(next));
        state->cdgh[s] = _mm_sha256rnds2_epu32(state->cdgh[s], state->abef[s], now);
        state->abef[s] = _mm_sha256rnds2_epu32(state->abef[s], state->cdgh[s],
                                               _mm_shuffle_epi32(now, 0x0E));
    }
}

/* -- block headers -------------------------------------------------------------------------- */

/* Groups 4 to 7 of a header's second block; groups 1 to 3 are padding, so most terms are gone. */
OP void header_groups(const header_job *job, uint32_t nonce_word, __m128i g[4])
{
    uint32_t mix0 = (nonce_word >> 7 | nonce_word << 25) ^ (nonce_word >> 18 | nonce_word << 14) ^
                    nonce_word >> 3;

    g[0] = words4(job->w16, job->w17, job->w18 + mix0, job->w19 + nonce_word);
    g[1] = _mm_sha256msg2_epu32(words4(0x80000000u, 0, 640, job->w16), g[0]);
    g[2] = _mm_sha256msg2_epu32(seventh_back(g[1], g[0]), g[1]);
    g[3] = next_group(words4(0, 0, 0, 640), g[0], g[1], g[2]);
}

/* The second hash of each stream's digest; hits as bits, where its last word is zero under a mask. */
OP int header_second_hash(states *state, __m128i mask)
{
    const __m128i g2 = words4(0x80000000u, 0, 0, 0), g3 = words4(0, 0, 0, 256);
    __m128i g[STREAMS][4], kw[STREAMS];
    __m128i low, high;

    /* The digest's words A B C D and E F G H, lowest lane first. */
    EACH {
        __m128 abef = _mm_castsi128_ps(state->abef[s]), cdgh = _mm_castsi128_ps(state->cdgh[s]);
        g[s][0] = _mm_castps_si128(_mm_shuffle_ps(abef, cdgh, 0xBB));
        g[s][1] = _mm_castps_si128(_mm_shuffle_ps(abef, cdgh, 0x11));
    }
    EACH state->abef[s] = abef_of(misocoin_sha256_initial);
    EACH state->cdgh[s] = cdgh_of(misocoin_sha256_initial);
    EACH kw[s] = _mm_add_epi32(g[s][0], group_k(0));
    four_rounds(state, kw);
    EACH kw[s] = _mm_add_epi32(g[s][1], group_k(1));
    four_rounds(state, kw);
    four_shared_rounds(state, _mm_add_epi32(g2, group_k(2)));

    /* Groups 4 to 7, shortened by the padding in groups 2 and 3. */
    EACH g[s][0] = _mm_sha256msg2_epu32(_mm_sha256msg1_epu32(g[s][0], g[s][1]), g3);
    four_shared_rounds(state, _mm_add_epi32(g3, group_k(3)));
    EACH g[s][1] = _mm_sha256msg2_epu32(
        _mm_add_epi32(_mm_sha256msg1_epu32(g[s][1], g2), seventh_back(g[s][0], g3)), g[s][0]);
    EACH kw[s] = _mm_add_epi32(g[s][0], group_k(4));
    four_rounds(state, kw);
    EACH g[s][2] = _mm_sha256msg2_epu32(_mm_add_epi32(g2, seventh_back(g[s][1], g[s][0])), g[s][1]);
    EACH kw[s] = _mm_add_epi32(g[s][1], group_k(5));
    four_rounds(state, kw);
    EACH kw[s] = _mm_add_epi32(g[s][2], group_k(6));
    EACH g[s][3] = g3;
    UNROLLED
    for (int next = 7; next < 16; next++)
        rounds_and_group(state, kw, g, next);

    /* The last word is register E after round 60, which rounds 60 and 61 leave in F. */
    EACH state->cdgh[s] = _mm_sha256rnds2_epu32(state->cdgh[s], state->abef[s], kw[s]);
    low = _mm_unpacklo_epi32(state->cdgh[0], state->cdgh[1]);
    high = _mm_unpacklo_epi32(state->cdgh[2], state->cdgh[3]);
    low = _mm_add_epi32(_mm_unpacklo_epi64(low, high),
                        _mm_set1_epi32((int)misocoin_sha256_initial[7]));
    low = _mm_cmpeq_epi32(_mm_and_si128(low, mask), _mm_setzero_si128());
    return _mm_movemask_ps(_mm_castsi128_ps(low));
}

OP void start_header(states *state, int s, const header_version *version, uint32_t nonce_word)
{
    state->abef[s] = abef_of(version->started);
    state->abef[s] = _mm_add_epi32(state->abef[s], words4(0, nonce_word, 0, nonce_word));
    state->cdgh[s] = cdgh_of(version->started);
}

/* Rounds 4 to 15, whose words are padding. */
OP void header_padding_rounds(states *state)
{
    four_shared_rounds(state, _mm_add_epi32(words4(0x80000000u, 0, 0, 0), group_k(1)));
    four_shared_rounds(state, group_k(2));
    four_shared_rounds(state, _mm_add_epi32(words4(0, 0, 0, 640), group_k(3)));
}

OP void finish_header(states *state, int s, const header_version *version)
{
    state->abef[s] = _mm_add_epi32(state->abef[s], abef_of(version->midstate));
    state->cdgh[s] = _mm_add_epi32(state->cdgh[s], cdgh_of(version->midstate));
}

/* One version: a nonce in each stream. */
static TARGET uint64_t search_nonces(const header_job *job, uint64_t first, uint64_t count)
{
    const header_version *version = job->versions;
    const __m128i mask = _mm_set1_epi32((int)job->mask);

    for (uint64_t at = 0; at < count; at += STREAMS) {
        states state;
        __m128i g[STREAMS][4], kw[STREAMS];
        int hits;

        EACH {
            uint32_t nonce_word = misocoin_swap32((uint32_t)(first + at) + (uint32_t)s);
            start_header(&state, s, version, nonce_word);
            header_groups(job, nonce_word, g[s]);
        }
        header_padding_rounds(&state);
        UNROLLED
        for (int i = 4; i < 7; i++) {
            EACH kw[s] = _mm_add_epi32(g[s][i & 3], group_k(i));
            four_rounds(&state, kw);
        }
        EACH kw[s] = _mm_add_epi32(g[s][3], group_k(7));
        UNROLLED
        for (int next = 8; next < 16; next++)
            rounds_and_group(&state, kw, g, next);
        four_rounds(&state, kw);
        EACH finish_header(&state, s, version);
        hits = header_second_hash(&state, mask);
        for (uint64_t number = at; hits != 0; number++, hits >>= 1)
            if ((hits & 1) && number < count && misocoin_header_wins(job, first + number))
                return number;
    }
    return NOTHING;
}

/* Several versions: a version in each stream, the nonce and its message schedule shared. */
static TARGET uint64_t search_versions(const header_job *job, uint64_t first, uint64_t count)
{
    const uint64_t versions = job->version_count;
    const __m128i mask = _mm_set1_epi32((int)job->mask);

    for (uint64_t nonce = first / versions; nonce * versions < first + count; nonce++) {
        const uint32_t nonce_word = misocoin_swap32((uint32_t)nonce);
        __m128i g[4], kw[16];

        header_groups(job, nonce_word, g);
        UNROLLED
        for (int i = 4; i < 8; i++)
            kw[i] = _mm_add_epi32(g[i & 3], group_k(i));
        UNROLLED
        for (int i = 8; i < 16; i++) {
            g[i & 3] = next_group(g[i & 3], g[(i + 1) & 3], g[(i + 2) & 3], g[(i + 3) & 3]);
            kw[i] = _mm_add_epi32(g[i & 3], group_k(i));
        }
        for (uint64_t base = 0; base < versions; base += STREAMS) {
            const header_version *version[STREAMS];
            states state;
            int hits;

            EACH version[s] = &job->versions[base + s < versions ? base + s : base];
            EACH start_header(&state, s, version[s], nonce_word);
            header_padding_rounds(&state);
            UNROLLED
            for (int i = 4; i < 16; i++)
                four_shared_rounds(&state, kw[i]);
            EACH finish_header(&state, s, version[s]);
            hits = header_second_hash(&state, mask);
            for (uint64_t index = base; hits != 0 && index < versions; index++, hits >>= 1) {
                uint64_t number = nonce * versions + index;
                if ((hits & 1) && number >= first && number - first < count &&
                    misocoin_header_wins(job, number))
                    return number - first;
            }
        }
    }
    return NOTHING;
}

static uint64_t header_search(const header_job *job, uint64_t first, uint64_t count)
{
    return job->version_count == 1 ? search_nonces(job, first, count)
                                   : search_versions(job, first, count);
}

/* -- hashcash ------------------------------------------------------------------------------- */

/* A block of the stretch in each stream, sixteen words as four groups. `order` is how the words of
 * a group lie: _MM_SHUFFLE(3, 2, 1, 0) lowest lane first, as SHA-256 wants it. */
typedef struct {
    __m128i words[4];  /* without the low digits */
    __m128i places[4]; /* a byte shuffle that brings the low digits' two words to theirs */
} stretch_block;

OP void load_stretch_block(const hashcash_stretch *stretch, size_t block, bool is_reversed,
                           stretch_block *loaded)
{
    unsigned char places[4][16];

    memset(places, 0x80, sizeof places); /* a byte of zeros */
    for (int part = 0; part < 2; part++) {
        int word = stretch->low_word + part;
        int lane = is_reversed ? 3 - word % 4 : word % 4;
        if ((size_t)word / 16 == block)
            for (int i = 0; i < 4; i++)
                places[word % 16 / 4][4 * lane + i] = (unsigned char)(4 * part + i);
    }
    for (int i = 0; i < 4; i++) {
        __m128i words = load4(stretch->blocks + block * 16 + 4 * i);
        loaded->words[i] = is_reversed ? _mm_shuffle_epi32(words, 0x1B) : words;
        loaded->places[i] = _mm_loadu_si128((const __m128i *)places[i]);
    }
}

/* The low digits' two words, for one value of them. */
OP __m128i low_digits(const hashcash_stretch *stretch, uint64_t value)
{
    return _mm_set_epi64x(0, (long long)((uint64_t)stretch->low[1][value] << 32 |
                                         stretch->low[0][value]));
}

OP __m128i stretch_group(const stretch_block *block, int group, __m128i low)
{
    return _mm_or_si128(block->words[group], _mm_shuffle_epi8(low, block->places[group]));
}

/* Whichever of the streams' first words, in the highest lanes, are zero under a mask: as bits. */
OP int first_words_zero(const __m128i first[STREAMS], uint32_t mask)
{
    __m128i words = _mm_unpackhi_epi64(_mm_unpackhi_epi32(first[0], first[1]),
                                       _mm_unpackhi_epi32(first[2], first[3]));

    words = _mm_and_si128(words, _mm_set1_epi32((int)mask));
    return _mm_movemask_ps(
        _mm_castsi128_ps(_mm_cmpeq_epi32(words, _mm_setzero_si128())));
}

OP uint64_t lowest_hit(int hits, uint64_t at, uint64_t count)
{
    uint64_t number = at + (uint64_t)__builtin_ctz((unsigned int)hits);
    return number < count ? number : NOTHING;
}

static TARGET uint64_t sha256_search(const hashcash_stretch *stretch, uint64_t first, uint64_t count)
{
    const int skipped = stretch->low_word / 4; /* groups before the low digits' */
    uint32_t started[8];
    stretch_block blocks[3]; /* the two that low digits may lie in, and one of the rest */

    memcpy(started, stretch->state, sizeof started);
    misocoin_sha256_rounds(started, stretch->blocks, 0, 4 * skipped);
    load_stretch_block(stretch, 0, false, &blocks[0]);
    if (stretch->block_count > 1)
        load_stretch_block(stretch, 1, false, &blocks[1]);
    for (uint64_t at = 0; at < count; at += STREAMS) {
        states before, state;
        __m128i low[STREAMS], g[STREAMS][4], kw[STREAMS];
        int hits;

        EACH low[s] = low_digits(stretch, first + at + (uint64_t)s);
        EACH before.abef[s] = abef_of(stretch->state);
        EACH before.cdgh[s] = cdgh_of(stretch->state);
        EACH state.abef[s] = abef_of(started);
        EACH state.cdgh[s] = cdgh_of(started);
        for (size_t block = 0; block < stretch->block_count; block++) {
            const stretch_block *words = &blocks[block < 2 ? block : 2];

            if (block > 1)
                load_stretch_block(stretch, block, false, &blocks[2]);
            UNROLLED
            for (int i = 0; i < 4; i++) {
                EACH g[s][i] = stretch_group(words, i, low[s]);
                EACH kw[s] = _mm_add_epi32(g[s][i], group_k(i));
                if (i < 3 && (block != 0 || i >= skipped))
                    four_rounds(&state, kw);
            }
            UNROLLED
            for (int next = 4; next < 16; next++)
                rounds_and_group(&state, kw, g, next);
            four_rounds(&state, kw);
            EACH state.abef[s] = before.abef[s] = _mm_add_epi32(state.abef[s], before.abef[s]);
            EACH state.cdgh[s] = before.cdgh[s] = _mm_add_epi32(state.cdgh[s], before.cdgh[s]);
        }
        hits = first_words_zero(state.abef, stretch->mask);
        if (hits != 0)
            return lowest_hit(hits, at, count);
    }
    return NOTHING;
}

/* SHA-1: a state is (A, B, C, D), highest lane first, and E in the highest lane of another register;
 * a group's words lie highest lane first too. `e[s]` holds E and the words of the group to come. */
OP __m128i sha1_next_group(__m128i g0, __m128i g1, __m128i g2, __m128i g3)
{
    return _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(g0, g1), g2), g3);
}

/* Four rounds of a stream; E for the next four is in the old state, and misses a rotation that
 * sha1nexte makes up for. */
#define SHA1_FOUR_ROUNDS(abcd, e, function)                                                        \
    do {                                                                                           \
        const __m128i before = abcd;                                                               \
        abcd = _mm_sha1rnds4_epu32(abcd, e, function);                                             \
        e = before;                                                                                \
    } while (0)

/* Groups `from` to `to` - 1, whose rounds have one function of the four. */
#define SHA1_GROUPS(from, to, function)                                                            \
    UNROLLED                                                                                       \
    for (int i = from; i < to; i++)                                                                \
        EACH {                                                                                     \
            g[s][i & 3] = sha1_next_group(g[s][i & 3], g[s][(i + 1) & 3], g[s][(i + 2) & 3],       \
                                          g[s][(i + 3) & 3]);                                      \
            e[s] = _mm_sha1nexte_epu32(e[s], g[s][i & 3]);                                         \
            SHA1_FOUR_ROUNDS(abcd[s], e[s], function);                                             \
        }

static TARGET uint64_t sha1_search(const hashcash_stretch *stretch, uint64_t first, uint64_t count)
{
    const int skipped = stretch->low_word / 4;
    uint32_t started[5];
    stretch_block blocks[3];

    memcpy(started, stretch->state, sizeof started);
    misocoin_sha1_rounds(started, stretch->blocks, 0, 4 * skipped);
    load_stretch_block(stretch, 0, true, &blocks[0]);
    if (stretch->block_count > 1)
        load_stretch_block(stretch, 1, true, &blocks[1]);
    for (uint64_t at = 0; at < count; at += STREAMS) {
        __m128i low[STREAMS], g[STREAMS][4], abcd[STREAMS], e[STREAMS];
        __m128i abcd_before[STREAMS], e_before[STREAMS];
        bool is_first = true; /* of its groups: E is added, not taken from the old A */
        int hits;

        EACH low[s] = low_digits(stretch, first + at + (uint64_t)s);
        EACH abcd_before[s] = words4(stretch->state[3], stretch->state[2], stretch->state[1],
                                     stretch->state[0]);
        EACH e_before[s] = words4(0, 0, 0, stretch->state[4]);
        EACH abcd[s] = words4(started[3], started[2], started[1], started[0]);
        EACH e[s] = words4(0, 0, 0, started[4]);
        for (size_t block = 0; block < stretch->block_count; block++) {
            const stretch_block *words = &blocks[block < 2 ? block : 2];

            if (block > 1)
                load_stretch_block(stretch, block, true, &blocks[2]);
            UNROLLED
            for (int i = 0; i < 4; i++) {
                EACH g[s][i] = stretch_group(words, i, low[s]);
                if (block == 0 && i < skipped)
                    continue;
                EACH {
                    e[s] = is_first ? _mm_add_epi32(e[s], g[s][i])
                                    : _mm_sha1nexte_epu32(e[s], g[s][i]);
                    SHA1_FOUR_ROUNDS(abcd[s], e[s], 0);
                }
                is_first = false;
            }
            SHA1_GROUPS(4, 5, 0)
            SHA1_GROUPS(5, 10, 1)
            SHA1_GROUPS(10, 15, 2)
            SHA1_GROUPS(15, 20, 3)
            EACH abcd[s] = abcd_before[s] = _mm_add_epi32(abcd[s], abcd_before[s]);
            EACH e[s] = e_before[s] = _mm_sha1nexte_epu32(e[s], e_before[s]);
            is_first = true;
        }
        hits = first_words_zero(abcd, stretch->mask);
        if (hits != 0)
            return lowest_hit(hits, at, count);
    }
    return NOTHING;
}

const pow_kernel misocoin_kernel_shani = {
    "sha-ni", header_search, NULL, sha1_search, sha256_search,
};

#endif
