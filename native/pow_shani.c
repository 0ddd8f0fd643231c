/* The kernels with the SHA instructions of x86 (Intel SHA Extensions; AVX for its forms of three
 * operands, which save the copies). */
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

typedef __m128i group;

OP group group_of(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3)
{
    return _mm_setr_epi32((int)w0, (int)w1, (int)w2, (int)w3);
}

OP group load_group(const uint32_t *words) { return _mm_loadu_si128((const __m128i *)words); }
OP group add_groups(group x, group y) { return _mm_add_epi32(x, y); }
OP group or_groups(group x, group y) { return _mm_or_si128(x, y); }
OP group place_bytes(group x, group places) { return _mm_shuffle_epi8(x, places); }

/* -- SHA-256: a state is (A, B, E, F) and (C, D, G, H), highest lane first ------------------- */

typedef struct {
    __m128i abef, cdgh;
} sha256_state;

OP sha256_state sha256_state_of(const uint32_t s[8])
{
    return (sha256_state){group_of(s[5], s[4], s[1], s[0]), group_of(s[7], s[6], s[3], s[2])};
}

OP sha256_state sha256_add(sha256_state x, sha256_state y)
{
    return (sha256_state){_mm_add_epi32(x.abef, y.abef), _mm_add_epi32(x.cdgh, y.cdgh)};
}

OP sha256_state sha256_add_to_ae(sha256_state x, uint32_t word)
{
    return (sha256_state){_mm_add_epi32(x.abef, group_of(0, word, 0, word)), x.cdgh};
}

OP uint32_t sha256_first_word(const sha256_state *state)
{
    return (uint32_t)_mm_extract_epi32(state->abef, 3);
}

OP void sha256_digest(const sha256_state *state, group g[2])
{
    const __m128 abef = _mm_castsi128_ps(state->abef), cdgh = _mm_castsi128_ps(state->cdgh);

    g[0] = _mm_castps_si128(_mm_shuffle_ps(abef, cdgh, _MM_SHUFFLE(2, 3, 2, 3)));
    g[1] = _mm_castps_si128(_mm_shuffle_ps(abef, cdgh, _MM_SHUFFLE(0, 1, 0, 1)));
}

/* Two rounds turn the registers so far that the new A, B, E, F take the place of C, D, G, H. */
OP void sha256_rounds(sha256_state *state, group kw)
{
    state->cdgh = _mm_sha256rnds2_epu32(state->cdgh, state->abef, kw);
    state->abef = _mm_sha256rnds2_epu32(state->abef, state->cdgh, _mm_shuffle_epi32(kw, 0x0E));
}

OP void sha256_shared_rounds(sha256_state state[STREAMS], group kw)
{
    EACH state[s].cdgh = _mm_sha256rnds2_epu32(state[s].cdgh, state[s].abef, kw);
    kw = _mm_shuffle_epi32(kw, 0x0E);
    EACH state[s].abef = _mm_sha256rnds2_epu32(state[s].abef, state[s].cdgh, kw);
}

/* H after round 63 is E after round 60, which rounds 60 and 61 leave in F. */
OP uint32_t sha256_last_word(const sha256_state *state, group kw)
{
    return (uint32_t)_mm_cvtsi128_si32(_mm_sha256rnds2_epu32(state->cdgh, state->abef, kw));
}

OP group sha256_begin_group(group g0, group g1) { return _mm_sha256msg1_epu32(g0, g1); }

OP group sha256_end_group(group begun, group g2, group g3)
{
    return _mm_sha256msg2_epu32(_mm_add_epi32(begun, _mm_alignr_epi8(g3, g2, 4)), g3);
}

/* -- SHA-1: a state is (A, B, C, D), highest lane first, and E in the highest lane of another - */

#define SHA1_REVERSED true

typedef struct {
    __m128i abcd, e; /* e is kept two bits to the left: sha1nexte turns it by thirty more */
} sha1_state;

OP __m128i sha1_turn(__m128i x, int left)
{
    return _mm_or_si128(_mm_slli_epi32(x, left), _mm_srli_epi32(x, 32 - left));
}

OP sha1_state sha1_state_of(const uint32_t s[5])
{
    return (sha1_state){group_of(s[3], s[2], s[1], s[0]),
                        group_of(0, 0, 0, s[4] << 2 | s[4] >> 30)};
}

OP sha1_state sha1_add(sha1_state x, sha1_state y)
{
    const __m128i e = _mm_sha1nexte_epu32(x.e, sha1_turn(y.e, 30));
    return (sha1_state){_mm_add_epi32(x.abcd, y.abcd), sha1_turn(e, 2)};
}

OP uint32_t sha1_first_word(const sha1_state *state)
{
    return (uint32_t)_mm_extract_epi32(state->abcd, 3);
}

/* After four rounds the old A is E, turned by thirty bits. */
OP void sha1_rounds(sha1_state *state, group words, int function)
{
    const __m128i e = _mm_sha1nexte_epu32(state->e, words);

    state->e = state->abcd;
    switch (function) { /* an immediate operand */
    case 0: state->abcd = _mm_sha1rnds4_epu32(state->abcd, e, 0); break;
    case 1: state->abcd = _mm_sha1rnds4_epu32(state->abcd, e, 1); break;
    case 2: state->abcd = _mm_sha1rnds4_epu32(state->abcd, e, 2); break;
    default: state->abcd = _mm_sha1rnds4_epu32(state->abcd, e, 3); break;
    }
}

OP group sha1_next_group(group g0, group g1, group g2, group g3)
{
    return _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(g0, g1), g2), g3);
}

#include "pow_streams.h"

const pow_kernel misocoin_kernel_shani = {
    "sha-ni", header_search, NULL, sha1_search, sha256_search,
};

#endif
