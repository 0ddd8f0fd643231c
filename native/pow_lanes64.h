/* Searches by SHA-512 over vectors of 64-bit lanes, one nonce in each lane.
 *
 * The file that includes this defines TARGET, LANES64, the type v64 and the operations q_set,
 * q_index (0, 1, 2 ...), q_add, q_ror, q_shr, q_ch, q_maj, q_xor3 and q_zeros (a bit per lane that
 * is zero under a mask). */

#define S64 static inline TARGET

S64 v64 sha512_sum0(v64 x) { return q_xor3(q_ror(x, 28), q_ror(x, 34), q_ror(x, 39)); }
S64 v64 sha512_sum1(v64 x) { return q_xor3(q_ror(x, 14), q_ror(x, 18), q_ror(x, 41)); }
S64 v64 sha512_mix0(v64 x) { return q_xor3(q_ror(x, 1), q_ror(x, 8), q_shr(x, 7)); }
S64 v64 sha512_mix1(v64 x) { return q_xor3(q_ror(x, 19), q_ror(x, 61), q_shr(x, 6)); }

#define Q_ROUND(a, b, c, d, e, f, g, h, word)                                                      \
    do {                                                                                           \
        v64 t1 = q_add(q_add(q_add(h, word), q_ch(e, f, g)), sha512_sum1(e));                      \
        d = q_add(d, t1);                                                                          \
        h = q_add(q_add(t1, q_maj(a, b, c)), sha512_sum0(a));                                      \
    } while (0)

/* Rounds t to t + 7 with the words w[0] to w[7]; and those without the first of them. */
#define Q_EIGHT_ROUNDS(s, w, t)                                                                    \
    do {                                                                                           \
        Q_ROUND(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], q_add((w)[0], KQ(t)));             \
        Q_SEVEN_ROUNDS(s, w, t);                                                                   \
    } while (0)

#define Q_SEVEN_ROUNDS(s, w, t)                                                                    \
    do {                                                                                           \
        Q_ROUND(s[7], s[0], s[1], s[2], s[3], s[4], s[5], s[6], q_add((w)[1], KQ((t) + 1)));       \
        Q_ROUND(s[6], s[7], s[0], s[1], s[2], s[3], s[4], s[5], q_add((w)[2], KQ((t) + 2)));       \
        Q_ROUND(s[5], s[6], s[7], s[0], s[1], s[2], s[3], s[4], q_add((w)[3], KQ((t) + 3)));       \
        Q_ROUND(s[4], s[5], s[6], s[7], s[0], s[1], s[2], s[3], q_add((w)[4], KQ((t) + 4)));       \
        Q_ROUND(s[3], s[4], s[5], s[6], s[7], s[0], s[1], s[2], q_add((w)[5], KQ((t) + 5)));       \
        Q_ROUND(s[2], s[3], s[4], s[5], s[6], s[7], s[0], s[1], q_add((w)[6], KQ((t) + 6)));       \
        Q_ROUND(s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[0], q_add((w)[7], KQ((t) + 7)));       \
    } while (0)

#define KQ(t) q_set(misocoin_sha512_k[t])

/* Word t of a schedule, from the four it is made of, in a ring of sixteen. */
S64 v64 sha512_word(const v64 *w, int t)
{
    return q_add(q_add(sha512_mix1(w[(t - 2) & 15]), w[(t - 7) & 15]),
                 q_add(sha512_mix0(w[(t - 15) & 15]), w[t & 15]));
}

/* Rounds 32 to 79, the ring holding words 16 to 31. */
S64 void sha512_finish(v64 s[8], v64 w[16])
{
    for (int t = 32; t < 80; t += 16) {
        for (int i = 0; i < 8; i++)
            w[i] = sha512_word(w, i);
        Q_EIGHT_ROUNDS(s, w, t);
        for (int i = 8; i < 16; i++)
            w[i] = sha512_word(w, i);
        Q_EIGHT_ROUNDS(s, w + 8, t + 8);
    }
}

/* SHA-512 of nonce and initial hash, as message words of the second hash. Words 1 to 15 are
 * constant; of words 16 to 31, job->schedule has what does not depend on the nonce. */
