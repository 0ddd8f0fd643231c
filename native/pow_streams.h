/* Searches by instructions that do rounds of SHA-256 and SHA-1 on one hash at a time.
 *
 * Such an instruction takes several cycles, but another may begin in each. So STREAMS independent
 * hashes run side by side, stream after stream in steps of a group: four message words, four
 * rounds. The words are made one step before their rounds, so that neither waits for the other.
 *
 * The file that includes this defines TARGET, OP, UNROLLED, STREAMS, EACH (a loop over these) and
 *   group             four message words, the first in the lowest lane; group_of, load_group,
 *                     add_groups, or_groups, place_bytes (a byte shuffle; 0x80 gives zero)
 *   sha256_state      with sha256_state_of, sha256_add, sha256_add_to_ae (a word to A and E),
 *                     sha256_first_word, sha256_digest (as the first two groups of a message)
 *   sha256_rounds     four rounds; sha256_shared_rounds: of all streams, with the same words;
 *                     sha256_last_word: what rounds 60 to 63 leave in H
 *   sha256_begin_group, sha256_end_group
 *                     of the schedule: w[t - 16] + mix0(w[t - 15]), and the other two terms
 *   sha1_state        with sha1_state_of, sha1_add, sha1_first_word, sha1_rounds, sha1_next_group,
 *                     and SHA1_REVERSED, whether the first word is in the highest lane there */

OP group group_k(int i) { return load_group(misocoin_sha256_k + 4 * i); }

/* A group from the four before it, oldest first. */
OP group sha256_next_group(group g0, group g1, group g2, group g3)
{
    return sha256_end_group(sha256_begin_group(g0, g1), g2, g3);
}

/* Four rounds of all streams, each with its own words (constants added). */
OP void four_rounds(sha256_state state[STREAMS], const group kw[STREAMS])
{
    EACH sha256_rounds(&state[s], kw[s]);
}

/* Four rounds of all streams with the words of one group, while those of group `next` are made. */
OP void rounds_and_group(sha256_state state[STREAMS], group kw[STREAMS], group g[STREAMS][4],
                         int next)
{
    const int i = next & 3;

    EACH {
        const group now = kw[s];

        g[s][i] = sha256_next_group(g[s][i], g[s][(i + 1) & 3], g[s][(i + 2) & 3],
                                    g[s][(i + 3) & 3]);
        kw[s] = add_groups(g[s][i], group_k(next));
        sha256_rounds(&state[s], now);
    }
}

/* -- block headers -------------------------------------------------------------------------- */

/* Groups 4 to 7 of a header's second block; what comes before is constant, mostly padding. */
OP void header_groups(const header_job *job, uint32_t nonce_word, group g[4])
{
    const group g1 = group_of(0x80000000u, 0, 0, 0), g2 = group_of(0, 0, 0, 0);
    const group g3 = group_of(0, 0, 0, 640);
    uint32_t mix0 = (nonce_word >> 7 | nonce_word << 25) ^ (nonce_word >> 18 | nonce_word << 14) ^
                    nonce_word >> 3;

    g[0] = group_of(job->w16, job->w17, job->w18 + mix0, job->w19 + nonce_word);
    g[1] = sha256_end_group(g1, g3, g[0]);
    g[2] = sha256_end_group(g2, g[0], g[1]);
    g[3] = sha256_next_group(g3, g[0], g[1], g[2]);
}

