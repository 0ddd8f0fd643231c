/* The kernels with AVX-512 (F and BW): twice sixteen 32-bit lanes, twice eight 64-bit lanes. */
#include "pow.h"

#ifdef MISOCOIN_POW_X86

#include "digests.h"

#include <immintrin.h>
#include <string.h>

/* The sums of a round are written so that the word that comes last is added last. */
#if !defined(__clang__)
#pragma GCC optimize("no-tree-reassoc")
#endif

#define TARGET __attribute__((target("avx512f,avx512bw")))
#define OP static inline TARGET

/* A value is two vectors: one round is a chain of instructions that waits for itself, two of them
 * side by side keep the processor busy. */
typedef struct {
    __m512i x, y;
} pair;

#define PAIR(x_expression, y_expression) ((pair){x_expression, y_expression})

/* Truth tables of vpternlog, indexed by the bits of its three operands. */
#define XOR3 0x96
#define CHOOSE 0xCA
#define MAJORITY 0xE8

OP pair xor3(pair a, pair b, pair c)
{
    return PAIR(_mm512_ternarylogic_epi32(a.x, b.x, c.x, XOR3),
                _mm512_ternarylogic_epi32(a.y, b.y, c.y, XOR3));
}

OP pair choose(pair a, pair b, pair c)
{
    return PAIR(_mm512_ternarylogic_epi32(a.x, b.x, c.x, CHOOSE),
                _mm512_ternarylogic_epi32(a.y, b.y, c.y, CHOOSE));
}

OP pair majority(pair a, pair b, pair c)
{
    return PAIR(_mm512_ternarylogic_epi32(a.x, b.x, c.x, MAJORITY),
                _mm512_ternarylogic_epi32(a.y, b.y, c.y, MAJORITY));
}

#define LANES32 32
typedef pair v32;

OP v32 v_set(uint32_t x) { return PAIR(_mm512_set1_epi32((int)x), _mm512_set1_epi32((int)x)); }
OP v32 v_load(const uint32_t *at)
{
    return PAIR(_mm512_loadu_si512(at), _mm512_loadu_si512(at + 16));
}
OP v32 v_add(v32 a, v32 b) { return PAIR(_mm512_add_epi32(a.x, b.x), _mm512_add_epi32(a.y, b.y)); }
OP v32 v_xor(v32 a, v32 b) { return PAIR(_mm512_xor_si512(a.x, b.x), _mm512_xor_si512(a.y, b.y)); }
OP v32 v_or(v32 a, v32 b) { return PAIR(_mm512_or_si512(a.x, b.x), _mm512_or_si512(a.y, b.y)); }
OP v32 v_xor3(v32 a, v32 b, v32 c) { return xor3(a, b, c); }
OP v32 v_ch(v32 a, v32 b, v32 c) { return choose(a, b, c); }
OP v32 v_maj(v32 a, v32 b, v32 c) { return majority(a, b, c); }
#define v_shr(v, n) PAIR(_mm512_srli_epi32((v).x, n), _mm512_srli_epi32((v).y, n))
#define v_ror(v, n) PAIR(_mm512_ror_epi32((v).x, n), _mm512_ror_epi32((v).y, n))

OP v32 v_index(void)
{
    const __m512i index =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return PAIR(index, _mm512_add_epi32(index, _mm512_set1_epi32(16)));
}

OP v32 v_swap(v32 v)
{
    const __m512i order = _mm512_set4_epi32(0x0C0D0E0F, 0x08090A0B, 0x04050607, 0x00010203);
    return PAIR(_mm512_shuffle_epi8(v.x, order), _mm512_shuffle_epi8(v.y, order));
}

OP uint32_t v_zeros(v32 v, v32 mask)
{
    return (uint32_t)_mm512_testn_epi32_mask(v.x, mask.x) |
           (uint32_t)_mm512_testn_epi32_mask(v.y, mask.y) << 16;
}

#define LANES64 16
typedef pair v64;

OP v64 q_set(uint64_t x)
{
    return PAIR(_mm512_set1_epi64((long long)x), _mm512_set1_epi64((long long)x));
}
OP v64 q_add(v64 a, v64 b) { return PAIR(_mm512_add_epi64(a.x, b.x), _mm512_add_epi64(a.y, b.y)); }
OP v64 q_xor3(v64 a, v64 b, v64 c) { return xor3(a, b, c); }
OP v64 q_ch(v64 a, v64 b, v64 c) { return choose(a, b, c); }
OP v64 q_maj(v64 a, v64 b, v64 c) { return majority(a, b, c); }
#define q_shr(v, n) PAIR(_mm512_srli_epi64((v).x, n), _mm512_srli_epi64((v).y, n))
#define q_ror(v, n) PAIR(_mm512_ror_epi64((v).x, n), _mm512_ror_epi64((v).y, n))

OP v64 q_index(void)
{
    const __m512i index = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    return PAIR(index, _mm512_add_epi64(index, _mm512_set1_epi64(8)));
}

OP uint32_t q_zeros(v64 v, v64 mask)
{
    return (uint32_t)_mm512_testn_epi64_mask(v.x, mask.x) |
           (uint32_t)_mm512_testn_epi64_mask(v.y, mask.y) << 8;
}

#include "pow_lanes32.h"
#include "pow_lanes64.h"

const pow_kernel misocoin_kernel_avx512 = {
    "avx512", header_search, bitmessage_search, sha1_search, sha256_search,
};

#endif
