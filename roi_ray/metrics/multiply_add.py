"""Multiply and add with one rounding (fused multiply-add), as SSIMULACRA2's tool does."""

import functools
import platform

from torch import Tensor

from roi_ray.runtime.compiled import has_kernels


def add_product_(total: Tensor, a: Tensor, b: Tensor, sign: int = 1) -> Tensor:
    """Add a product in place, `total + sign a b`, and round once, to float32.

    On a CPU `addcmul_` uses the fused instruction where the processor has one (every x86 since
    2013, every 64-bit ARM); otherwise it rounds twice. CUDA's `addcmul_` may round twice, so that
    float64 is used there, which holds the product of two float32 exactly.

    Args:
        total: float32.
        a: float32, of a shape that broadcasts to that of `total`.
        b: likewise.
        sign: 1 or -1.

    Returns:
        `total`.
    """
    if total.is_cuda:
        return total.copy_(total.double().addcmul_(a.double(), b.double(), value=sign))
    return total.addcmul_(a, b, value=sign)


def has_fused_kernels(tensor: Tensor) -> bool:
    """Tell whether there are kernels for a tensor's device, and fused instructions for them."""
    return has_kernels(tensor) and _has_fused_instructions()


@functools.cache
def _has_fused_instructions() -> bool:
    from llvmlite.binding import get_host_cpu_features

    is_arm = platform.machine().lower() in ("aarch64", "arm64")
    return is_arm or bool(get_host_cpu_features().get("fma"))
