/* What the parts of the native module share: each part hands module.c a table of methods. */
#ifndef MISOCOIN_NATIVE_H
#define MISOCOIN_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyMethodDef misocoin_verify_methods[]; /* verify.c: signature checks in batches */
extern PyMethodDef misocoin_pow_methods[];    /* pow.c: the search for nonces */

#endif
