"""Where the scorer's time goes, and how far each part is from what the machine can do."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from roi_ray.bench.timing import interleave
from roi_ray.images import decode
from roi_ray.metrics import ms_ssim, mse, roi
from roi_ray.models.networks import Networks
from roi_ray.scorer import upload


@dataclass(frozen=True)
class Part:
    """One part of the work for a pair, or for a reference.

    Attributes:
        name: what it is.
        once: whether it is done once a reference, not once a pair.
        milliseconds: median.
        gflop: counted multiplications and additions of convolutions and matrix products, 10^9;
            0 for what has none.
        share: of the machine's measured peak; higher is better, None for what has no GFLOP.
    """

    name: str
    once: bool
    milliseconds: float
    gflop: float
    share: float | None


def peak(device: torch.device, dtype: torch.dtype, rounds: int = 7) -> float:
    """GFLOP/s of a large matrix product: what convolutions can come near to."""
    side = 2048 if device.type == "cpu" else 8192
    a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    timing = interleave({"product": lambda: a @ b}, rounds, device=device)["product"]
    # The best round: what else runs on the machine only ever makes it slower.
    return 2 * side**3 / min(timing.seconds) / 1e9


@torch.inference_mode()
def measure(
    networks: Networks, reference: bytes, distorted: bytes, device: torch.device, rounds: int
) -> tuple[list[Part], float]:
    """Time each part by itself, interleaved.

    Args:
        networks: on the device already, in the precision that is to be measured.
        reference: an image file.
        distorted: another.
        device: where.
        rounds: that count.

    Returns:
        the parts, and the peak in GFLOP/s.
    """
    dtype = next(networks.discriminator.layers.parameters()).dtype
    x, y = (upload([decode(data)], device) for data in (reference, distorted))
    image, other = x.float().div_(255), y.float().div_(255)
    planes = image.contiguous()
    moments = ms_ssim.prepare(planes)
    features, others = (networks.lpips.features(one) for one in (image, other))
    logits = networks.saliency(image)
    mask = roi.smooth(logits[:, 0].sigmoid())
    error = mse.squared_error(x, y)
    maps = [*ms_ssim.maps(moments, other.contiguous()), error]
    maps += [*networks.lpips.maps(features, others)]
    weights = [roi.weights(roi.area_average(mask, *level.shape[-2:]), "mean") for level in maps]
    works: dict[str, Callable[[], object]] = {
        "decode reference": lambda: decode(reference),
        "saliency": lambda: networks.saliency(image),
        "mask": lambda: roi.smooth(logits[:, 0].sigmoid()),
        "MS-SSIM moments": lambda: ms_ssim.prepare(planes),
        "LPIPS features": lambda: networks.lpips.features(image),
        "decode": lambda: decode(distorted),
        "to the networks' layout": lambda: y.float().div_(255).contiguous(),
        "MSE": lambda: mse.squared_error(x, y),
        "MS-SSIM": lambda: ms_ssim.maps(moments, other.contiguous()),
        "LPIPS network": lambda: networks.lpips.features(other),
        "LPIPS maps": lambda: networks.lpips.maps(features, others),
        "discriminator": lambda: F.softplus(-networks.discriminator(other)),
        "means": lambda: [
            roi.means(level, weight) for level, weight in zip(maps, weights, strict=True)
        ],
    }
    timings = interleave(works, rounds, device=device)
    limit = peak(device, dtype)
    parts = []
    for name, work in works.items():
        milliseconds = timings[name].per_pair
        gflop = _gflop(work) if name in _NETWORKS else 0.0
        share = gflop / (milliseconds / 1000) / limit if gflop else None
        parts.append(Part(name, name in _ONCE, milliseconds, gflop, share))
    return parts, limit


_ONCE = ("decode reference", "saliency", "mask", "MS-SSIM moments", "LPIPS features")
_NETWORKS = ("saliency", "LPIPS features", "LPIPS network", "discriminator")


def networks_share(parts: list[Part], limit: float, per_reference: int) -> float:
    """Share of the limit that all networks together reach, for K images of a reference."""
    counted = [(part, 1 if part.once else per_reference) for part in parts if part.gflop]
    gflop = sum(part.gflop * times for part, times in counted)
    seconds = sum(part.milliseconds * times for part, times in counted) / 1000
    return gflop / seconds / limit


def _gflop(work: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops()) / 1e9
