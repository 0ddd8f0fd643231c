/* The kernels with the processor's SHA instructions (Intel SHA Extensions).
 *
 * An instruction does two rounds on a state held as two registers, (A, B, E, F) and (C, D, G, H),
 * highest lane first; it takes four cycles, but another may begin in each. So STREAMS independent
 * hashes run side by side, step by step. A group is four message words, that is four rounds. */
#include "pow.h"

#ifdef MISOCOIN_POW_X86

#include "digests.h"

#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("sha,sse4.1")))
#define OP static inline __attribute__((always_inline, target("sha,sse4.1")))
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
    EACH state->cdgh[s] = _mm_sha256rnds2_epu32(state->cdgh[s], state->abef[s], kw[s]);
    EACH state->abef[s] = _mm_sha256rnds2_epu32(state->abef[s], state->cdgh[s],
                                                _mm_shuffle_epi32(kw[s], 0x0E));
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
    __m128i g[4][STREAMS], kw[STREAMS];
    __m128i low, high;

    /* The digest's words A B C D and E F G H, lowest lane first. */
    EACH {
        __m128 abef = _mm_castsi128_ps(state->abef[s]), cdgh = _mm_castsi128_ps(state->cdgh[s]);
        g[0][s] = _mm_castps_si128(_mm_shuffle_ps(abef, cdgh, 0xBB));
        g[1][s] = _mm_castps_si128(_mm_shuffle_ps(abef, cdgh, 0x11));
    }
    EACH state->abef[s] = abef_of(misocoin_sha256_initial);
    EACH state->cdgh[s] = cdgh_of(misocoin_sha256_initial);
    EACH kw[s] = _mm_add_epi32(g[0][s], group_k(0));
    four_rounds(state, kw);
    EACH kw[s] = _mm_add_epi32(g[1][s], group_k(1));
    four_rounds(state, kw);
    four_shared_rounds(state, _mm_add_epi32(g2, group_k(2)));
    four_shared_rounds(state, _mm_add_epi32(g3, group_k(3)));

    /* Groups 4 to 7, shortened by the padding in groups 2 and 3. */
    EACH g[0][s] = _mm_sha256msg2_epu32(_mm_sha256msg1_epu32(g[0][s], g[1][s]), g3);
    EACH kw[s] = _mm_add_epi32(g[0][s], group_k(4));
    four_rounds(state, kw);
    EACH g[1][s] = _mm_sha256msg2_epu32(
        _mm_add_epi32(_mm_sha256msg1_epu32(g[1][s], g2), seventh_back(g[0][s], g3)), g[0][s]);
    EACH kw[s] = _mm_add_epi32(g[1][s], group_k(5));
    four_rounds(state, kw);
    EACH g[2][s] = _mm_sha256msg2_epu32(_mm_add_epi32(g2, seventh_back(g[1][s], g[0][s])), g[1][s]);
    EACH kw[s] = _mm_add_epi32(g[2][s], group_k(6));
    four_rounds(state, kw);
    EACH g[3][s] = next_group(g3, g[0][s], g[1][s], g[2][s]);
    EACH kw[s] = _mm_add_epi32(g[3][s], group_k(7));
    four_rounds(state, kw);

    UNROLLED
    for (int i = 8; i < 15; i++) {
        EACH g[i & 3][s] = next_group(g[i & 3][s], g[(i + 1) & 3][s], g[(i + 2) & 3][s],
                                      g[(i + 3) & 3][s]);
        EACH kw[s] = _mm_add_epi32(g[i & 3][s], group_k(i));
        four_rounds(state, kw);
    }
    /* The last word is register E after round 60, which rounds 60 and 61 leave in F. */
    EACH g[3][s] = next_group(g[3][s], g[0][s], g[1][s], g[2][s]);
    EACH kw[s] = _mm_add_epi32(g[3][s], group_k(15));
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
        for (int i = 4; i < 8; i++) {
            EACH kw[s] = _mm_add_epi32(g[s][i & 3], group_k(i));
            four_rounds(&state, kw);
        }
        UNROLLED
        for (int i = 8; i < 16; i++) {
            EACH g[s][i & 3] = next_group(g[s][i & 3], g[s][(i + 1) & 3], g[s][(i + 2) & 3],
                                          g[s][(i + 3) & 3]);
            EACH kw[s] = _mm_add_epi32(g[s][i & 3], group_k(i));
            four_rounds(&state, kw);
        }
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

const pow_kernel misocoin_kernel_shani = {
    "sha-ni", header_search, NULL, NULL, NULL,
};

#endif
