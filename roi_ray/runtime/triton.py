"""Whether kernels of our own can be compiled for a GPU here."""

import functools
import importlib.util
import os
import shutil
import sysconfig


@functools.cache
def has_triton() -> bool:
    """Whether Triton is there, and the C compiler and Python's headers that it needs."""
    compilers = (os.environ.get("CC"), "cc", "gcc", "clang")
    compiler = any(name and shutil.which(name) for name in compilers)
    # Where Triton looks for them, whatever scheme the system has for its own packages.
    include = sysconfig.get_path("include", "posix_prefix")
    headers = os.path.isfile(os.path.join(include, "Python.h"))
    return compiler and headers and importlib.util.find_spec("triton") is not None
