"""Multiply and add with one rounding (fused multiply-add), as SSIMULACRA2's tool does."""

from torch import Tensor


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
