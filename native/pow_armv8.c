/* The kernels with the SHA instructions of ARMv8 (the Cryptographic Extension). */
#include "pow.h"

#ifdef MISOCOIN_POW_ARMV8

#include "digests.h"

#if defined(__clang__)
#define FEATURES "sha2"
#else
#define FEATURES "+crypto"
#pragma GCC push_options
#pragma GCC target("+crypto")
#endif

#include <arm_neon.h>
#include <string.h>

#define TARGET __attribute__((target(FEATURES)))
#define OP static inline __attribute__((always_inline, target(FEATURES)))
#define UNROLLED _Pragma("GCC unroll 16")
#define STREAMS 4
#define EACH UNROLLED for (int s = 0; s < STREAMS; s++)

typedef uint32x4_t group;

OP group load_group(const uint32_t *words) { return vld1q_u32(words); }
OP group add_groups(group x, group y) { return vaddq_u32(x, y); }
OP group or_groups(group x, group y) { return vorrq_u32(x, y); }

OP group group_of(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3)
{
    const uint32_t words[4] = {w0, w1, w2, w3};
    return vld1q_u32(words);
}

OP group place_bytes(group x, group places)
{
    return vreinterpretq_u32_u8(
        vqtbl1q_u8(vreinterpretq_u8_u32(x), vreinterpretq_u8_u32(places)));
}

/* -- SHA-256: a state is (A, B, C, D) and (E, F, G, H), lowest lane first -------------------- */

typedef struct {
    group abcd, efgh;
} sha256_state;

OP sha256_state sha256_state_of(const uint32_t s[8])
{
    return (sha256_state){vld1q_u32(s), vld1q_u32(s + 4)};
}

OP sha256_state sha256_add(sha256_state x, sha256_state y)
{
    return (sha256_state){vaddq_u32(x.abcd, y.abcd), vaddq_u32(x.efgh, y.efgh)};
}

OP sha256_state sha256_add_to_ae(sha256_state x, uint32_t word)
{
    const group lowest = vsetq_lane_u32(word, vdupq_n_u32(0), 0);
    return (sha256_state){vaddq_u32(x.abcd, lowest), vaddq_u32(x.efgh, lowest)};
}

OP uint32_t sha256_first_word(const sha256_state *state) { return vgetq_lane_u32(state->abcd, 0); }

OP void sha256_digest(const sha256_state *state, group g[2])
{
    g[0] = state->abcd;
    g[1] = state->efgh;
}

OP void sha256_rounds(sha256_state *state, group kw)
{
    const group abcd = state->abcd;

    state->abcd = vsha256hq_u32(abcd, state->efgh, kw);
    state->efgh = vsha256h2q_u32(state->efgh, abcd, kw);
}

OP void sha256_shared_rounds(sha256_state state[STREAMS], group kw)
{
    EACH sha256_rounds(&state[s], kw);
}

OP uint32_t sha256_last_word(const sha256_state *state, group kw)
{
    return vgetq_lane_u32(vsha256h2q_u32(state->efgh, state->abcd, kw), 3);
}

OP group sha256_begin_group(group g0, group g1) { return vsha256su0q_u32(g0, g1); }

OP group sha256_end_group(group begun, group g2, group g3)
{
    return vsha256su1q_u32(begun, g2, g3);
}

/* -- SHA-1: a state is (A, B, C, D), lowest lane first, and E -------------------------------- */

#define SHA1_REVERSED false

typedef struct {
    group abcd;
    uint32_t e;
} sha1_state;

OP sha1_state sha1_state_of(const uint32_t s[5]) { return (sha1_state){vld1q_u32(s), s[4]}; }

OP sha1_state sha1_add(sha1_state x, sha1_state y)
{
    return (sha1_state){vaddq_u32(x.abcd, y.abcd), x.e + y.e};
}

OP uint32_t sha1_first_word(const sha1_state *state) { return vgetq_lane_u32(state->abcd, 0); }

OP void sha1_rounds(sha1_state *state, group words, int function)
{
    const uint32_t e = vsha1h_u32(vgetq_lane_u32(state->abcd, 0)); /* after these four rounds */

    switch (function) {
    case 0:
        words = vaddq_u32(words, vdupq_n_u32(0x5A827999u));
        state->abcd = vsha1cq_u32(state->abcd, state->e, words);
        break;
    case 1:
        words = vaddq_u32(words, vdupq_n_u32(0x6ED9EBA1u));
        state->abcd = vsha1pq_u32(state->abcd, state->e, words);
        break;
    case 2:
        words = vaddq_u32(words, vdupq_n_u32(0x8F1BBCDCu));
        state->abcd = vsha1mq_u32(state->abcd, state->e, words);
        break;
    default:
        words = vaddq_u32(words, vdupq_n_u32(0xCA62C1D6u));
        state->abcd = vsha1pq_u32(state->abcd, state->e, words);
        break;
    }
    state->e = e;
}

OP group sha1_next_group(group g0, group g1, group g2, group g3)
{
    return vsha1su1q_u32(vsha1su0q_u32(g0, g1, g2), g3);
}

#include "pow_streams.h"

#if !defined(__clang__)
#pragma GCC pop_options
#endif

const pow_kernel misocoin_kernel_armv8 = {
    "armv8", header_search, NULL, sha1_search, sha256_search,
};

#endif
