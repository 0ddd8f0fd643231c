/* Searches by SHA-256 and SHA-1 over vectors of 32-bit lanes, one nonce in each lane.
 *
 * The file that includes this defines TARGET, LANES32, the type v32 and the operations v_set,
 * v_load, v_index (0, 1, 2 ...), v_swap (bytes of each lane), v_add, v_xor, v_or, v_ror, v_shr,
 * v_ch, v_maj, v_xor3 and v_zeros (a bit per lane that is zero under a mask). */

#define S32 static inline TARGET

S32 v32 sha256_sum0(v32 x) { return v_xor3(v_ror(x, 2), v_ror(x, 13), v_ror(x, 22)); }
S32 v32 sha256_sum1(v32 x) { return v_xor3(v_ror(x, 6), v_ror(x, 11), v_ror(x, 25)); }
S32 v32 sha256_mix0(v32 x) { return v_xor3(v_ror(x, 7), v_ror(x, 18), v_shr(x, 3)); }
S32 v32 sha256_mix1(v32 x) { return v_xor3(v_ror(x, 17), v_ror(x, 19), v_shr(x, 10)); }

/* One round; the eight names turn by one from round to round instead of their values. */
#define ROUND(a, b, c, d, e, f, g, h, word)                                                        \
    do {                                                                                           \
        v32 t1 = v_add(v_add(v_add(h, word), v_ch(e, f, g)), sha256_sum1(e));                      \
        d = v_add(d, t1);                                                                          \
        h = v_add(v_add(t1, v_maj(a, b, c)), sha256_sum0(a));                                      \
    } while (0)

/* The same where a later state's first half is not wanted any more. */
#define HALF_ROUND(d, e, f, g, h, word)                                                            \
    d = v_add(v_add(v_add(d, h), v_add(word, v_ch(e, f, g))), sha256_sum1(e))

/* Rounds t to t + 3 with the words that the macro `word` gives for each; they bring the names half
 * the way round, eight rounds all the way. */
#define FOUR_ROUNDS(a, b, c, d, e, f, g, h, word, t)                                               \
    do {                                                                                           \
        ROUND(a, b, c, d, e, f, g, h, word(t));                                                    \
        ROUND(h, a, b, c, d, e, f, g, word((t) + 1));                                              \
        ROUND(g, h, a, b, c, d, e, f, word((t) + 2));                                              \
        ROUND(f, g, h, a, b, c, d, e, word((t) + 3));                                              \
    } while (0)

#define EIGHT_ROUNDS(s, word, t)                                                                   \
    do {                                                                                           \
        FOUR_ROUNDS(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], word, t);                      \
        FOUR_ROUNDS(s[4], s[5], s[6], s[7], s[0], s[1], s[2], s[3], word, (t) + 4);                \
    } while (0)

/* Round constant, and the forms a word comes in: with its constant added already, without it, none
 * but the constant, or not yet made. */
#define K(t) v_set(misocoin_sha256_k[t])
#define READY_WORD(t) kw[t]
#define PLAIN_WORD(t) v_add(w[t], K(t))
#define ZERO_WORD(t) K(t)
#define NEW_WORD(t) v_add(w[t] = sha256_word(w, t), K(t))

/* Word t of a schedule, from the four it is made of. */
S32 v32 sha256_word(const v32 *w, int t)
{
    return v_add(v_add(sha256_mix1(w[t - 2]), w[t - 7]), v_add(sha256_mix0(w[t - 15]), w[t - 16]));
}

/* -- block headers -------------------------------------------------------------------------- */

/* kw[t] = K[t] + w[t] of a header's second block, with nonces in the lanes; for t = 16 to 63, what
 * comes before is constant. Padding makes words 4 to 15 constant, so that most terms of the first
 * words here are gone. One schedule serves all versions of a header. */
