/* The kernels with AVX2: eight 32-bit lanes, four 64-bit lanes. */
#include "pow.h"

#ifdef MISOCOIN_POW_X86

#include "digests.h"

#include <immintrin.h>
#include <string.h>

/* With sixteen registers the order of instructions decides: scheduled before registers are given
 * out, this file runs a tenth faster (GCC 12, Zen 4). */
#if !defined(__clang__)
#pragma GCC optimize("schedule-insns", "sched-pressure", "no-tree-reassoc")
#endif

#define TARGET __attribute__((target("avx2")))
#define OP static inline TARGET

#define LANES32 8
typedef __m256i v32;

OP v32 v_set(uint32_t x) { return _mm256_set1_epi32((int)x); }
OP v32 v_load(const uint32_t *at) { return _mm256_loadu_si256((const __m256i *)at); }
OP v32 v_index(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
OP v32 v_add(v32 x, v32 y) { return _mm256_add_epi32(x, y); }
OP v32 v_xor(v32 x, v32 y) { return _mm256_xor_si256(x, y); }
OP v32 v_and(v32 x, v32 y) { return _mm256_and_si256(x, y); }
OP v32 v_or(v32 x, v32 y) { return _mm256_or_si256(x, y); }
OP v32 v_shr(v32 x, int n) { return _mm256_srli_epi32(x, n); }
OP v32 v_ror(v32 x, int n) { return v_or(_mm256_srli_epi32(x, n), _mm256_slli_epi32(x, 32 - n)); }
OP v32 v_xor3(v32 x, v32 y, v32 z) { return v_xor(v_xor(x, y), z); }
OP v32 v_ch(v32 x, v32 y, v32 z) { return v_xor(v_and(v_xor(y, z), x), z); }
OP v32 v_maj(v32 x, v32 y, v32 z) { return v_xor(v_and(v_xor(x, y), v_xor(y, z)), y); }

OP v32 v_swap(v32 x)
{
    const v32 order = _mm256_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12,
                                       3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    return _mm256_shuffle_epi8(x, order);
}

OP uint32_t v_zeros(v32 x, v32 mask)
{
    v32 zeros = _mm256_cmpeq_epi32(v_and(x, mask), _mm256_setzero_si256());
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(zeros));
}

#define LANES64 4
typedef __m256i v64;

OP v64 q_set(uint64_t x) { return _mm256_set1_epi64x((long long)x); }
OP v64 q_index(void) { return _mm256_setr_epi64x(0, 1, 2, 3); }
OP v64 q_add(v64 x, v64 y) { return _mm256_add_epi64(x, y); }
OP v64 q_shr(v64 x, int n) { return _mm256_srli_epi64(x, n); }
OP v64 q_ror(v64 x, int n) { return v_or(_mm256_srli_epi64(x, n), _mm256_slli_epi64(x, 64 - n)); }
OP v64 q_xor3(v64 x, v64 y, v64 z) { return v_xor3(x, y, z); }
OP v64 q_ch(v64 x, v64 y, v64 z) { return v_ch(x, y, z); }
OP v64 q_maj(v64 x, v64 y, v64 z) { return v_maj(x, y, z); }

OP uint32_t q_zeros(v64 x, v64 mask)
{
    v64 zeros = _mm256_cmpeq_epi64(v_and(x, mask), _mm256_setzero_si256());
    return (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(zeros));
}

#include "pow_lanes32.h"
#include "pow_lanes64.h"

const pow_kernel misocoin_kernel_avx2 = {
    "avx2", header_search, bitmessage_search, sha1_search, sha256_search,
};

#endif
