/* misocoin._native: the loops that must not hold the interpreter's lock. Optional: every function
 * here has a portable twin in Python that gives the same answers, slower. */
#include "native.h"

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "misocoin._native",
    "Native loops of Misocoin; each has a portable twin in Python.", -1, NULL, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    if (PyModule_AddFunctions(module, misocoin_verify_methods) < 0 ||
        PyModule_AddFunctions(module, misocoin_pow_methods) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
