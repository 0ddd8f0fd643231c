/* Signature checks in batches, without the interpreter's lock.
 *
 * The arithmetic is that of the libsecp256k1 which coincurve has loaded: Python hands over the
 * addresses of its functions, so that no second copy of the library exists. Only functions that
 * leave their context unchanged are called, hence any number of threads may do so at once. */
#include "verify.h"

#include <string.h>

#define LIBRARY_CAPSULE "misocoin.secp256k1"

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

int misocoin_is_valid(const library *lib, const job *item)
{
    return item->kind == ECDSA ? is_valid_ecdsa(lib, item) : is_valid_schnorr(lib, item);
}

const library *misocoin_library_from_capsule(PyObject *capsule)
{
    return PyCapsule_GetPointer(capsule, LIBRARY_CAPSULE);
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

void misocoin_batch_free(batch *jobs)
{
    if (jobs == NULL)
        return;
    Py_XDECREF(jobs->owner);
    free(jobs->items);
    free(jobs->valid);
    free(jobs);
}

batch *misocoin_batch_from_sequence(PyObject *sequence)
{
    batch *jobs = calloc(1, sizeof *jobs);
    Py_ssize_t i;

    if (jobs == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    /* A tuple of tuples of bytes cannot change, so its views stay good while the lock is away. */
    jobs->owner = PySequence_Tuple(sequence);
    if (jobs->owner == NULL)
        goto failed;
    jobs->count = PyTuple_Size(jobs->owner);
    jobs->items = calloc(jobs->count > 0 ? (size_t)jobs->count : 1, sizeof *jobs->items);
    jobs->valid = calloc(jobs->count > 0 ? (size_t)jobs->count : 1, sizeof *jobs->valid);
    if (jobs->items == NULL || jobs->valid == NULL) {
        PyErr_NoMemory();
        goto failed;
    }
    for (i = 0; i < jobs->count; i++)
        if (job_from_item(PyTuple_GetItem(jobs->owner, i), &jobs->items[i]) < 0)
            goto failed;
    return jobs;
failed:
    misocoin_batch_free(jobs);
    return NULL;
}

int misocoin_append_failures(PyObject *list, const batch *jobs, Py_ssize_t offset)
{
    Py_ssize_t i;

    for (i = 0; i < jobs->count; i++) {
        PyObject *index;
        int status;
        if (jobs->valid[i])
            continue;
        index = PyLong_FromSsize_t(offset + i);
        if (index == NULL)
            return -1;
        status = PyList_Append(list, index);
        Py_DECREF(index);
        if (status < 0)
            return -1;
    }
    return 0;
}

static PyObject *find_invalid(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *capsule, *sequence, *failures;
    const library *lib;
    batch *jobs;
    Py_ssize_t i;

    if (!PyArg_ParseTuple(arguments, "OO:find_invalid", &capsule, &sequence))
        return NULL;
    lib = misocoin_library_from_capsule(capsule);
    jobs = lib == NULL ? NULL : misocoin_batch_from_sequence(sequence);
    if (jobs == NULL)
        return NULL;

    Py_BEGIN_ALLOW_THREADS
    for (i = 0; i < jobs->count; i++)
        jobs->valid[i] = (unsigned char)misocoin_is_valid(lib, &jobs->items[i]);
    Py_END_ALLOW_THREADS

    failures = PyList_New(0);
    if (failures != NULL && misocoin_append_failures(failures, jobs, 0) < 0)
        Py_CLEAR(failures);
    misocoin_batch_free(jobs);
    return failures;
}

PyMethodDef misocoin_verify_methods[] = {
    {"make_library", make_library, METH_O,
     "make_library(addresses) -> capsule\n\n"
     "Addresses of a libsecp256k1: a context and six functions, in the order of `library`."},
    {"find_invalid", find_invalid, METH_VARARGS,
     "find_invalid(library, jobs) -> list[int]\n\n"
     "Check all jobs without the interpreter's lock; the indices of those that are not valid."},
    {"make_queue", misocoin_make_queue, METH_O,
     "make_queue(library) -> capsule\n\nA queue of batches that threads work off."},
    {"push", misocoin_push, METH_VARARGS,
     "push(queue, jobs)\n\nAppend jobs and wake the threads that serve the queue."},
    {"serve", misocoin_serve, METH_O,
     "serve(queue)\n\nCheck jobs without the interpreter's lock until the queue is closed."},
    {"skip", misocoin_skip, METH_O,
     "skip(queue)\n\nLeave the jobs that no thread has begun with unchecked: they count as invalid."},
    {"finish", misocoin_finish, METH_O,
     "finish(queue) -> list[int]\n\n"
     "Help until all jobs are checked, empty the queue; the indices of those not valid."},
    {"close", misocoin_close, METH_O, "close(queue)\n\nMake all calls of `serve` return."},
    {NULL, NULL, 0, NULL},
};
