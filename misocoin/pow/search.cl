/* The searches of misocoin/pow for OpenCL devices: one candidate in each work item. FIPS 180-4.
 *
 * The host passes what does not change from item to item, and every kernel leaves in `found` the
 * lowest item below `count` whose first word or two fit; the host decides with hashlib. */

/* Not `rotate`: some compilers call it as a function, all know this form. The arguments of these
 * are written out several times. */
#define ROR32(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define ROR64(x, n) ((x) >> (n) | (x) << (64 - (n)))
#define CHOOSE(x, y, z) ((((y) ^ (z)) & (x)) ^ (z))
#define MAJORITY(x, y, z) ((((x) ^ (y)) & ((y) ^ (z))) ^ (y))

/* Loops written out, as arrays that are indexed by constants alone become registers. */
#define FROM_1_TO_3(STEP) STEP(1) STEP(2) STEP(3)
#define FROM_4_TO_7(STEP) STEP(4) STEP(5) STEP(6) STEP(7)
#define FROM_8_TO_12(STEP) STEP(8) STEP(9) STEP(10) STEP(11) STEP(12)
#define EIGHT(STEP) STEP(0) FROM_1_TO_3(STEP) FROM_4_TO_7(STEP)
#define THIRTEEN(STEP) EIGHT(STEP) FROM_8_TO_12(STEP)
#define SIXTEEN(STEP) THIRTEEN(STEP) STEP(13) STEP(14) STEP(15)

/* -- SHA-256 -------------------------------------------------------------------------------- */

__constant uint K256[64] = {
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
};
__constant uint H256[8] = {
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
};

#define SUM0_256(x) (ROR32(x, 2) ^ ROR32(x, 13) ^ ROR32(x, 22))
#define SUM1_256(x) (ROR32(x, 6) ^ ROR32(x, 11) ^ ROR32(x, 25))
#define MIX0_256(x) (ROR32(x, 7) ^ ROR32(x, 18) ^ ((x) >> 3))
#define MIX1_256(x) (ROR32(x, 17) ^ ROR32(x, 19) ^ ((x) >> 10))

/* A round turns the names of the eight registers by one; t & 7 says how far they are. */
#define REGISTER(s, t, i) s[((i) - (t)) & 7]
#define ROUND_256(s, t, word)                                                                      \
    do {                                                                                           \
        const uint e = REGISTER(s, t, 4), a = REGISTER(s, t, 0);                                   \
        const uint t1 = REGISTER(s, t, 7) + (word) +                                               \
                        CHOOSE(e, REGISTER(s, t, 5), REGISTER(s, t, 6)) + SUM1_256(e);             \
        REGISTER(s, t, 3) += t1;                                                                   \
        REGISTER(s, t, 7) = t1 + SUM0_256(a) +                                                     \
                            MAJORITY(a, REGISTER(s, t, 1), REGISTER(s, t, 2));                     \
    } while (0)

/* Word t of the schedule, in a ring of sixteen. */
#define WORD_256(w, t)                                                                             \
    (w[(t) & 15] += MIX1_256(w[((t) - 2) & 15]) + w[((t) - 7) & 15] + MIX0_256(w[((t) - 15) & 15]))

#define FIRST_ROUND_256(t) ROUND_256(s, t, w[t] + K256[t]);
#define LATER_ROUND_256(t) ROUND_256(s, t, WORD_256(w, t) + K256[base + t]);

void sha256_block(uint *state, uint *w)
{
    uint s[8];

#define LOAD(i) s[i] = state[i];
#define ADD(i) state[i] += s[i];
    EIGHT(LOAD)
    SIXTEEN(FIRST_ROUND_256)
    for (int base = 16; base < 64; base += 16) {
        SIXTEEN(LATER_ROUND_256)
    }
    EIGHT(ADD)
#undef LOAD
#undef ADD
}

/* -- SHA-1 ---------------------------------------------------------------------------------- */

__constant uint H1[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};