S32 void header_schedule(const header_job *job, v32 nonce_word, v32 kw[64])
{
    v32 w[64];

    w[16] = v_set(job->w16), w[17] = v_set(job->w17);
    w[18] = v_add(v_set(job->w18), sha256_mix0(nonce_word));
    w[19] = v_add(v_set(job->w19), nonce_word);
    w[20] = v_add(sha256_mix1(w[18]), v_set(0x80000000u));
    w[21] = sha256_mix1(w[19]);
    w[22] = v_add(sha256_mix1(w[20]), v_set(640));
    for (int t = 23; t < 30; t++)
        w[t] = v_add(sha256_mix1(w[t - 2]), w[t - 7]);
    w[30] = v_add(v_add(sha256_mix1(w[28]), w[23]), v_set(0x00A00055u)); /* mix0(640) */
    w[31] = v_add(v_add(sha256_mix1(w[29]), w[24]), v_add(sha256_mix0(w[16]), v_set(640)));
    for (int t = 16; t < 32; t++)
        kw[t] = v_add(w[t], K(t));
    for (int t = 32; t < 64; t++) {
        w[t] = sha256_word(w, t);
        kw[t] = v_add(w[t], K(t));
    }
}

/* The first hash from round 4 on, as message words of the second. */
S32 void header_first_hash(const header_version *version, v32 nonce_word, const v32 kw[64],
                           v32 digest[8])
{
    v32 s[8];

    for (int i = 0; i < 8; i++)
        s[i ^ 4] = v_set(version->started[i]); /* after four rounds the names are half-way round */
    s[4] = v_add(s[4], nonce_word);
    s[0] = v_add(s[0], nonce_word);
    FOUR_ROUNDS(s[4], s[5], s[6], s[7], s[0], s[1], s[2], s[3], READY_WORD, 4);
    for (int t = 8; t < 64; t += 8)
        EIGHT_ROUNDS(s, READY_WORD, t);
    for (int i = 0; i < 8; i++)
        digest[i] = v_add(s[i], v_set(version->midstate[i]));
}

/* The last word of the second hash, whose message is in w[0] to w[7]. It is register e after round
 * 60, so three rounds are not run at all and four by half. */
S32 v32 header_second_hash(v32 w[64])
{
    v32 s[8];

    /* Round 0 from the initial state is constant but for w[0]; a and e are s[7] and s[3] then. */
    s[7] = v_add(w[0], v_set(0xFC08884Du)), s[3] = v_add(w[0], v_set(0x98C7E2A2u));
    for (int i = 0; i < 3; i++) {
        s[i] = v_set(misocoin_sha256_initial[i]);
        s[4 + i] = v_set(misocoin_sha256_initial[4 + i]);
    }
    ROUND(s[7], s[0], s[1], s[2], s[3], s[4], s[5], s[6], PLAIN_WORD(1));
    ROUND(s[6], s[7], s[0], s[1], s[2], s[3], s[4], s[5], PLAIN_WORD(2));
    ROUND(s[5], s[6], s[7], s[0], s[1], s[2], s[3], s[4], PLAIN_WORD(3));
    FOUR_ROUNDS(s[4], s[5], s[6], s[7], s[0], s[1], s[2], s[3], PLAIN_WORD, 4);
    ROUND(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], v_set(0xD807AA98u + 0x80000000u));
    ROUND(s[7], s[0], s[1], s[2], s[3], s[4], s[5], s[6], ZERO_WORD(9));
    ROUND(s[6], s[7], s[0], s[1], s[2], s[3], s[4], s[5], ZERO_WORD(10));
    ROUND(s[5], s[6], s[7], s[0], s[1], s[2], s[3], s[4], ZERO_WORD(11));
    ROUND(s[4], s[5], s[6], s[7], s[0], s[1], s[2], s[3], ZERO_WORD(12));
    ROUND(s[3], s[4], s[5], s[6], s[7], s[0], s[1], s[2], ZERO_WORD(13));
    ROUND(s[2], s[3], s[4], s[5], s[6], s[7], s[0], s[1], ZERO_WORD(14));
    ROUND(s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[0], v_set(0xC19BF174u + 256));

    /* Words 8 to 15 are 0x80000000, zeros and 256: the next ones lack these terms. */
    w[16] = v_add(w[0], sha256_mix0(w[1]));
    w[17] = v_add(v_add(w[1], sha256_mix0(w[2])), v_set(0x00A00000u)); /* mix1(256) */
    for (int t = 18; t < 22; t++)
        w[t] = v_add(v_add(sha256_mix1(w[t - 2]), sha256_mix0(w[t - 15])), w[t - 16]);
    w[22] = v_add(v_add(sha256_mix1(w[20]), v_set(256)), v_add(sha256_mix0(w[7]), w[6]));
    w[23] = v_add(v_add(sha256_mix1(w[21]), w[16]), v_add(v_set(0x11002000u), w[7]));
    EIGHT_ROUNDS(s, PLAIN_WORD, 16);
    w[24] = v_add(v_add(sha256_mix1(w[22]), w[17]), v_set(0x80000000u));
    for (int t = 25; t < 30; t++)
        w[t] = v_add(sha256_mix1(w[t - 2]), w[t - 7]);
    w[30] = v_add(v_add(sha256_mix1(w[28]), w[23]), v_set(0x00400022u)); /* mix0(256) */
    w[31] = v_add(v_add(sha256_mix1(w[29]), w[24]), v_add(sha256_mix0(w[16]), v_set(256)));
    EIGHT_ROUNDS(s, PLAIN_WORD, 24);
    for (int t = 32; t < 56; t += 8)
        EIGHT_ROUNDS(s, NEW_WORD, t);
    ROUND(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], NEW_WORD(56));
    HALF_ROUND(s[2], s[3], s[4], s[5], s[6], NEW_WORD(57));
    HALF_ROUND(s[1], s[2], s[3], s[4], s[5], NEW_WORD(58));
    HALF_ROUND(s[0], s[1], s[2], s[3], s[4], NEW_WORD(59));
    HALF_ROUND(s[7], s[0], s[1], s[2], s[3], NEW_WORD(60));
    return v_add(s[7], v_set(misocoin_sha256_initial[7]));
}

