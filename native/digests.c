/* SHA-1, SHA-256 and SHA-512 of FIPS 180-4 in plain C. */
#include "digests.h"

#include <string.h>

const uint32_t misocoin_sha1_initial[5] = {
    0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u, 0xC3D2E1F0u,
};

const uint32_t misocoin_sha256_initial[8] = {
    0x6A09E667u, 0xBB67AE85u, 0x3C6EF372u, 0xA54FF53Au,
    0x510E527Fu, 0x9B05688Cu, 0x1F83D9ABu, 0x5BE0CD19u,
};

const uint64_t misocoin_sha512_initial[8] = {
    0x6A09E667F3BCC908u, 0xBB67AE8584CAA73Bu, 0x3C6EF372FE94F82Bu, 0xA54FF53A5F1D36F1u,
    0x510E527FADE682D1u, 0x9B05688C2B3E6C1Fu, 0x1F83D9ABFB41BD6Bu, 0x5BE0CD19137E2179u,
};

/* FIPS 180-4, 4.2.2: fractions of the cube roots of the first 64 primes. */
const uint32_t misocoin_sha256_k[64] = {
    0x428A2F98u, 0x71374491u, 0xB5C0FBCFu, 0xE9B5DBA5u,
    0x3956C25Bu, 0x59F111F1u, 0x923F82A4u, 0xAB1C5ED5u,
    0xD807AA98u, 0x12835B01u, 0x243185BEu, 0x550C7DC3u,
    0x72BE5D74u, 0x80DEB1FEu, 0x9BDC06A7u, 0xC19BF174u,
    0xE49B69C1u, 0xEFBE4786u, 0x0FC19DC6u, 0x240CA1CCu,
    0x2DE92C6Fu, 0x4A7484AAu, 0x5CB0A9DCu, 0x76F988DAu,
    0x983E5152u, 0xA831C66Du, 0xB00327C8u, 0xBF597FC7u,
    0xC6E00BF3u, 0xD5A79147u, 0x06CA6351u, 0x14292967u,
    0x27B70A85u, 0x2E1B2138u, 0x4D2C6DFCu, 0x53380D13u,
    0x650A7354u, 0x766A0ABBu, 0x81C2C92Eu, 0x92722C85u,
    0xA2BFE8A1u, 0xA81A664Bu, 0xC24B8B70u, 0xC76C51A3u,
    0xD192E819u, 0xD6990624u, 0xF40E3585u, 0x106AA070u,
    0x19A4C116u, 0x1E376C08u, 0x2748774Cu, 0x34B0BCB5u,
    0x391C0CB3u, 0x4ED8AA4Au, 0x5B9CCA4Fu, 0x682E6FF3u,
    0x748F82EEu, 0x78A5636Fu, 0x84C87814u, 0x8CC70208u,
    0x90BEFFFAu, 0xA4506CEBu, 0xBEF9A3F7u, 0xC67178F2u,
};

/* 4.2.3: the same of the first 80, 64 bits of each. */
const uint64_t misocoin_sha512_k[80] = {
    0x428A2F98D728AE22u, 0x7137449123EF65CDu, 0xB5C0FBCFEC4D3B2Fu, 0xE9B5DBA58189DBBCu,
    0x3956C25BF348B538u, 0x59F111F1B605D019u, 0x923F82A4AF194F9Bu, 0xAB1C5ED5DA6D8118u,
    0xD807AA98A3030242u, 0x12835B0145706FBEu, 0x243185BE4EE4B28Cu, 0x550C7DC3D5FFB4E2u,
    0x72BE5D74F27B896Fu, 0x80DEB1FE3B1696B1u, 0x9BDC06A725C71235u, 0xC19BF174CF692694u,
    0xE49B69C19EF14AD2u, 0xEFBE4786384F25E3u, 0x0FC19DC68B8CD5B5u, 0x240CA1CC77AC9C65u,
    0x2DE92C6F592B0275u, 0x4A7484AA6EA6E483u, 0x5CB0A9DCBD41FBD4u, 0x76F988DA831153B5u,
    0x983E5152EE66DFABu, 0xA831C66D2DB43210u, 0xB00327C898FB213Fu, 0xBF597FC7BEEF0EE4u,
    0xC6E00BF33DA88FC2u, 0xD5A79147930AA725u, 0x06CA6351E003826Fu, 0x142929670A0E6E70u,
    0x27B70A8546D22FFCu, 0x2E1B21385C26C926u, 0x4D2C6DFC5AC42AEDu, 0x53380D139D95B3DFu,
    0x650A73548BAF63DEu, 0x766A0ABB3C77B2A8u, 0x81C2C92E47EDAEE6u, 0x92722C851482353Bu,
    0xA2BFE8A14CF10364u, 0xA81A664BBC423001u, 0xC24B8B70D0F89791u, 0xC76C51A30654BE30u,
    0xD192E819D6EF5218u, 0xD69906245565A910u, 0xF40E35855771202Au, 0x106AA07032BBD1B8u,
    0x19A4C116B8D2D0C8u, 0x1E376C085141AB53u, 0x2748774CDF8EEB99u, 0x34B0BCB5E19B48A8u,
    0x391C0CB3C5C95A63u, 0x4ED8AA4AE3418ACBu, 0x5B9CCA4F7763E373u, 0x682E6FF3D6B2B8A3u,
    0x748F82EE5DEFB2FCu, 0x78A5636F43172F60u, 0x84C87814A1F0AB72u, 0x8CC702081A6439ECu,
    0x90BEFFFA23631E28u, 0xA4506CEBDE82BDE9u, 0xBEF9A3F7B2C67915u, 0xC67178F2E372532Bu,
    0xCA273ECEEA26619Cu, 0xD186B8C721C0C207u, 0xEADA7DD6CDE0EB1Eu, 0xF57D4F7FEE6ED178u,
    0x06F067AA72176FBAu, 0x0A637DC5A2C898A6u, 0x113F9804BEF90DAEu, 0x1B710B35131C471Bu,
    0x28DB77F523047D84u, 0x32CAAB7B40C72493u, 0x3C9EBE0A15C9BEBCu, 0x431D67C49C100D4Cu,
    0x4CC5D4BECB3E42B6u, 0x597F299CFC657E2Au, 0x5FCB6FAB3AD6FAECu, 0x6C44198C4A475817u,
};

