/* The kernels with AVX-512 (F and BW): sixteen 32-bit lanes, eight 64-bit lanes. */
#include "pow.h"

#ifdef MISOCOIN_POW_X86

#include "digests.h"

#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw")))
#define UNROLLED _Pragma("GCC unroll 64")
#define OP static inline TARGET

#define LANES32 16
typedef __m512i v32;

/* Truth tables of vpternlog, indexed by the bits of x, y, z. */
#define XOR3 0x96
#define CHOOSE 0xCA
#define MAJORITY 0xE8

OP v32 v_set(uint32_t x) { return _mm512_set1_epi32((int)x); }
OP v32 v_load(const uint32_t *at) { return _mm512_loadu_si512(at); }
OP v32 v_add(v32 x, v32 y) { return _mm512_add_epi32(x, y); }
OP v32 v_xor(v32 x, v32 y) { return _mm512_xor_si512(x, y); }
OP v32 v_or(v32 x, v32 y) { return _mm512_or_si512(x, y); }
OP v32 v_xor3(v32 x, v32 y, v32 z) { return _mm512_ternarylogic_epi32(x, y, z, XOR3); }
OP v32 v_ch(v32 x, v32 y, v32 z) { return _mm512_ternarylogic_epi32(x, y, z, CHOOSE); }
OP v32 v_maj(v32 x, v32 y, v32 z) { return _mm512_ternarylogic_epi32(x, y, z, MAJORITY); }
#define v_shr(x, n) _mm512_srli_epi32(x, n)
#define v_ror(x, n) _mm512_ror_epi32(x, n)

OP v32 v_index(void)
{
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

OP v32 v_swap(v32 x)
{
    const v32 order = _mm512_set4_epi32(0x0C0D0E0F, 0x08090A0B, 0x04050607, 0x00010203);
    return _mm512_shuffle_epi8(x, order);
}

OP uint32_t v_zeros(v32 x, v32 mask) { return _mm512_testn_epi32_mask(x, mask); }

#define LANES64 8
typedef __m512i v64;

OP v64 q_set(uint64_t x) { return _mm512_set1_epi64((long long)x); }
OP v64 q_index(void) { return _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7); }
OP v64 q_add(v64 x, v64 y) { return _mm512_add_epi64(x, y); }
OP v64 q_xor3(v64 x, v64 y, v64 z) { return _mm512_ternarylogic_epi64(x, y, z, XOR3); }
OP v64 q_ch(v64 x, v64 y, v64 z) { return _mm512_ternarylogic_epi64(x, y, z, CHOOSE); }
OP v64 q_maj(v64 x, v64 y, v64 z) { return _mm512_ternarylogic_epi64(x, y, z, MAJORITY); }
OP uint32_t q_zeros(v64 x, v64 mask) { return _mm512_testn_epi64_mask(x, mask); }
#define q_shr(x, n) _mm512_srli_epi64(x, n)
#define q_ror(x, n) _mm512_ror_epi64(x, n)

#include "pow_lanes32.h"
#include "pow_lanes64.h"

const pow_kernel misocoin_kernel_avx512 = {
    "avx512", header_search, bitmessage_search, sha1_search, sha256_search,
};

#endif