/* The second hash of each stream's digest; as bits, where its last word is zero under a mask. */
OP uint32_t header_second_hash(sha256_state state[STREAMS], uint32_t mask)
{
    const group g2 = group_of(0x80000000u, 0, 0, 0), g3 = group_of(0, 0, 0, 256);
    group g[STREAMS][4], kw[STREAMS];
    uint32_t hits = 0;

    EACH sha256_digest(&state[s], g[s]);
    EACH state[s] = sha256_state_of(misocoin_sha256_initial);
    EACH kw[s] = add_groups(g[s][0], group_k(0));
    four_rounds(state, kw);
    EACH kw[s] = add_groups(g[s][1], group_k(1));
    four_rounds(state, kw);
    sha256_shared_rounds(state, add_groups(g2, group_k(2)));

    /* Groups 4 to 6, shortened by the padding in groups 2 and 3. */
    EACH g[s][0] = sha256_end_group(sha256_begin_group(g[s][0], g[s][1]), g2, g3);
    sha256_shared_rounds(state, add_groups(g3, group_k(3)));
    EACH g[s][1] = sha256_end_group(sha256_begin_group(g[s][1], g2), g3, g[s][0]);
    EACH kw[s] = add_groups(g[s][0], group_k(4));
    four_rounds(state, kw);
    EACH g[s][2] = sha256_end_group(g2, g[s][0], g[s][1]);
    EACH kw[s] = add_groups(g[s][1], group_k(5));
    four_rounds(state, kw);
    EACH kw[s] = add_groups(g[s][2], group_k(6));
    EACH g[s][3] = g3;
    UNROLLED
    for (int next = 7; next < 16; next++)
        rounds_and_group(state, kw, g, next);

    EACH {
        uint32_t last = sha256_last_word(&state[s], kw[s]) + misocoin_sha256_initial[7];
        hits |= (uint32_t)((last & mask) == 0) << s;
    }
    return hits;
}

/* The state after round 3 of a header's second block. */
OP void start_header(sha256_state *state, const header_version *version, uint32_t nonce_word)
{
    *state = sha256_add_to_ae(sha256_state_of(version->started), nonce_word);
}

/* Rounds 4 to 15, whose words are padding. */
OP void header_padding_rounds(sha256_state state[STREAMS])
{
    sha256_shared_rounds(state, add_groups(group_of(0x80000000u, 0, 0, 0), group_k(1)));
    sha256_shared_rounds(state, group_k(2));
    sha256_shared_rounds(state, add_groups(group_of(0, 0, 0, 640), group_k(3)));
}

/* One version: a nonce in each stream. */
static TARGET uint64_t search_nonces(const header_job *job, uint64_t first, uint64_t count)
{
    const header_version *version = job->versions;

    for (uint64_t at = 0; at < count; at += STREAMS) {
        sha256_state state[STREAMS];
        group g[STREAMS][4], kw[STREAMS];
        uint32_t hits;

        EACH {
            uint32_t nonce_word = misocoin_swap32((uint32_t)(first + at) + (uint32_t)s);
            start_header(&state[s], version, nonce_word);
            header_groups(job, nonce_word, g[s]);
        }
        header_padding_rounds(state);
        UNROLLED
        for (int i = 4; i < 7; i++) {
            EACH kw[s] = add_groups(g[s][i & 3], group_k(i));
            four_rounds(state, kw);
        }
        EACH kw[s] = add_groups(g[s][3], group_k(7));
        UNROLLED
        for (int next = 8; next < 16; next++)
            rounds_and_group(state, kw, g, next);
        four_rounds(state, kw);
        EACH state[s] = sha256_add(state[s], sha256_state_of(version->midstate));
        hits = header_second_hash(state, job->mask);
        for (uint64_t number = at; hits != 0; number++, hits >>= 1)
            if ((hits & 1) && number < count && misocoin_header_wins(job, first + number))
                return number;
    }
    return NOTHING;
}

