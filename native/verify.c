/* Signature checks in batches, without the interpreter's lock.
 *
 * The arithmetic is that of the libsecp256k1 which coincurve has loaded: Python hands over the
 * addresses of its functions, so that no second copy of the library exists. Only functions that
 * leave their context unchanged are called, hence any number of threads may do so at once. */
#include "native.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY_CAPSULE "misocoin.secp256k1"

/* secp256k1.h: opaque structures of 64 bytes. */
typedef struct { unsigned char data[64]; } opaque64;

typedef struct {
    const void *context;
    int (*pubkey_parse)(const void *, opaque64 *, const unsigned char *, size_t);
    int (*signature_parse_compact)(const void *, opaque64 *, const unsigned char *);
    int (*signature_normalize)(const void *, opaque64 *, const opaque64 *);
    int (*ecdsa_verify)(const void *, const opaque64 *, const unsigned char *, const opaque64 *);
    int (*xonly_parse)(const void *, opaque64 *, const unsigned char *);
    int (*schnorr_verify)(const void *, const unsigned char *, const unsigned char *, size_t,
                          const opaque64 *);
} library;

/* SignatureKind in misocoin/crypto/batch.py. */
enum kind { ECDSA = 0, SCHNORR = 1 };

typedef struct {
    const unsigned char *data;
    size_t size;
} bytes_view;

typedef struct {
    long kind;
    bytes_view public_key, signature, digest;
} job;

/* One INTEGER of a lax DER signature, from *position on, as 32 bytes; 0 if there is none. The
 * same reader as compact_from_lax_der in misocoin/crypto/der.py, which says what it tolerates. */
static int read_lax_integer(const bytes_view *input, size_t *position, unsigned char *number)
{
    size_t at = *position, length, skipped;

    if (input->size - at < 2 || input->data[at] != 0x02)
        return 0;
    length = input->data[at + 1];
    at += 2;
    if (length & 0x80) {
        size_t digits = length & 0x7F;
        if (digits > input->size - at)
            return 0;
        length = 0;
        for (; digits > 0; digits--, at++) {
            if (length > (SIZE_MAX >> 8))
                return 0;
            length = length << 8 | input->data[at];
        }
    }
    if (length > input->size - at)
        return 0;
    *position = at + length;
    for (skipped = 0; skipped < length && input->data[at + skipped] == 0; skipped++)
        ;
    at += skipped;
    length -= skipped;
    if (length > 32)
        return 0;
    memset(number, 0, 32);
    if (length > 0)
        memcpy(number + 32 - length, input->data + at, length);
    return 1;
}

static int compact_from_lax_der(const bytes_view *input, unsigned char compact[64])
{
    size_t position = 2;

    if (input->size < 2 || input->data[0] != 0x30)
        return 0;
    if (input->data[1] & 0x80) {
        size_t digits = input->data[1] & 0x7F;
        if (digits > input->size - 2)
            return 0;
        position += digits;
    }
    return read_lax_integer(input, &position, compact) &&
           read_lax_integer(input, &position, compact + 32);
}

static int is_valid_ecdsa(const library *lib, const job *item)
{
    unsigned char compact[64];
    opaque64 public_key, signature;

    return item->digest.size == 32 && compact_from_lax_der(&item->signature, compact) &&
           lib->pubkey_parse(lib->context, &public_key, item->public_key.data,
                             item->public_key.size) &&
           lib->signature_parse_compact(lib->context, &signature, compact) &&
           (lib->signature_normalize(lib->context, &signature, &signature), 1) &&
           lib->ecdsa_verify(lib->context, &signature, item->digest.data, &public_key);
}

static int is_valid_schnorr(const library *lib, const job *item)
{
    opaque64 public_key;

    return item->public_key.size == 32 && item->signature.size == 64 &&
           lib->xonly_parse(lib->context, &public_key, item->public_key.data) &&
           lib->schnorr_verify(lib->context, item->signature.data, item->digest.data,
                               item->digest.size, &public_key);
}

static int is_valid(const library *lib, const job *item)
{
    return item->kind == ECDSA ? is_valid_ecdsa(lib, item) : is_valid_schnorr(lib, item);
}

static void free_library(PyObject *capsule)
{
    free(PyCapsule_GetPointer(capsule, LIBRARY_CAPSULE));
}

/* An address Python knows as an int becomes a pointer; a function pointer is copied byte by byte,
 * since C has no cast from void * to one. */
static int pointer_from_item(PyObject *addresses, Py_ssize_t index, void *pointer)
{
    PyObject *item = PyTuple_GetItem(addresses, index);
    void *address = item == NULL ? NULL : PyLong_AsVoidPtr(item);

    if (address == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "an address is null");
        return -1;
    }
    memcpy(pointer, &address, sizeof address);
    return 0;
}

