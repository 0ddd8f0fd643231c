/* What verify.c (one check, one batch) and verify_queue.c (threads) share. */
#ifndef MISOCOIN_VERIFY_H
#define MISOCOIN_VERIFY_H

#include "native.h"

#include <stdint.h>
#include <stdlib.h>

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

typedef struct batch {
    struct batch *next;
    PyObject *owner; /* a tuple that keeps the bytes alive */
    job *items;
    unsigned char *valid; /* the answers */
    Py_ssize_t count;
} batch;

/* With the interpreter's lock held; NULL and a Python error if it fails. */
const library *misocoin_library_from_capsule(PyObject *capsule);
batch *misocoin_batch_from_sequence(PyObject *sequence);
int misocoin_append_failures(PyObject *list, const batch *jobs, Py_ssize_t offset);
void misocoin_batch_free(batch *jobs);

/* Needs no lock. */
int misocoin_is_valid(const library *lib, const job *item);

/* verify_queue.c: methods of the module. */
PyObject *misocoin_make_queue(PyObject *module, PyObject *library_capsule);
PyObject *misocoin_push(PyObject *module, PyObject *arguments);
PyObject *misocoin_serve(PyObject *module, PyObject *capsule);
PyObject *misocoin_skip(PyObject *module, PyObject *capsule);
PyObject *misocoin_finish(PyObject *module, PyObject *capsule);
PyObject *misocoin_close(PyObject *module, PyObject *capsule);

#endif