static TARGET uint64_t header_search(const header_job *job, uint64_t first, uint64_t count)
{
    const uint64_t versions = job->version_count;
    uint64_t nonce = first / versions;
    v32 kw[64], w[64];

    for (int t = 4; t < 16; t++)
        kw[t] = K(t);
    kw[4] = v_set(0x3956C25Bu + 0x80000000u), kw[15] = v_set(0xC19BF174u + 640);
    for (; nonce * versions < first + count; nonce += LANES32) {
        v32 nonce_word = v_swap(v_add(v_set((uint32_t)nonce), v_index()));
        uint64_t lowest = NOTHING;

        header_schedule(job, nonce_word, kw);
        for (uint64_t version = 0; version < versions; version++) {
            uint32_t hits;

            header_first_hash(&job->versions[version], nonce_word, kw, w);
            hits = v_zeros(header_second_hash(w), v_set(job->mask));
            for (int lane = 0; hits != 0; lane++, hits >>= 1) {
                uint64_t number = (nonce + lane) * versions + version;
                if ((hits & 1) && number - first < count && number - first < lowest &&
                    misocoin_header_wins(job, number))
                    lowest = number - first;
            }
        }
        if (lowest != NOTHING)
            return lowest;
    }
    return NOTHING;
}

/* -- hashcash ------------------------------------------------------------------------------- */

/* The sixteen words of a block of the stretch, the low digits of these lanes put in. */
S32 void stretch_words(const hashcash_stretch *stretch, size_t block, uint64_t first, v32 w[16])
{
    for (int t = 0; t < 16; t++)
        w[t] = v_set(stretch->blocks[block * 16 + t]);
    for (int part = 0; part < 2; part++)
        if ((size_t)(stretch->low_word + part) / 16 == block) {
            int t = (stretch->low_word + part) % 16;
            w[t] = v_or(w[t], v_load(stretch->low[part] + first));
        }
}

