"""Builds the optional native module; everything else is declared in pyproject.toml.

Where no compiler is found the installation succeeds without it and the portable code serves.
"""

from pathlib import Path

from setuptools import Extension, setup

sources = sorted(str(path) for path in Path("native").glob("*.c"))

setup(
    ext_modules=[
        Extension(
            "misocoin._native",
            sources=sources,
            depends=sorted(str(path) for path in Path("native").glob("*.h")),
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            py_limited_api=True,
            # Symbols for a debugger would be fifteen times the code, and half the time to build.
            extra_compile_args=["-O3", "-std=c11", "-g0"],
            optional=True,
        )
    ]
    if sources
    else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
