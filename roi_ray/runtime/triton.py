"""Whether this project's Triton kernels can be compiled on this machine."""

import functools
import importlib.util
import os
import shutil
import sysconfig


@functools.cache
def has_triton() -> bool:
    """Whether Triton is installed, and the C compiler and Python headers that it needs."""
    compilers = (os.environ.get("CC"), "cc", "gcc", "clang")
    compiler = any(name and shutil.which(name) for name in compilers)
    # Triton looks for the headers there, whatever scheme the system's packages use.
    include = sysconfig.get_path("include", "posix_prefix")
    headers = os.path.isfile(os.path.join(include, "Python.h"))
    return compiler and headers and importlib.util.find_spec("triton") is not None
