"""Where the scorer's time goes, and how far each part is from what the machine can do."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from roi_ray.bench.timing import Timing, time_interleaved
from roi_ray.imaging.decode import decode_image
from roi_ray.metrics.ms_ssim import Moments, filter_reference, similarity_maps
from roi_ray.metrics.mse import squared_error_map
from roi_ray.metrics.roi import box_blur, mask_weights, resize_mask, whole_and_masked_means
from roi_ray.models.networks import Networks
from roi_ray.runtime.device import upload


@dataclass(frozen=True)
class MachineLimits:
    """What the machine can do at most.

    Attributes:
        gflops: GFLOP/s of a large matrix product or convolution, whichever is faster: some
            libraries know a processor's instructions for one of them only.
        gbytes: GB/s of a large copy, read and written.
    """

    gflops: float
    gbytes: float


@dataclass(frozen=True)
class Part:
    """One part of the work for a pair, or for a reference.

    Attributes:
        name: what it is.
        once: whether it is done once a reference, not once a pair.
        milliseconds: median.
        gflop: counted multiplications and additions of convolutions and matrix products, 10^9;
            0 for what has none.
        gbyte: of what goes in and comes out, 10^9: what has to be moved at least; 0 where it is no
            tensor.
        share: of the machine's limit, the least time that operations or bytes take over the time
            taken; higher is better, None where neither was counted.
    """

    name: str
    once: bool
    milliseconds: float
    gflop: float
    gbyte: float
    share: float | None


@dataclass(frozen=True)
class _Work:
    do: Callable[[], object]
    given: Sequence[Tensor] = ()
    images: int = 1
    once: bool = False
    network: bool = False


def limits(device: torch.device, dtype: torch.dtype, rounds: int = 7) -> MachineLimits:
    """Measure them."""
    cpu = device.type == "cpu"
    side, size, images = (2048, 1 << 28, 1) if cpu else (8192, 1 << 30, 64)
    a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    planes = torch.rand(images, 256, 64, 64, device=device).to(dtype)
    kernels = torch.rand(256, 256, 3, 3, device=device).to(dtype)
    planes, kernels = (t.to(memory_format=torch.channels_last) for t in (planes, kernels))
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    works = {
        "product": lambda: a @ b,
        "convolution": lambda: F.conv2d(planes, kernels, padding=1),
        "copy": lambda: target.copy_(source),
    }
    timings = time_interleaved(works, rounds, device=device)
    # The best round: what else runs on the machine only ever makes it slower.
    best = {name: min(timing.seconds) * 1e9 for name, timing in timings.items()}
    product = 2 * side**3 / best["product"]
    convolution = 2 * planes.numel() * kernels.numel() / 256 / best["convolution"]
    return MachineLimits(max(product, convolution), 2 * size / best["copy"])


@torch.inference_mode()
def measure(
    networks: Networks, reference: bytes, distorted: bytes, device: torch.device, rounds: int
) -> tuple[list[Part], MachineLimits]:
    """Time each part by itself, interleaved; on a GPU for many images at once.

    Args:
        networks: on the device already, in the precision that is to be measured.
        reference: an image file.
        distorted: another.
        device: where.
        rounds: that count.
    """
    dtype = next(networks.discriminator.layers.parameters()).dtype
    count = 1 if device.type == "cpu" else _MANY
    given = [[decode_image(data)] * count for data in (reference, distorted)]
    x, y = (upload(pixels, device) for pixels in given)
    image, other = x.float().div_(255), y.float().div_(255)
    planes, others = image.contiguous(), other.contiguous()
    moments = filter_reference(planes)
    filtered = [tensor for one in moments for tensor in (one.image, one.mean, one.variance)]
    features, theirs = (
        networks.lpips.extract_features(image),
        networks.lpips.extract_activations(other),
    )
    logits = networks.saliency(image)
    mask = box_blur(logits[:, 0].sigmoid())
    maps = [*similarity_maps(moments, others), squared_error_map(x, y)]
    maps += [*networks.lpips.compute_maps(features, theirs)]
    weights = [mask_weights(resize_mask(mask, *level.shape[-2:]), "mean") for level in maps]
    works = {
        "decode reference": _Work(lambda: decode_image(reference), once=True),
        "saliency": _Work(
            lambda: networks.saliency(image), [image], count, once=True, network=True
        ),
        "mask": _Work(lambda: box_blur(logits[:, 0].sigmoid()), [logits], count, once=True),
        "MS-SSIM moments": _Work(lambda: filter_reference(planes), [planes], count, once=True),
        "LPIPS features": _Work(
            lambda: networks.lpips.extract_features(image), [image], count, once=True, network=True
        ),
        "decode": _Work(lambda: decode_image(distorted)),
        "to the device": _Work(lambda: upload(given[1], device), images=count),
        "to the networks' layout": _Work(lambda: y.float().div_(255).contiguous(), [y], count),
        "MSE": _Work(lambda: squared_error_map(x, y), [x, y], count),
        "MS-SSIM": _Work(lambda: similarity_maps(moments, others), [*filtered, others], count),
        "LPIPS network": _Work(
            lambda: networks.lpips.extract_activations(other), [other], count, network=True
        ),
        "LPIPS maps": _Work(
            lambda: networks.lpips.compute_maps(features, theirs), [*features, *theirs], count
        ),
        "discriminator": _Work(
            lambda: F.softplus(-networks.discriminator(other)), [other], count, network=True
        ),
        "means": _Work(
            lambda: [
                whole_and_masked_means(level, w) for level, w in zip(maps, weights, strict=True)
            ],
            [*maps, *weights],
            count,
        ),
    }
    timings = time_interleaved(
        {name: work.do for name, work in works.items()}, rounds, device=device
    )
    found = limits(device, dtype)
    return [_part(name, work, timings[name], found) for name, work in works.items()], found


_MANY = 24


def _part(name: str, work: _Work, timing: Timing, limits: MachineLimits) -> Part:
    milliseconds = timing.per_pair / work.images
    gflop = _gflop(work.do) / work.images if work.network else 0.0
    moved = [*work.given, *_tensors(work.do())] if work.given else []
    gbyte = sum(tensor.nbytes for tensor in moved) / 1e9 / work.images
    least = 1000 * max(gflop / limits.gflops, gbyte / limits.gbytes)
    share = least / milliseconds if least else None
    return Part(name, work.once, milliseconds, gflop, gbyte, share)


def _tensors(result: object) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, Moments):
        yield from (result.image, result.mean, result.variance)
    elif isinstance(result, list | tuple):
        for item in result:
            yield from _tensors(item)


def networks_share(parts: list[Part], limit: float, per_reference: int) -> float:
    """Share of a limit in GFLOP/s that all networks together reach, for K images of a reference."""
    counted = [(part, 1 if part.once else per_reference) for part in parts if part.gflop]
    gflop = sum(part.gflop * times for part, times in counted)
    seconds = sum(part.milliseconds * times for part, times in counted) / 1000
    return gflop / seconds / limit


def _gflop(work: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops()) / 1e9
