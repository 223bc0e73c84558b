"""Time each step of the scorer, and compare it with the limits of the machine."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from roi_ray.bench.timing import Timing, time_interleaved
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import to_8_bits
from roi_ray.metrics.colour import squared_error_maps
from roi_ray.metrics.images import ImagePair, Images
from roi_ray.metrics.ms_ssim import filter_reference, similarity_maps
from roi_ray.metrics.mse import squared_error_map
from roi_ray.metrics.roi import box_blur, mask_weights, resize_mask, whole_and_masked_means
from roi_ray.metrics.similarity import Moments
from roi_ray.models.networks import Networks
from roi_ray.runtime.device import upload

_GPU_IMAGES = 24
"""Images per call on a GPU, which one image does not keep busy."""


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


@dataclass(frozen=True)
class StepTime:
    """Time of one step of scoring.

    Attributes:
        name: name of the step.
        per_reference: True if the step runs once per reference, False if once per pair.
        milliseconds: median milliseconds per reference or per pair.
        gflop: 10^9 floating-point operations of the convolutions and matrix products; 0 if none.
        gbyte: 10^9 bytes of the inputs and outputs, the least that has to be moved; 0 if they are
            not tensors.
        utilisation: shortest possible time, by operations or bytes at the machine's limits, divided
            by the measured time. At most about 1, higher is better; None if nothing was counted.
    """

    name: str
    per_reference: bool
    milliseconds: float
    gflop: float
    gbyte: float
    utilisation: float | None


@dataclass(frozen=True)
class _Step:
    """A step to time.

    Attributes:
        run: function that runs the step.
        inputs: tensors that the step reads; empty if its memory traffic is not counted.
        images: images per call.
        per_reference: see `StepTime`.
        network: whether to count floating-point operations.
    """

    run: Callable[[], object]
    inputs: Sequence[Tensor] = ()
    images: int = 1
    per_reference: bool = False
    network: bool = False


def measure_limits(device: torch.device, dtype: torch.dtype, rounds: int = 7) -> MachineLimits:
    """Measure the highest speeds of the machine in one precision."""
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
    timings = time_interleaved(operations, rounds, device=device)
    # The fastest round, because other processes only ever slow it down.
    nanoseconds = {name: min(timing.seconds) * 1e9 for name, timing in timings.items()}
    product = 2 * side**3 / nanoseconds["product"]
    convolution = 2 * planes.numel() * kernels.numel() / 256 / nanoseconds["convolution"]
    return MachineLimits(max(product, convolution), 2 * size / nanoseconds["copy"])


@torch.inference_mode()
def measure_steps(
    networks: Networks, reference: bytes, distorted: bytes, device: torch.device, rounds: int
) -> tuple[list[StepTime], MachineLimits]:
    """Time each step of scoring by itself, in turns. On a GPU, a call processes many images.

    Args:
        networks: networks on the device, in the precision to measure.
        reference: content of an image file.
        distorted: content of an image file of the same size.
        device: device to measure on.
        rounds: number of measured rounds.
    """
    steps = _list_steps(networks, reference, distorted, device)
    timings = time_interleaved(
        {name: step.run for name, step in steps.items()}, rounds, device=device
    )
    dtype = next(networks.discriminator.layers.parameters()).dtype
    limits = measure_limits(device, dtype)
    times = [
        _compare_with_limits(name, step, timings[name], limits) for name, step in steps.items()
    ]
    return times, limits


def compute_network_utilisation(
    steps: Sequence[StepTime], gflops: float, per_reference: int
) -> float:
    """Compute the share of a limit in GFLOP/s that all networks together reach.

    Args:
        steps: times of the steps.
        gflops: the limit.
        per_reference: number of distorted images per reference, K.
    """
    calls = [(step, 1 if step.per_reference else per_reference) for step in steps if step.gflop]
    gflop = sum(step.gflop * count for step, count in calls)
    seconds = sum(step.milliseconds * count for step, count in calls) / 1000
    return gflop / seconds / gflops


def _list_steps(
    networks: Networks, reference: bytes, distorted: bytes, device: torch.device
) -> dict[str, _Step]:
    """Build the steps of scoring by name, and compute their inputs."""
    count = 1 if device.type == "cpu" else _GPU_IMAGES
    pixels = [[to_8_bits(decode_image(data))] * count for data in (reference, distorted)]
    x, y = (upload(images, device) for images in pixels)

    def compute_difference() -> tuple[Tensor, int]:
        return ImagePair(Images(x, 255), Images(y, 255)).difference

    x_image, y_image = x.float().div_(255), y.float().div_(255)
    x_planes, y_planes = x_image.contiguous(), y_image.contiguous()
    moments = filter_reference(x_planes)
    features = networks.lpips.extract_features(x_image)
    activations = networks.lpips.extract_activations(y_image)
    logits = networks.saliency(x_image)
    mask = box_blur(logits[:, 0].sigmoid())
    difference = compute_difference()
    maps = [*similarity_maps(moments, y_planes), squared_error_map(*difference)]
    maps += [squared_error_maps(*difference)]
    maps += [*networks.lpips.compute_maps(features, activations)]
    weights = [mask_weights(resize_mask(mask, *level.shape[-2:]), "mean") for level in maps]

    def compute_means() -> object:
        return [whole_and_masked_means(level, w) for level, w in zip(maps, weights, strict=True)]

    def per_reference(
        run: Callable[[], object], inputs: Sequence[Tensor], *, network: bool = False
    ) -> _Step:
        return _Step(run, inputs, count, per_reference=True, network=network)

    def per_pair(
        run: Callable[[], object], inputs: Sequence[Tensor] = (), *, network: bool = False
    ) -> _Step:
        return _Step(run, inputs, count, network=network)

    lpips = networks.lpips
    return {
        "decode reference": _Step(lambda: decode_image(reference), per_reference=True),
        "saliency": per_reference(lambda: networks.saliency(x_image), [x_image], network=True),
        "mask": per_reference(lambda: box_blur(logits[:, 0].sigmoid()), [logits]),
        "MS-SSIM moments": per_reference(lambda: filter_reference(x_planes), [x_planes]),
        "LPIPS features": per_reference(
            lambda: lpips.extract_features(x_image), [x_image], network=True
        ),
        "decode": _Step(lambda: decode_image(distorted)),
        "to the device": per_pair(lambda: upload(pixels[1], device)),
        "to the networks' layout": per_pair(lambda: y.float().div_(255).contiguous(), [y]),
        "MSE": per_pair(lambda: squared_error_map(*compute_difference()), [x, y]),
        "MSE of luma and chroma": per_pair(
            lambda: squared_error_maps(*difference), [difference[0]]
        ),
        "MS-SSIM": per_pair(
            lambda: similarity_maps(moments, y_planes), [*_iterate_tensors(moments), y_planes]
        ),
        "LPIPS network": per_pair(
            lambda: lpips.extract_activations(y_image), [y_image], network=True
        ),
        "LPIPS maps": per_pair(
            lambda: lpips.compute_maps(features, activations), [*features, *activations]
        ),
        "discriminator": per_pair(
            lambda: F.softplus(-networks.discriminator(y_image)), [y_image], network=True
        ),
        "means": per_pair(compute_means, [*maps, *weights]),
    }


def _compare_with_limits(name: str, step: _Step, timing: Timing, limits: MachineLimits) -> StepTime:
    milliseconds = timing.ms_per_pair / step.images
    gflop = _count_gflop(step.run) / step.images if step.network else 0.0
    tensors = [*step.inputs, *_iterate_tensors(step.run())] if step.inputs else []
    gbyte = sum(tensor.nbytes for tensor in tensors) / 1e9 / step.images
    shortest = 1000 * max(gflop / limits.gflops, gbyte / limits.gbytes)
    utilisation = shortest / milliseconds if shortest else None
    return StepTime(name, step.per_reference, milliseconds, gflop, gbyte, utilisation)


def _iterate_tensors(result: object) -> Iterator[Tensor]:
    """Yield all tensors in a nested result."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, Moments):
        yield from (result.image, result.mean, result.variance)
    elif isinstance(result, list | tuple):
        for item in result:
            yield from _iterate_tensors(item)


def _count_gflop(run: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops()) / 1e9