/* Several versions: a version in each stream, the nonce and its message schedule shared. */
static TARGET uint64_t search_versions(const header_job *job, uint64_t first, uint64_t count)
{
    const uint64_t versions = job->version_count;

    for (uint64_t nonce = first / versions; nonce * versions < first + count; nonce++) {
        const uint32_t nonce_word = misocoin_swap32((uint32_t)nonce);
        group g[4], kw[16];

        header_groups(job, nonce_word, g);
        UNROLLED
        for (int i = 4; i < 8; i++)
            kw[i] = add_groups(g[i & 3], group_k(i));
        UNROLLED
        for (int i = 8; i < 16; i++) {
            g[i & 3] = sha256_next_group(g[i & 3], g[(i + 1) & 3], g[(i + 2) & 3], g[(i + 3) & 3]);
            kw[i] = add_groups(g[i & 3], group_k(i));
        }
        for (uint64_t base = 0; base < versions; base += STREAMS) {
            const header_version *version[STREAMS];
            sha256_state state[STREAMS];
            uint32_t hits;

            EACH version[s] = &job->versions[base + s < versions ? base + s : base];
            EACH start_header(&state[s], version[s], nonce_word);
            header_padding_rounds(state);
            UNROLLED
            for (int i = 4; i < 16; i++)
                sha256_shared_rounds(state, kw[i]);
            EACH state[s] = sha256_add(state[s], sha256_state_of(version[s]->midstate));
            hits = header_second_hash(state, job->mask);
            for (uint64_t index = base; hits != 0 && index < versions; index++, hits >>= 1) {
                uint64_t number = nonce * versions + index;
                if ((hits & 1) && number >= first && number - first < count &&
                    misocoin_header_wins(job, number))
                    return number - first;
            }
        }
    }
    return NOTHING;
}

static uint64_t header_search(const header_job *job, uint64_t first, uint64_t count)
{
    return job->version_count == 1 ? search_nonces(job, first, count)
                                   : search_versions(job, first, count);
}

/* -- hashcash ------------------------------------------------------------------------------- */

typedef struct {
    group words[4];  /* a block of the stretch, without the low digits */
    group places[4]; /* a byte shuffle that brings the low digits' two words to theirs */
} stretch_block;

OP void load_stretch_block(const hashcash_stretch *stretch, size_t block, bool is_reversed,
                           stretch_block *loaded)
{
    const uint32_t *words = stretch->blocks + 16 * block;
    uint32_t places[4][4];

    memset(places, 0x80, sizeof places);
    for (int part = 0; part < 2; part++) {
        const int word = stretch->low_word + part;
        const int lane = is_reversed ? 3 - word % 4 : word % 4;
        if ((size_t)word / 16 == block)
            places[word % 16 / 4][lane] = 0x03020100u + 0x04040404u * (uint32_t)part;
    }
    for (int i = 0; i < 4; i++, words += 4) {
        loaded->words[i] = is_reversed ? group_of(words[3], words[2], words[1], words[0])
                                       : load_group(words);
        loaded->places[i] = load_group(places[i]);
    }
}

OP group stretch_group(const stretch_block *block, int i, group low)
{
    return or_groups(block->words[i], place_bytes(low, block->places[i]));
}

/* The three blocks at hand: the two that low digits may lie in, and one of the rest. */
OP const stretch_block *block_at_hand(const hashcash_stretch *stretch, size_t block,
                                      bool is_reversed, stretch_block blocks[3])
{
    if (block < 2)
        return &blocks[block];
    load_stretch_block(stretch, block, is_reversed, &blocks[2]);
    return &blocks[2];
}

OP group low_digits(const hashcash_stretch *stretch, uint64_t value)
{
    return group_of(stretch->low[0][value], stretch->low[1][value], 0, 0);
}

OP uint64_t lowest_hit(uint32_t hits, uint64_t at, uint64_t count)
{
    uint64_t number = at + (uint64_t)__builtin_ctz(hits);
    return number < count ? number : NOTHING;
}

