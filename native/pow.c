/* The search for nonces as Python sees it: which kernels this processor runs, and one function for
 * each kind of puzzle that runs a kernel over a range, without the interpreter's lock, in chunks
 * short enough to look at the stop flag every few milliseconds. */
#include "native.h"

#include "pow_jobs.h"

#include <string.h>

#if defined(MISOCOIN_POW_X86)
#include <cpuid.h>
#elif defined(MISOCOIN_POW_ARMV8) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

/* Nonces in a chunk: plain C takes about 10 ms for as many. */
#define HEADER_CHUNK (1u << 14)
#define BITMESSAGE_CHUNK (1u << 13)
#define HASHCASH_CHUNK (1u << 15)

/* -- which kernels ---------------------------------------------------------------------------- */

#define MOST_KERNELS 4

#if defined(MISOCOIN_POW_X86)
static bool has_sha_ni(void)
{
    unsigned int a, b = 0, c, d;

    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1) != 0 &&
           __builtin_cpu_supports("avx") != 0;
}
#elif defined(MISOCOIN_POW_ARMV8)
static bool has_armv8_sha(void)
{
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & (HWCAP_SHA1 | HWCAP_SHA2)) == (HWCAP_SHA1 | HWCAP_SHA2);
#elif defined(__APPLE__)
    return true; /* every one of Apple's has them */
#else
    return false;
#endif
}
#endif

/* The kernels this processor can run, `c` always among them; the number of them. */
static int usable_kernels(const pow_kernel *kernels[MOST_KERNELS])
{
    int count = 0;

    kernels[count++] = &misocoin_kernel_c;
#if defined(MISOCOIN_POW_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") != 0)
        kernels[count++] = &misocoin_kernel_avx2;
    if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0)
        kernels[count++] = &misocoin_kernel_avx512;
    if (has_sha_ni())
        kernels[count++] = &misocoin_kernel_shani;
#elif defined(MISOCOIN_POW_ARMV8)
    if (has_armv8_sha())
        kernels[count++] = &misocoin_kernel_armv8;
#endif
    return count;
}

static PyObject *pow_kernels(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    const pow_kernel *kernels[MOST_KERNELS];
    const int count = usable_kernels(kernels);
    PyObject *result = PyDict_New();

    for (int i = 0; i < count && result != NULL; i++) {
        const pow_kernel *kernel = kernels[i];
        PyObject *abilities = Py_BuildValue(
            "(NNNN)", PyBool_FromLong(kernel->header != NULL),
            PyBool_FromLong(kernel->bitmessage != NULL), PyBool_FromLong(kernel->sha1 != NULL),
            PyBool_FromLong(kernel->sha256 != NULL));
        if (abilities == NULL || PyDict_SetItemString(result, kernel->name, abilities) < 0)
            Py_CLEAR(result);
        Py_XDECREF(abilities);
    }
    return result;
}

static const pow_kernel *kernel_named(const char *name)
{
    const pow_kernel *kernels[MOST_KERNELS];

    for (int i = usable_kernels(kernels) - 1; i >= 0; i--)
        if (strcmp(kernels[i]->name, name) == 0)
            return kernels[i];
    PyErr_Format(PyExc_ValueError, "this processor has no kernel %s", name);
    return NULL;
}

/* -- one search ------------------------------------------------------------------------------- */

enum kind { HEADER, BITMESSAGE, HASHCASH };

typedef struct {
    enum kind kind;
    const pow_kernel *kernel;
    union {
        header_job header;
        bitmessage_job bitmessage;
        hashcash_job hashcash;
    } job;
    uint64_t chunk;
} search;

static uint64_t search_chunk(search *s, uint64_t first, uint64_t count)
{
    switch (s->kind) {
    case HEADER:
        return s->kernel->header(&s->job.header, first, count);
    case BITMESSAGE:
        return s->kernel->bitmessage(&s->job.bitmessage, first, count);
    case HASHCASH:
        return misocoin_search_hashcash(&s->job.hashcash, s->kernel, first, count);
    }
    return NOTHING;
}

/* (nonce or None, how many were tried) for `count` numbers from `first` on. */
static PyObject *run_search(search *s, uint64_t first, uint64_t count, const Py_buffer *stop)
{
    const volatile unsigned char *flag = stop->buf;
    uint64_t tried = 0, found = NOTHING;

    Py_BEGIN_ALLOW_THREADS
    while (tried < count && found == NOTHING && *flag == 0) {
        uint64_t size = s->chunk < count - tried ? s->chunk : count - tried;
        found = search_chunk(s, first + tried, size);
        tried += found == NOTHING ? size : found + 1;
    }
    Py_END_ALLOW_THREADS

    if (found == NOTHING)
        return Py_BuildValue("(OK)", Py_None, (unsigned long long)tried);
    return Py_BuildValue("(KK)", (unsigned long long)(first + tried - 1),
                         (unsigned long long)tried);
}

