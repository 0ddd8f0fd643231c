/* The kernels in plain C: the lanes of pow_lanes32.h and pow_lanes64.h, one wide. */
#include "digests.h"
#include "pow.h"

#include <string.h>

#define TARGET
#define OP static inline

#define LANES32 1
typedef uint32_t v32;

OP v32 v_set(uint32_t x) { return x; }
OP v32 v_load(const uint32_t *at) { return *at; }
OP v32 v_index(void) { return 0; }
OP v32 v_swap(v32 x) { return misocoin_swap32(x); }
OP v32 v_add(v32 x, v32 y) { return x + y; }
OP v32 v_xor(v32 x, v32 y) { return x ^ y; }
OP v32 v_or(v32 x, v32 y) { return x | y; }
OP v32 v_ror(v32 x, int n) { return x >> n | x << (32 - n); }
OP v32 v_shr(v32 x, int n) { return x >> n; }
OP v32 v_xor3(v32 x, v32 y, v32 z) { return x ^ y ^ z; }
OP v32 v_ch(v32 x, v32 y, v32 z) { return ((y ^ z) & x) ^ z; }
OP v32 v_maj(v32 x, v32 y, v32 z) { return ((x ^ y) & (y ^ z)) ^ y; }
OP uint32_t v_zeros(v32 x, v32 mask) { return (x & mask) == 0; }

#define LANES64 1
typedef uint64_t v64;

OP v64 q_set(uint64_t x) { return x; }
OP v64 q_index(void) { return 0; }
OP v64 q_add(v64 x, v64 y) { return x + y; }
OP v64 q_ror(v64 x, int n) { return x >> n | x << (64 - n); }
OP v64 q_shr(v64 x, int n) { return x >> n; }
OP v64 q_xor3(v64 x, v64 y, v64 z) { return x ^ y ^ z; }
OP v64 q_ch(v64 x, v64 y, v64 z) { return ((y ^ z) & x) ^ z; }
OP v64 q_maj(v64 x, v64 y, v64 z) { return ((x ^ y) & (y ^ z)) ^ y; }
OP uint32_t q_zeros(v64 x, v64 mask) { return (x & mask) == 0; }

#include "pow_lanes32.h"
#include "pow_lanes64.h"

const pow_kernel misocoin_kernel_c = {
    "c", header_search, bitmessage_search, sha1_search, sha256_search,
};
