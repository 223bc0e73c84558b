"""Detect whether this project's Triton kernels can be compiled on this machine."""

import functools
import importlib.util
import os
import shutil
import sysconfig


@functools.cache
def has_triton() -> bool:
    """Check for Triton, and for the C compiler and Python headers that it needs."""
    compilers = (os.environ.get("CC"), "cc", "gcc", "clang")
    compiler = any(name and shutil.which(name) for name in compilers)
    # Triton always looks for the headers in this scheme's folder, even if the system uses another.
    include = sysconfig.get_path("include", "posix_prefix")
    headers = os.path.isfile(os.path.join(include, "Python.h"))
    return compiler and headers and importlib.util.find_spec("triton") is not None
