/* Every kernel of the processor it is compiled for, held to plain C over random jobs; exit code 1 and
 * a line where they differ. For processors that only an emulator has at hand. */
#include "pow_jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const pow_kernel *const kernels[] = {
    &misocoin_kernel_c,
#if defined(MISOCOIN_POW_X86)
    &misocoin_kernel_avx2,
    &misocoin_kernel_avx512,
    &misocoin_kernel_shani,
#elif defined(MISOCOIN_POW_ARMV8)
    &misocoin_kernel_armv8,
#endif
};

#define KERNELS ((int)(sizeof kernels / sizeof *kernels))
#define ROUNDS 2000

static uint32_t draw(uint32_t below) { return (uint32_t)random() % below; }

static void fill(unsigned char *bytes, int size)
{
    for (int i = 0; i < size; i++)
        bytes[i] = (unsigned char)random();
}

static int differs(const char *what, const pow_kernel *kernel, uint64_t found, uint64_t wanted)
{
    if (found != wanted)
        printf("%s, %s: %llu, not %llu\n", what, kernel->name, (unsigned long long)found,
               (unsigned long long)wanted);
    return found != wanted;
}

/* A range of up to 400 numbers, often at the end of the space. */
static uint64_t draw_range(uint64_t space, uint64_t *count)
{
    uint64_t random64 = (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
    uint64_t first = draw(2) || space < 400 ? random64 % space : space - 1 - draw(400);

    *count = draw(400);
    if (*count > space - first)
        *count = space - first;
    return first;
}

static int check_headers(void)
{
    static const uint32_t versions[] = {1, 1, 2, 3, 4, 5, 9};
    unsigned char header[HEADER_BYTES], target[32];
    header_job job;
    uint64_t first, count, wanted = NOTHING;
    const uint32_t version_count = versions[draw(7)];
    const int zeros = (int)draw(2);
    int failures = 0;

    fill(header, sizeof header);
    fill(target, sizeof target);
    memset(target + 32 - zeros, 0, (size_t)zeros);
    target[31 - zeros] = (unsigned char)draw(16);
    if (!misocoin_prepare_headers(&job, header, target, version_count))
        return 1;
    first = draw_range((uint64_t)version_count << 32, &count);
    for (uint64_t i = 0; i < count && wanted == NOTHING; i++)
        if (misocoin_header_wins(&job, first + i))
            wanted = i;
    for (int i = 0; i < KERNELS; i++)
        failures += differs("header", kernels[i], kernels[i]->header(&job, first, count), wanted);
    misocoin_release_headers(&job);
    return failures;
}

static int check_hashcash(bool is_sha1)
{
    static const char *const alphabets[] = {"ab", "0123456789", "0123456789abcdef"};
    const char *digits = alphabets[draw(3)];
    const int base = (int)strlen(digits), width = 1 + (int)draw(10), bits = (int)draw(11);
    unsigned char prefix[150], suffix[200];
    const size_t prefix_size = draw(150), suffix_size = draw(2) ? draw(200) : 0;
    uint64_t space = 1, first, count, wanted = NOTHING;
    int failures = 0;

    fill(prefix, sizeof prefix);
    fill(suffix, sizeof suffix);
    for (int i = 0; i < width; i++)
        space *= (uint64_t)base;
    first = draw_range(space, &count);
    for (int i = 0; i < KERNELS; i++) {
        hashcash_job job;
        uint64_t found;

        if ((is_sha1 ? kernels[i]->sha1 : kernels[i]->sha256) == NULL)
            continue;
        if (!misocoin_prepare_hashcash(&job, is_sha1, prefix, prefix_size, suffix, suffix_size,
                                       (const unsigned char *)digits, base, width, bits))
            return 1;
        found = misocoin_search_hashcash(&job, kernels[i], first, count);
        if (i == 0)
            wanted = found;
        failures += differs(is_sha1 ? "sha1" : "sha256", kernels[i], found, wanted);
        misocoin_release_hashcash(&job);
    }
    return failures;
}

int main(void)
{
    int failures = 0;

    for (int round = 0; round < ROUNDS && failures == 0; round++)
        failures = check_headers() + check_hashcash(true) + check_hashcash(false);
    if (failures == 0)
        printf("%d kernels agree\n", KERNELS);
    return failures != 0;
}
