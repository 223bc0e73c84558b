"""torch.compile for the code that a GPU runs many small kernels for, where there is a compiler."""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")


@functools.cache
def compiled(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """A function compiled for images of any size, at its first call.

    Where that fails (it takes Triton and a C compiler), the function itself, and a warning.
    """
    # Of float32 it warns that fewer digits would be faster.
    warnings.filterwarnings("ignore", "TensorFloat32 tensor cores")
    fast = torch.compile(function, dynamic=True)
    broken = False

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        nonlocal broken
        if not broken:
            try:
                return fast(*args, **kwargs)
            except (torch.OutOfMemoryError, MemoryError):
                raise
            except Exception as error:  # the compiler has many, few of which it makes public
                broken = True
                reason = str(error).strip().split("\n")[0]
                warnings.warn(f"slower, as torch.compile fails: {reason}", stacklevel=2)
        return function(*args, **kwargs)

    return call