static TARGET uint64_t sha256_search(const hashcash_stretch *stretch, uint64_t first,
                                     uint64_t count)
{
    const int skipped = stretch->low_word & ~7; /* rounds before the low digits' word */
    uint32_t started[8];

    memcpy(started, stretch->state, sizeof started);
    misocoin_sha256_rounds(started, stretch->blocks, 0, skipped);
    for (uint64_t at = 0; at < count; at += LANES32) {
        v32 state[8], s[8], w[64];
        uint32_t hits;

        for (int i = 0; i < 8; i++) {
            state[i] = v_set(stretch->state[i]);
            s[i] = v_set(started[i]);
        }
        for (size_t block = 0; block < stretch->block_count; block++) {
            stretch_words(stretch, block, first + at, w);
            for (int t = block == 0 ? skipped : 0; t < 16; t += 8)
                EIGHT_ROUNDS(s, PLAIN_WORD, t);
            for (int t = 16; t < 64; t += 8)
                EIGHT_ROUNDS(s, NEW_WORD, t);
            for (int i = 0; i < 8; i++)
                s[i] = state[i] = v_add(state[i], s[i]);
        }
        hits = v_zeros(state[0], v_set(stretch->mask));
        if (hits != 0 && at + (uint64_t)__builtin_ctz(hits) < count)
            return at + (uint64_t)__builtin_ctz(hits);
    }
    return NOTHING;
}

#define SHA1_ROUND(a, b, c, d, e, f, word)                                                         \
    do {                                                                                           \
        e = v_add(v_add(v_add(e, word), f(b, c, d)), v_ror(a, 27));                                \
        b = v_ror(b, 2);                                                                           \
    } while (0)

#define SHA1_FIVE_ROUNDS(s, f, k, w)                                                               \
    do {                                                                                           \
        SHA1_ROUND(s[0], s[1], s[2], s[3], s[4], f, v_add((w)[0], v_set(k)));                      \
        SHA1_ROUND(s[4], s[0], s[1], s[2], s[3], f, v_add((w)[1], v_set(k)));                      \
        SHA1_ROUND(s[3], s[4], s[0], s[1], s[2], f, v_add((w)[2], v_set(k)));                      \
        SHA1_ROUND(s[2], s[3], s[4], s[0], s[1], f, v_add((w)[3], v_set(k)));                      \
        SHA1_ROUND(s[1], s[2], s[3], s[4], s[0], f, v_add((w)[4], v_set(k)));                      \
    } while (0)

static TARGET uint64_t sha1_search(const hashcash_stretch *stretch, uint64_t first, uint64_t count)
{
    const int skipped = stretch->low_word / 5 * 5;
    uint32_t started[5];

    memcpy(started, stretch->state, sizeof started);
    misocoin_sha1_rounds(started, stretch->blocks, 0, skipped);
    for (uint64_t at = 0; at < count; at += LANES32) {
        v32 state[5], s[5], w[80];
        uint32_t hits;

        for (int i = 0; i < 5; i++) {
            state[i] = v_set(stretch->state[i]);
            s[i] = v_set(started[i]);
        }
        for (size_t block = 0; block < stretch->block_count; block++) {
            stretch_words(stretch, block, first + at, w);
            for (int t = 16; t < 80; t++)
                w[t] = v_ror(v_xor(v_xor3(w[t - 3], w[t - 8], w[t - 14]), w[t - 16]), 31);
            for (int t = block == 0 ? skipped : 0; t < 20; t += 5)
                SHA1_FIVE_ROUNDS(s, v_ch, 0x5A827999u, w + t);
            for (int t = 20; t < 40; t += 5)
                SHA1_FIVE_ROUNDS(s, v_xor3, 0x6ED9EBA1u, w + t);
            for (int t = 40; t < 60; t += 5)
                SHA1_FIVE_ROUNDS(s, v_maj, 0x8F1BBCDCu, w + t);
            for (int t = 60; t < 80; t += 5)
                SHA1_FIVE_ROUNDS(s, v_xor3, 0xCA62C1D6u, w + t);
            for (int i = 0; i < 5; i++)
                s[i] = state[i] = v_add(state[i], s[i]);
        }
        hits = v_zeros(state[0], v_set(stretch->mask));
        if (hits != 0 && at + (uint64_t)__builtin_ctz(hits) < count)
            return at + (uint64_t)__builtin_ctz(hits);
    }
    return NOTHING;
}
