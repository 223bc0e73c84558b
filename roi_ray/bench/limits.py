"""The highest speeds of this machine, measured."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from roi_ray.bench.timing import time_interleaved


@dataclass(frozen=True)
class MachineLimits:
    """Highest speeds of the machine, measured.

    Attributes:
        gflops: GFLOP/s of a large matrix product or of a large convolution, whichever is faster;
            some libraries use a processor's fastest instructions for one of them only.
        gbytes: GB/s of a large copy, bytes read plus bytes written.
    """

    gflops: float
    gbytes: float


def measure_limits(device: torch.device, dtype: torch.dtype) -> MachineLimits:
    """Measure the highest speeds of the machine in one precision, once."""
    cpu = device.type == "cpu"
    side, size, images = (2048, 1 << 28, 1) if cpu else (8192, 1 << 30, 64)
    a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    planes = torch.rand(images, 256, 64, 64, device=device).to(dtype)
    kernels = torch.rand(256, 256, 3, 3, device=device).to(dtype)
    planes, kernels = (t.to(memory_format=torch.channels_last) for t in (planes, kernels))
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    operations = {
        "product": lambda: a @ b,
        "convolution": lambda: F.conv2d(planes, kernels, padding=1),
        "copy": lambda: target.copy_(source),
    }
    timings = time_interleaved(operations, rounds=1, device=device)
    nanoseconds = {name: timing.seconds[0] * 1e9 for name, timing in timings.items()}
    product = 2 * side**3 / nanoseconds["product"]
    convolution = 2 * planes.numel() * kernels.numel() / 256 / nanoseconds["convolution"]
    return MachineLimits(max(product, convolution), 2 * size / nanoseconds["copy"])