static TARGET uint64_t sha256_search(const hashcash_stretch *stretch, uint64_t first,
                                     uint64_t count)
{
    const int skipped = stretch->low_word / 4; /* groups before the low digits' */
    uint32_t started[8];
    stretch_block blocks[3];

    memcpy(started, stretch->state, sizeof started);
    misocoin_sha256_rounds(started, stretch->blocks, 0, 4 * skipped);
    for (size_t block = 0; block < stretch->block_count && block < 2; block++)
        load_stretch_block(stretch, block, false, &blocks[block]);
    for (uint64_t at = 0; at < count; at += STREAMS) {
        sha256_state before[STREAMS], state[STREAMS];
        group low[STREAMS], g[STREAMS][4], kw[STREAMS];
        uint32_t hits = 0;

        EACH low[s] = low_digits(stretch, first + at + (uint64_t)s);
        EACH before[s] = sha256_state_of(stretch->state);
        EACH state[s] = sha256_state_of(started);
        for (size_t block = 0; block < stretch->block_count; block++) {
            const stretch_block *words = block_at_hand(stretch, block, false, blocks);

            UNROLLED
            for (int i = 0; i < 4; i++) {
                EACH g[s][i] = stretch_group(words, i, low[s]);
                EACH kw[s] = add_groups(g[s][i], group_k(i));
                if (i < 3 && (block != 0 || i >= skipped))
                    four_rounds(state, kw);
            }
            UNROLLED
            for (int next = 4; next < 16; next++)
                rounds_and_group(state, kw, g, next);
            four_rounds(state, kw);
            EACH state[s] = before[s] = sha256_add(state[s], before[s]);
        }
        EACH hits |= (uint32_t)((sha256_first_word(&state[s]) & stretch->mask) == 0) << s;
        if (hits != 0)
            return lowest_hit(hits, at, count);
    }
    return NOTHING;
}

/* Groups `from` to `to` - 1, whose rounds have one function of the four. */
#define SHA1_GROUPS(from, to, function)                                                            \
    UNROLLED                                                                                       \
    for (int i = from; i < to; i++)                                                                \
        EACH {                                                                                     \
            g[s][i & 3] = sha1_next_group(g[s][i & 3], g[s][(i + 1) & 3], g[s][(i + 2) & 3],       \
                                          g[s][(i + 3) & 3]);                                      \
            sha1_rounds(&state[s], g[s][i & 3], function);                                         \
        }

static TARGET uint64_t sha1_search(const hashcash_stretch *stretch, uint64_t first, uint64_t count)
{
    const int skipped = stretch->low_word / 4;
    uint32_t started[5];
    stretch_block blocks[3];

    memcpy(started, stretch->state, sizeof started);
    misocoin_sha1_rounds(started, stretch->blocks, 0, 4 * skipped);
    for (size_t block = 0; block < stretch->block_count && block < 2; block++)
        load_stretch_block(stretch, block, SHA1_REVERSED, &blocks[block]);
    for (uint64_t at = 0; at < count; at += STREAMS) {
        sha1_state before[STREAMS], state[STREAMS];
        group low[STREAMS], g[STREAMS][4];
        uint32_t hits = 0;

        EACH low[s] = low_digits(stretch, first + at + (uint64_t)s);
        EACH before[s] = sha1_state_of(stretch->state);
        EACH state[s] = sha1_state_of(started);
        for (size_t block = 0; block < stretch->block_count; block++) {
            const stretch_block *words = block_at_hand(stretch, block, SHA1_REVERSED, blocks);

            UNROLLED
            for (int i = 0; i < 4; i++) {
                EACH g[s][i] = stretch_group(words, i, low[s]);
                if (block != 0 || i >= skipped)
                    EACH sha1_rounds(&state[s], g[s][i], 0);
            }
            SHA1_GROUPS(4, 5, 0)
            SHA1_GROUPS(5, 10, 1)
            SHA1_GROUPS(10, 15, 2)
            SHA1_GROUPS(15, 20, 3)
            EACH state[s] = before[s] = sha1_add(state[s], before[s]);
        }
        EACH hits |= (uint32_t)((sha1_first_word(&state[s]) & stretch->mask) == 0) << s;
        if (hits != 0)
            return lowest_hit(hits, at, count);
    }
    return NOTHING;
}
