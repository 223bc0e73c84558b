# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"
# ruff: noqa: ANN001, ANN201, ANN202
"""Fused multiply-add in kernels: one rounding, as `roi_ray.metrics.multiply_add` rounds."""

from numba import types
from numba.extending import intrinsic


@intrinsic
def multiply_add(typing_context, a, b, c):
    """Compute `a b + c` of float32, rounded once."""

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return types.float32(types.float32, types.float32, types.float32), generate


@intrinsic
def bits_of(typing_context, number):
    """Return the bits of a float32 as an int32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.int32))

    return types.int32(types.float32), generate


@intrinsic
def from_bits(typing_context, bits):
    """Return the float32 that has these bits, an int32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.int32), generate