static bool is_size(const Py_buffer *buffer, Py_ssize_t size, const char *what)
{
    if (buffer->len != size)
        PyErr_Format(PyExc_ValueError, "%s has %zd bytes, not %zd", what, buffer->len, size);
    return buffer->len == size;
}

static PyObject *search_headers(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    search s = {.kind = HEADER, .chunk = HEADER_CHUNK};
    const char *name;
    Py_buffer header, target, stop;
    unsigned int versions;
    unsigned long long first, count;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(arguments, "sy*y*IKKw*:search_headers", &name, &header, &target,
                          &versions, &first, &count, &stop))
        return NULL;
    if ((s.kernel = kernel_named(name)) != NULL && is_size(&header, HEADER_BYTES, "a header") &&
        is_size(&target, 32, "a target") && is_size(&stop, 1, "a stop flag")) {
        if (versions < 1 || versions > 1u << 16)
            PyErr_SetString(PyExc_ValueError, "1 to 65536 versions can be rolled");
        else if (!misocoin_prepare_headers(&s.job.header, header.buf, target.buf, versions))
            PyErr_NoMemory();
        else {
            result = run_search(&s, first, count, &stop);
            misocoin_release_headers(&s.job.header);
        }
    }
    PyBuffer_Release(&header);
    PyBuffer_Release(&target);
    PyBuffer_Release(&stop);
    return result;
}

static PyObject *search_bitmessage(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    search s = {.kind = BITMESSAGE, .chunk = BITMESSAGE_CHUNK};
    const char *name;
    Py_buffer initial_hash, stop;
    unsigned long long target, first, count;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(arguments, "sy*KKKw*:search_bitmessage", &name, &initial_hash, &target,
                          &first, &count, &stop))
        return NULL;
    if ((s.kernel = kernel_named(name)) != NULL && is_size(&stop, 1, "a stop flag") &&
        is_size(&initial_hash, 64, "an initial hash")) {
        if (s.kernel->bitmessage == NULL)
            PyErr_Format(PyExc_ValueError, "kernel %s has no SHA-512", name);
        else {
            misocoin_prepare_bitmessage(&s.job.bitmessage, initial_hash.buf, target);
            result = run_search(&s, first, count, &stop);
        }
    }
    PyBuffer_Release(&initial_hash);
    PyBuffer_Release(&stop);
    return result;
}

static PyObject *search_hashcash(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    search s = {.kind = HASHCASH};
    const char *name;
    Py_buffer prefix, suffix, digits, stop;
    int is_sha1, width, bits;
    unsigned long long first, count;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(arguments, "spy*y*y*iiKKw*:search_hashcash", &name, &is_sha1, &prefix,
                          &suffix, &digits, &width, &bits, &first, &count, &stop))
        return NULL;
    if ((s.kernel = kernel_named(name)) != NULL && is_size(&stop, 1, "a stop flag")) {
        hashcash_job *job = &s.job.hashcash;

        if (digits.len < 2 || digits.len > 64 || width < 1 || width > 64 || bits < 0 ||
            bits > (is_sha1 ? 160 : 256))
            PyErr_SetString(PyExc_ValueError, "not a counter, or too many bits");
        else if (!misocoin_prepare_hashcash(job, is_sha1, prefix.buf, (size_t)prefix.len,
                                            suffix.buf, (size_t)suffix.len, digits.buf,
                                            (int)digits.len, width, bits))
            PyErr_NoMemory();
        else {
            s.chunk = 1 + HASHCASH_CHUNK / (1 + job->stretch.block_count);
            result = run_search(&s, first, count, &stop);
            misocoin_release_hashcash(job);
        }
    }
    PyBuffer_Release(&prefix);
    PyBuffer_Release(&suffix);
    PyBuffer_Release(&digits);
    PyBuffer_Release(&stop);
    return result;
}

PyMethodDef misocoin_pow_methods[] = {
    {"pow_kernels", pow_kernels, METH_NOARGS,
     "Name of each kernel this processor runs -> has it (headers, Bitmessage, SHA-1, SHA-256)."},
    {"search_headers", search_headers, METH_VARARGS,
     "(kernel, header, target little-endian, versions, first, count, stop flag) -> (nonce, tried)"},
    {"search_bitmessage", search_bitmessage, METH_VARARGS,
     "(kernel, initial hash, target, first, count, stop flag) -> (nonce, tried)"},
    {"search_hashcash", search_hashcash, METH_VARARGS,
     "(kernel, is SHA-1, prefix, suffix, digits, width, bits, first, count, stop flag) -> "
     "(nonce, tried)"},
    {NULL, NULL, 0, NULL},
};