static inline uint32_t rol32(uint32_t x, int n) { return x << n | x >> (32 - n); }
static inline uint32_t ror32(uint32_t x, int n) { return x >> n | x << (32 - n); }
static inline uint64_t ror64(uint64_t x, int n) { return x >> n | x << (64 - n); }

void misocoin_sha256_schedule(uint32_t words[64])
{
    for (int t = 16; t < 64; t++) {
        uint32_t w15 = words[t - 15], w2 = words[t - 2];
        words[t] = words[t - 16] + (ror32(w15, 7) ^ ror32(w15, 18) ^ w15 >> 3) + words[t - 7] +
                   (ror32(w2, 17) ^ ror32(w2, 19) ^ w2 >> 10);
    }
}

void misocoin_sha256_rounds(uint32_t state[8], const uint32_t words[64], int from, int to)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

    for (int t = from; t < to; t++) {
        uint32_t t1 = h + (ror32(e, 6) ^ ror32(e, 11) ^ ror32(e, 25)) + ((e & f) ^ (~e & g)) +
                      misocoin_sha256_k[t] + words[t];
        uint32_t t2 = (ror32(a, 2) ^ ror32(a, 13) ^ ror32(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1;
        d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] = a, state[1] = b, state[2] = c, state[3] = d;
    state[4] = e, state[5] = f, state[6] = g, state[7] = h;
}

void misocoin_sha256_block(uint32_t state[8], const uint32_t block[16])
{
    uint32_t words[64], next[8];

    memcpy(words, block, 16 * sizeof *words);
    memcpy(next, state, sizeof next);
    misocoin_sha256_schedule(words);
    misocoin_sha256_rounds(next, words, 0, 64);
    for (int i = 0; i < 8; i++)
        state[i] += next[i];
}

void misocoin_sha512_schedule(uint64_t words[80])
{
    for (int t = 16; t < 80; t++) {
        uint64_t w15 = words[t - 15], w2 = words[t - 2];
        words[t] = words[t - 16] + (ror64(w15, 1) ^ ror64(w15, 8) ^ w15 >> 7) + words[t - 7] +
                   (ror64(w2, 19) ^ ror64(w2, 61) ^ w2 >> 6);
    }
}

void misocoin_sha512_rounds(uint64_t state[8], const uint64_t words[80], int from, int to)
{
    uint64_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint64_t e = state[4], f = state[5], g = state[6], h = state[7];

    for (int t = from; t < to; t++) {
        uint64_t t1 = h + (ror64(e, 14) ^ ror64(e, 18) ^ ror64(e, 41)) + ((e & f) ^ (~e & g)) +
                      misocoin_sha512_k[t] + words[t];
        uint64_t t2 = (ror64(a, 28) ^ ror64(a, 34) ^ ror64(a, 39)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1;
        d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] = a, state[1] = b, state[2] = c, state[3] = d;
    state[4] = e, state[5] = f, state[6] = g, state[7] = h;
}

void misocoin_sha512_block(uint64_t state[8], const uint64_t block[16])
{
    uint64_t words[80], next[8];

    memcpy(words, block, 16 * sizeof *words);
    memcpy(next, state, sizeof next);
    misocoin_sha512_schedule(words);
    misocoin_sha512_rounds(next, words, 0, 80);
    for (int i = 0; i < 8; i++)
        state[i] += next[i];
}

void misocoin_sha1_schedule(uint32_t words[80])
{
    for (int t = 16; t < 80; t++)
        words[t] = rol32(words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16], 1);
}

void misocoin_sha1_rounds(uint32_t state[5], const uint32_t words[80], int from, int to)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

    for (int t = from; t < to; t++) {
        uint32_t f = t < 20   ? ((b & c) ^ (~b & d)) + 0x5A827999u
                     : t < 40 ? (b ^ c ^ d) + 0x6ED9EBA1u
                     : t < 60 ? ((b & c) ^ (b & d) ^ (c & d)) + 0x8F1BBCDCu
                              : (b ^ c ^ d) + 0xCA62C1D6u;
        uint32_t next = rol32(a, 5) + f + e + words[t];
        e = d, d = c, c = rol32(b, 30), b = a, a = next;
    }
    state[0] = a, state[1] = b, state[2] = c, state[3] = d, state[4] = e;
}

void misocoin_sha1_block(uint32_t state[5], const uint32_t block[16])
{
    uint32_t words[80], next[5];

    memcpy(words, block, 16 * sizeof *words);
    memcpy(next, state, sizeof next);
    misocoin_sha1_schedule(words);
    misocoin_sha1_rounds(next, words, 0, 80);
    for (int i = 0; i < 5; i++)
        state[i] += next[i];
}