static PyObject *make_library(PyObject *Py_UNUSED(module), PyObject *addresses)
{
    library *lib;
    PyObject *capsule;

    if (!PyTuple_Check(addresses) || PyTuple_Size(addresses) != 7) {
        PyErr_SetString(PyExc_TypeError, "a tuple of seven addresses is needed");
        return NULL;
    }
    lib = calloc(1, sizeof *lib);
    if (lib == NULL)
        return PyErr_NoMemory();
    if (pointer_from_item(addresses, 0, &lib->context) < 0 ||
        pointer_from_item(addresses, 1, &lib->pubkey_parse) < 0 ||
        pointer_from_item(addresses, 2, &lib->signature_parse_compact) < 0 ||
        pointer_from_item(addresses, 3, &lib->signature_normalize) < 0 ||
        pointer_from_item(addresses, 4, &lib->ecdsa_verify) < 0 ||
        pointer_from_item(addresses, 5, &lib->xonly_parse) < 0 ||
        pointer_from_item(addresses, 6, &lib->schnorr_verify) < 0) {
        free(lib);
        return NULL;
    }
    capsule = PyCapsule_New(lib, LIBRARY_CAPSULE, free_library);
    if (capsule == NULL)
        free(lib);
    return capsule;
}

static int view_from_item(PyObject *tuple, Py_ssize_t index, bytes_view *view)
{
    PyObject *item = PyTuple_GetItem(tuple, index);
    char *data;
    Py_ssize_t size;

    if (item == NULL || PyBytes_AsStringAndSize(item, &data, &size) < 0)
        return -1;
    view->data = (const unsigned char *)data;
    view->size = (size_t)size;
    return 0;
}

static int job_from_item(PyObject *item, job *out)
{
    if (!PyTuple_Check(item) || PyTuple_Size(item) != 4) {
        PyErr_SetString(PyExc_TypeError, "a job is a tuple of four");
        return -1;
    }
    out->kind = PyLong_AsLong(PyTuple_GetItem(item, 0));
    if (out->kind == -1 && PyErr_Occurred())
        return -1;
    if (out->kind != ECDSA && out->kind != SCHNORR) {
        PyErr_SetString(PyExc_ValueError, "unknown kind of signature");
        return -1;
    }
    return view_from_item(item, 1, &out->public_key) < 0 ||
                   view_from_item(item, 2, &out->signature) < 0 ||
                   view_from_item(item, 3, &out->digest) < 0
               ? -1
               : 0;
}

/* The indices i with valid[i] == 0, as a list. */
static PyObject *list_of_failures(const unsigned char *valid, Py_ssize_t count)
{
    PyObject *failures = PyList_New(0);
    Py_ssize_t i;

    for (i = 0; failures != NULL && i < count; i++) {
        PyObject *index;
        if (valid[i])
            continue;
        index = PyLong_FromSsize_t(i);
        if (index == NULL || PyList_Append(failures, index) < 0)
            Py_CLEAR(failures);
        Py_XDECREF(index);
    }
    return failures;
}

static PyObject *find_invalid(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *capsule, *sequence, *jobs, *failures = NULL;
    const library *lib;
    job *items = NULL;
    unsigned char *valid = NULL;
    Py_ssize_t count, i;

    if (!PyArg_ParseTuple(arguments, "OO:find_invalid", &capsule, &sequence))
        return NULL;
    lib = PyCapsule_GetPointer(capsule, LIBRARY_CAPSULE);
    if (lib == NULL)
        return NULL;
    /* A tuple of tuples of bytes cannot change, so its views stay good while the lock is away. */
    jobs = PySequence_Tuple(sequence);
    if (jobs == NULL)
        return NULL;
    count = PyTuple_Size(jobs);
    items = calloc(count > 0 ? (size_t)count : 1, sizeof *items);
    valid = calloc(count > 0 ? (size_t)count : 1, sizeof *valid);
    if (items == NULL || valid == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (i = 0; i < count; i++)
        if (job_from_item(PyTuple_GetItem(jobs, i), &items[i]) < 0)
            goto done;

    Py_BEGIN_ALLOW_THREADS
    for (i = 0; i < count; i++)
        valid[i] = (unsigned char)is_valid(lib, &items[i]);
    Py_END_ALLOW_THREADS

    failures = list_of_failures(valid, count);
done:
    free(items);
    free(valid);
    Py_DECREF(jobs);
    return failures;
}

PyMethodDef misocoin_verify_methods[] = {
    {"make_library", make_library, METH_O,
     "make_library(addresses) -> capsule\n\n"
     "Addresses of a libsecp256k1: a context and six functions, in the order of `library`."},
    {"find_invalid", find_invalid, METH_VARARGS,
     "find_invalid(library, jobs) -> list[int]\n\n"
     "Check all jobs without the interpreter's lock; the indices of those that are not valid."},
    {NULL, NULL, 0, NULL},
};