S64 void bitmessage_first_hash(const bitmessage_job *job, v64 nonce, v64 digest[16])
{
    v64 s[8], w[16];

    for (int i = 0; i < 8; i++)
        s[(i + 7) & 7] = q_set(job->started[i]); /* after round 0, a is s[7] */
    s[7] = q_add(s[7], nonce);
    s[3] = q_add(s[3], nonce);
    for (int i = 0; i < 16; i++)
        w[i] = q_set(job->words[i]);
    Q_SEVEN_ROUNDS(s, w, 0);
    Q_EIGHT_ROUNDS(s, w + 8, 8);

    for (int i = 0; i < 16; i++)
        w[i] = q_set(job->schedule[i]);
    w[0] = q_add(w[0], nonce);
    for (int t = 2; t < 7; t += 2)
        w[t] = q_add(w[t], sha512_mix1(w[t - 2]));
    for (int t = 7; t < 15; t++)
        w[t] = q_add(q_add(w[t], sha512_mix1(w[t - 2])), w[t - 7]);
    w[15] = q_add(q_add(w[15], sha512_mix1(w[13])), q_add(w[8], sha512_mix0(w[0])));
    Q_EIGHT_ROUNDS(s, w, 16);
    Q_EIGHT_ROUNDS(s, w + 8, 24);
    sha512_finish(s, w);
    for (int i = 0; i < 8; i++)
        digest[i] = q_add(s[i], q_set(misocoin_sha512_initial[i]));
}

/* The first word of SHA-512 of the 64 bytes in w[0] to w[7]. */
S64 v64 bitmessage_second_hash(v64 w[16])
{
    v64 s[8];

    for (int i = 0; i < 8; i++)
        s[i] = q_set(misocoin_sha512_initial[i]);
    for (int i = 8; i < 16; i++)
        w[i] = q_set(0);
    w[8] = q_set(0x8000000000000000u), w[15] = q_set(512);
    Q_EIGHT_ROUNDS(s, w, 0);
    Q_EIGHT_ROUNDS(s, w + 8, 8);

    /* Words 9 to 14 are zero: the next ones lack these terms. */
    w[0] = q_add(w[0], sha512_mix0(w[1]));
    w[1] = q_add(q_add(w[1], sha512_mix0(w[2])), sha512_mix1(w[15]));
    for (int t = 2; t < 6; t++)
        w[t] = q_add(q_add(sha512_mix1(w[t - 2]), sha512_mix0(w[t + 1])), w[t]);
    w[6] = q_add(q_add(sha512_mix1(w[4]), w[15]), q_add(sha512_mix0(w[7]), w[6]));
    w[7] = q_add(q_add(sha512_mix1(w[5]), w[0]), q_add(sha512_mix0(w[8]), w[7]));
    w[8] = q_add(q_add(sha512_mix1(w[6]), w[1]), w[8]);
    for (int t = 9; t < 14; t++)
        w[t] = q_add(sha512_mix1(w[t - 2]), w[t - 7]);
    w[14] = q_add(q_add(sha512_mix1(w[12]), w[7]), sha512_mix0(w[15]));
    w[15] = q_add(q_add(sha512_mix1(w[13]), w[8]), q_add(sha512_mix0(w[0]), w[15]));
    Q_EIGHT_ROUNDS(s, w, 16);
    Q_EIGHT_ROUNDS(s, w + 8, 24);
    sha512_finish(s, w);
    return q_add(s[0], q_set(misocoin_sha512_initial[0]));
}

static TARGET uint64_t bitmessage_search(const bitmessage_job *job, uint64_t first, uint64_t count)
{
    for (uint64_t at = 0; at < count; at += LANES64) {
        v64 w[16];
        uint32_t hits;

        bitmessage_first_hash(job, q_add(q_set(first + at), q_index()), w);
        hits = q_zeros(bitmessage_second_hash(w), q_set(job->mask));
        for (uint64_t lane = at; hits != 0; lane++, hits >>= 1)
            if ((hits & 1) && lane < count && misocoin_bitmessage_wins(job, first + lane))
                return lane;
    }
    return NOTHING;
}