#define SHA1_ROUND(f, t)                                                                           \
    do {                                                                                           \
        const uint next = ROR32(a, 27) + (f) + e + w[(t) & 15];                                   \
        e = d, d = c, c = ROR32(b, 2), b = a, a = next;                                         \
    } while (0)

#define SHA1_WORD(t)                                                                               \
    do {                                                                                           \
        const uint mixed =                                                                         \
            w[((t) + 13) & 15] ^ w[((t) + 8) & 15] ^ w[((t) + 2) & 15] ^ w[(t) & 15];              \
        w[(t) & 15] = ROR32(mixed, 31);                                                            \
    } while (0)

#define SHA1_F(t) ((t) < 20   ? CHOOSE(b, c, d) + 0x5A827999                                       \
                   : (t) < 40 ? (b ^ c ^ d) + 0x6ED9EBA1                                           \
                   : (t) < 60 ? MAJORITY(b, c, d) + 0x8F1BBCDC                                     \
                              : (b ^ c ^ d) + 0xCA62C1D6)

void sha1_block(uint *state, uint *w)
{
    uint a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

#define FIRST(t) SHA1_ROUND(SHA1_F(t), t);
#define LATER(t)                                                                                   \
    SHA1_WORD(t);                                                                                  \
    SHA1_ROUND(SHA1_F(base + (t)), t);
    SIXTEEN(FIRST)
    for (int base = 16; base < 80; base += 16) {
        SIXTEEN(LATER)
    }
#undef FIRST
#undef LATER
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* -- SHA-512 -------------------------------------------------------------------------------- */

__constant ulong K512[80] = {
    0x428A2F98D728AE22UL, 0x7137449123EF65CDUL, 0xB5C0FBCFEC4D3B2FUL, 0xE9B5DBA58189DBBCUL,
    0x3956C25BF348B538UL, 0x59F111F1B605D019UL, 0x923F82A4AF194F9BUL, 0xAB1C5ED5DA6D8118UL,
    0xD807AA98A3030242UL, 0x12835B0145706FBEUL, 0x243185BE4EE4B28CUL, 0x550C7DC3D5FFB4E2UL,
    0x72BE5D74F27B896FUL, 0x80DEB1FE3B1696B1UL, 0x9BDC06A725C71235UL, 0xC19BF174CF692694UL,
    0xE49B69C19EF14AD2UL, 0xEFBE4786384F25E3UL, 0x0FC19DC68B8CD5B5UL, 0x240CA1CC77AC9C65UL,
    0x2DE92C6F592B0275UL, 0x4A7484AA6EA6E483UL, 0x5CB0A9DCBD41FBD4UL, 0x76F988DA831153B5UL,
    0x983E5152EE66DFABUL, 0xA831C66D2DB43210UL, 0xB00327C898FB213FUL, 0xBF597FC7BEEF0EE4UL,
    0xC6E00BF33DA88FC2UL, 0xD5A79147930AA725UL, 0x06CA6351E003826FUL, 0x142929670A0E6E70UL,
    0x27B70A8546D22FFCUL, 0x2E1B21385C26C926UL, 0x4D2C6DFC5AC42AEDUL, 0x53380D139D95B3DFUL,
    0x650A73548BAF63DEUL, 0x766A0ABB3C77B2A8UL, 0x81C2C92E47EDAEE6UL, 0x92722C851482353BUL,
    0xA2BFE8A14CF10364UL, 0xA81A664BBC423001UL, 0xC24B8B70D0F89791UL, 0xC76C51A30654BE30UL,
    0xD192E819D6EF5218UL, 0xD69906245565A910UL, 0xF40E35855771202AUL, 0x106AA07032BBD1B8UL,
    0x19A4C116B8D2D0C8UL, 0x1E376C085141AB53UL, 0x2748774CDF8EEB99UL, 0x34B0BCB5E19B48A8UL,
    0x391C0CB3C5C95A63UL, 0x4ED8AA4AE3418ACBUL, 0x5B9CCA4F7763E373UL, 0x682E6FF3D6B2B8A3UL,
    0x748F82EE5DEFB2FCUL, 0x78A5636F43172F60UL, 0x84C87814A1F0AB72UL, 0x8CC702081A6439ECUL,
    0x90BEFFFA23631E28UL, 0xA4506CEBDE82BDE9UL, 0xBEF9A3F7B2C67915UL, 0xC67178F2E372532BUL,
    0xCA273ECEEA26619CUL, 0xD186B8C721C0C207UL, 0xEADA7DD6CDE0EB1EUL, 0xF57D4F7FEE6ED178UL,
    0x06F067AA72176FBAUL, 0x0A637DC5A2C898A6UL, 0x113F9804BEF90DAEUL, 0x1B710B35131C471BUL,
    0x28DB77F523047D84UL, 0x32CAAB7B40C72493UL, 0x3C9EBE0A15C9BEBCUL, 0x431D67C49C100D4CUL,
    0x4CC5D4BECB3E42B6UL, 0x597F299CFC657E2AUL, 0x5FCB6FAB3AD6FAECUL, 0x6C44198C4A475817UL,
};
__constant ulong H512[8] = {
    0x6A09E667F3BCC908UL, 0xBB67AE8584CAA73BUL, 0x3C6EF372FE94F82BUL, 0xA54FF53A5F1D36F1UL,
    0x510E527FADE682D1UL, 0x9B05688C2B3E6C1FUL, 0x1F83D9ABFB41BD6BUL, 0x5BE0CD19137E2179UL,
};

#define SUM0_512(x) (ROR64(x, 28) ^ ROR64(x, 34) ^ ROR64(x, 39))
#define SUM1_512(x) (ROR64(x, 14) ^ ROR64(x, 18) ^ ROR64(x, 41))
#define MIX0_512(x) (ROR64(x, 1) ^ ROR64(x, 8) ^ ((x) >> 7))
#define MIX1_512(x) (ROR64(x, 19) ^ ROR64(x, 61) ^ ((x) >> 6))

#define ROUND_512(s, t, word)                                                                      \
    do {                                                                                           \
        const ulong e = REGISTER(s, t, 4), a = REGISTER(s, t, 0);                                  \
        const ulong t1 = REGISTER(s, t, 7) + (word) +                                              \
                         CHOOSE(e, REGISTER(s, t, 5), REGISTER(s, t, 6)) + SUM1_512(e);            \
        REGISTER(s, t, 3) += t1;                                                                   \
        REGISTER(s, t, 7) = t1 + SUM0_512(a) +                                                     \
                            MAJORITY(a, REGISTER(s, t, 1), REGISTER(s, t, 2));                     \
    } while (0)

#define WORD_512(w, t)                                                                             \
    (w[(t) & 15] += MIX1_512(w[((t) - 2) & 15]) + w[((t) - 7) & 15] + MIX0_512(w[((t) - 15) & 15]))

/* SHA-512 of one block from the initial state. */
void sha512_one_block(ulong *digest, ulong *w)
{
    ulong s[8];

#define LOAD(i) s[i] = H512[i];
#define FIRST(t) ROUND_512(s, t, w[t] + K512[t]);
#define LATER(t) ROUND_512(s, t, WORD_512(w, t) + K512[base + t]);
#define STORE(i) digest[i] = H512[i] + s[i];
    EIGHT(LOAD)
    SIXTEEN(FIRST)
    for (int base = 16; base < 80; base += 16) {
        SIXTEEN(LATER)
    }
    EIGHT(STORE)
#undef LOAD
#undef FIRST
#undef LATER
#undef STORE
}

/* -- block headers -------------------------------------------------------------------------- */

/* The words of a header's second block; the nonce's is left zero. */
void header_tail(__global const uint *header, uint *w)
{
    for (int i = 0; i < 16; i++)
        w[i] = 0;
    w[0] = header[16], w[1] = header[17], w[2] = header[18];
    w[4] = 0x80000000, w[15] = 640;
}

/* One item a version: its state before the second block, then after rounds 0 to 3 of it, without
 * the nonce's word; and once, of words 16 to 19 what does not depend on the nonce. */
__kernel void prepare_header(__global const uint *header, __global uint *versions,
                             __global uint *schedule)
{
    const uint index = get_global_id(0);
    uint w[16], state[8];

    for (int i = 0; i < 16; i++)
        w[i] = header[i];
    w[0] = as_uint(as_uchar4(as_uint(as_uchar4(w[0]).wzyx) ^ index << 13).wzyx);
    for (int i = 0; i < 8; i++)
        state[i] = H256[i];
    sha256_block(state, w);
    for (int i = 0; i < 8; i++)
        versions[16 * index + i] = state[i];
    header_tail(header, w);
#define STEP(t) ROUND_256(state, t, w[t] + K256[t]);
    STEP(0) FROM_1_TO_3(STEP)
#undef STEP
    for (int i = 0; i < 8; i++)
        versions[16 * index + 8 + i] = state[i];
    if (index == 0) {
        for (int t = 0; t < 4; t++)
            schedule[t] = WORD_256(w, t);
    }
}

/* Item i is nonce + (skipped + i) / versions, version (skipped + i) % versions. */
__kernel void search_header(__global const uint *versions, __global const uint *schedule,
                            const uint version_count, const uint nonce, const uint skipped,
                            const uint limit, const uint count, __global uint *found)
{
    const uint item = get_global_id(0);
    const uint number = skipped + item;
    const uint item_nonce = nonce + number / version_count;
    const uint word = as_uint(as_uchar4(item_nonce).wzyx);
    __global const uint *version = versions + 16 * (number % version_count);
    uint s[8], w[16];

#define START(i) s[i] = version[8 + (i)];
    EIGHT(START)
#undef START
    s[4] += word, s[0] += word; /* E and A after four rounds */
    ROUND_256(s, 4, K256[4] + 0x80000000);
#define STEP(t) ROUND_256(s, t, K256[t]);
    STEP(5) STEP(6) STEP(7) FROM_8_TO_12(STEP) STEP(13) STEP(14)
#undef STEP
    ROUND_256(s, 15, K256[15] + 640);

    /* Words 16 to 31, without the terms that are zero. */
    w[0] = schedule[0], w[1] = schedule[1];
    w[2] = schedule[2] + MIX0_256(word), w[3] = schedule[3] + word;
    w[4] = MIX1_256(w[2]) + 0x80000000;
    w[5] = MIX1_256(w[3]);
    w[6] = MIX1_256(w[4]) + 640;
#define STEP(t) w[t] = MIX1_256(w[(t) - 2]) + w[(t) - 7];
    STEP(7) FROM_8_TO_12(STEP) STEP(13)
#undef STEP
    w[14] = MIX1_256(w[12]) + w[7] + 0x00A00055; /* MIX0_256(640) */
    w[15] = MIX1_256(w[13]) + w[8] + MIX0_256(w[0]) + 640;
#define STEP(t) ROUND_256(s, t, w[t] + K256[16 + (t)]);
    SIXTEEN(STEP)
#undef STEP
    for (int base = 32; base < 64; base += 16) {
        SIXTEEN(LATER_ROUND_256)
    }

    /* The second hash; its last word is register E after round 60. */
#define STEP(i) w[i] = version[i] + s[i], s[i] = H256[i];
    EIGHT(STEP)
#undef STEP
    w[8] = 0x80000000;
    w[9] = w[10] = w[11] = w[12] = w[13] = w[14] = 0;
    w[15] = 256;
    SIXTEEN(FIRST_ROUND_256)
    for (int base = 16; base < 48; base += 16) {
        SIXTEEN(LATER_ROUND_256)
    }
#define STEP(t) ROUND_256(s, t, WORD_256(w, t) + K256[48 + (t)]);
    THIRTEEN(STEP)
#undef STEP
    const uint last = REGISTER(s, 13, 4) + H256[7];
    if (as_uint(as_uchar4(last).wzyx) <= limit && item < count)
        atomic_min(found, item);
}

/* -- Bitmessage ----------------------------------------------------------------------------- */

__kernel void search_bitmessage(__global const ulong *initial_hash, const ulong nonce,
                                const ulong target, const uint count, __global uint *found)
{
    const uint item = get_global_id(0);
    ulong w[16];

    w[0] = nonce + item;
#define STEP(i) w[1 + (i)] = initial_hash[i];
    EIGHT(STEP)
#undef STEP
    w[9] = 0x8000000000000000UL;
    w[10] = w[11] = w[12] = w[13] = w[14] = 0;
    w[15] = 8 * 72;
    sha512_one_block(w, w);
    w[8] = 0x8000000000000000UL;
    w[9] = w[10] = w[11] = w[12] = w[13] = w[14] = 0;
    w[15] = 8 * 64;
    sha512_one_block(w, w);
    if (w[0] <= target && item < count)
        atomic_min(found, item);
}

/* -- hashcash ------------------------------------------------------------------------------- */

#ifdef IS_SHA1
#define HASHCASH_STATE 5
#define HASHCASH_BLOCK sha1_block
#define HASHCASH_INITIAL H1
#else
#define HASHCASH_STATE 8
#define HASHCASH_BLOCK sha256_block
#define HASHCASH_INITIAL H256
#endif

/* A single item: takes `count` blocks into the state, from the initial one where `is_new`. */
__kernel void take_blocks(__global const uint *blocks, const uint count, const uint is_new,
                          __global uint *result)
{
    uint state[HASHCASH_STATE], w[16];

    for (int i = 0; i < HASHCASH_STATE; i++)
        state[i] = is_new ? HASHCASH_INITIAL[i] : result[i];
    for (uint block = 0; block < count; block++) {
        for (int i = 0; i < 16; i++)
            w[i] = blocks[16 * block + i];
        HASHCASH_BLOCK(state, w);
    }
    for (int i = 0; i < HASHCASH_STATE; i++)
        result[i] = state[i];
}

/* Item i writes `first` + i with `width` digits, at most eight, into the blocks from byte `place`
 * on, and hashes them from `start`. The bits in `masks` of the first two words must be zero. */
__kernel void search_hashcash(__global const uint *start, __global const uint *blocks,
                              const uint block_count, const uint place, const uint width,
                              __constant uchar *digits, const uint base, const uint first,
                              const uint2 masks, const uint count, __global uint *found)
{
    const uint item = get_global_id(0);
    uint state[HASHCASH_STATE], w[16], low[3] = {0, 0, 0};
    uint rest = first + item;

    for (uint i = width; i-- > 0; rest /= base) {
        const uint byte = (place & 3) + i;
        const uint digit = (uint)digits[rest % base] << (24 - 8 * (byte & 3));
        low[0] |= byte / 4 == 0 ? digit : 0;
        low[1] |= byte / 4 == 1 ? digit : 0;
        low[2] |= byte / 4 == 2 ? digit : 0;
    }
    for (int i = 0; i < HASHCASH_STATE; i++)
        state[i] = start[i];
    for (uint block = 0; block < block_count; block++) {
        const uint distance = 16 * block - place / 4; /* of its first word from the digits */
#define STEP(t)                                                                                    \
    w[t] = blocks[16 * block + t] | (distance + t == 0   ? low[0]                                  \
                                     : distance + t == 1 ? low[1]                                  \
                                     : distance + t == 2 ? low[2]                                  \
                                                         : 0);
        SIXTEEN(STEP)
#undef STEP
        HASHCASH_BLOCK(state, w);
    }
    if ((state[0] & masks.x) == 0 && (state[1] & masks.y) == 0 && item < count)
        atomic_min(found, item);
}
