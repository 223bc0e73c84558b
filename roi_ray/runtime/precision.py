"""Precisions of the networks: which one is fastest on a device, and which are refused there."""

import functools
import socket
import time

import torch
from torch import Tensor

from roi_ray.errors import DeviceError
from roi_ray.settings import Precision

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

_ACCEPTED_SLOWDOWN = 2.0
_MIN_CAPABILITY = {"fp16": (7, 0), "bf16": (8, 0)}
"""Compute capabilities of the first NVIDIA GPUs whose tensor cores compute in a precision."""
_CHANNELS, _SIDE, _ROUNDS = 64, 64, 5


def fastest_precision(device: torch.device) -> Precision:
    """Return the precision that `auto` means: the fastest one within 2e-3 of fp32's numbers.

    It is fp16 on a GPU, and fp32 on a GPU without tensor cores. On a CPU it is fp32: bf16 changes
    `lpips` and `d_loss` by up to 2e-2 of their value, and the mask by more, and fp16 is slower than
    fp32 even on a CPU that has instructions for it. `roi_ray/metrics/README.md` has the figures.

    Args:
        device: a GPU may be of another machine, if this one has none; it then has tensor cores.
    """
    if device.type != "cuda" or (torch.cuda.is_available() and _lacks_tensor_cores("fp16", device)):
        return "fp32"
    return "fp16"


def check_precision(precision: Precision, device: torch.device) -> None:
    """Refuse a precision that is much slower than fp32 on a device of this machine.

    Raises:
        DeviceError: the precision takes more than twice as long as fp32 on this CPU, or this
            GPU has no instructions for it.
    """
    if precision == "fp32":
        return
    problem = ""
    if device.type == "cuda" and _lacks_tensor_cores(precision, device):
        major, minor = torch.cuda.get_device_capability(device)
        needed = ".".join(map(str, _MIN_CAPABILITY[precision]))
        problem = (
            f"has no fast instructions on {torch.cuda.get_device_name(device)}, a GPU of compute "
            f"capability {major}.{minor} (needs {needed})"
        )
    if device.type == "cpu" and (slowdown := measure_slowdown(precision)) > _ACCEPTED_SLOWDOWN:
        problem = (
            f"takes about {slowdown:.1f} times as long as fp32 on the CPU of {socket.gethostname()}"
        )
    if problem:
        raise DeviceError(
            f"precision {precision} {problem}: use fp32, or auto, the fastest precision within "
            "2e-3 of fp32's numbers; to use it all the same, give --allow-slow-precision (in "
            "Python allow_slow_precision=True)"
        )


@functools.cache
def measure_slowdown(precision: Precision) -> float:
    """Measure the time of a convolution on this CPU, relative to the same one in fp32.

    It is measured, because the CPU's feature flags do not tell: a CPU with AVX-512 alone, or with
    instructions for fp16, computes in that precision natively and yet more slowly than in fp32.

    Returns:
        ratio of the shortest times of five rounds on one thread, measured in turns; 0.3 to 14 on
        the CPUs that we know. Takes less than half a second, once per process.
    """
    convolutions = [_make_convolution(DTYPES[name]) for name in ("fp32", precision)]
    shortest = [float("inf")] * 2
    threads = torch.get_num_threads()
    # With many threads, the time of so small a convolution would be that of their start.
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for round_number in range(1 + _ROUNDS):
                for position, (layer, images) in enumerate(convolutions):
                    started = time.perf_counter()
                    layer(images)
                    if round_number > 0:  # the first round is the warm-up
                        seconds = time.perf_counter() - started
                        shortest[position] = min(shortest[position], seconds)
    finally:
        torch.set_num_threads(threads)
    return shortest[1] / shortest[0]


def _make_convolution(dtype: torch.dtype) -> tuple[torch.nn.Conv2d, Tensor]:
    """Make a layer like those of the networks, in their memory format, and its input."""
    layer = torch.nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1, dtype=dtype)
    images = torch.ones(1, _CHANNELS, _SIDE, _SIDE, dtype=dtype)
    return (
        layer.to(memory_format=torch.channels_last),
        images.contiguous(memory_format=torch.channels_last),
    )


def _lacks_tensor_cores(precision: Precision, device: torch.device) -> bool:
    # AMD's GPUs count their capabilities otherwise.
    if torch.version.hip is not None:
        return False
    return torch.cuda.get_device_capability(device) < _MIN_CAPABILITY[precision]
