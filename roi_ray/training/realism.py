"""How well a discriminator tells originals from decoded images, and whether it orders them."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray import images
from roi_ray.models.discriminator import PatchDiscriminator
from roi_ray.sweep.codecs import CODECS
from roi_ray.training.discriminator import Decoded, Original, read_decoded

_BPP_BINS = {
    f"{low:g}..{high:g} bpp": (low, high)
    for low, high in pairwise((0.0, 0.25, 0.5, 1.0, 2.0, float("inf")))
}


def auc(real: Sequence[float], fake: Sequence[float]) -> float:
    """Probability that a real image's score is above a decoded one's; ties count half."""
    above = np.subtract.outer(np.asarray(real), np.asarray(fake))
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def tell_apart(network: PatchDiscriminator, originals: Sequence[Original]) -> dict[str, float]:
    """AUC of the image's mean logit: overall, by codec, by bits per pixel; higher is better.

    0.5 is chance. Decoded images of high quality are all but the originals: AUC near 0.5 there is
    what one should expect.
    """
    real = [_score(network, read_decoded(original.uri)) for original in originals]
    # The order in which they are reported.
    scores: dict[str, list[float]] = {name: [] for name in ("all", *CODECS, *_BPP_BINS)}
    for original in originals:
        for decoded in original.decoded:
            score = _score(network, read_decoded(decoded.uri))
            for group in _groups(decoded):
                scores.setdefault(group, []).append(score)
    return {group: auc(real, fake) for group, fake in scores.items() if fake}


def d_loss_by_quality(
    network: PatchDiscriminator, pixels: Iterable[images.Pixels], qualities: Sequence[int]
) -> dict[str, float]:
    """Mean `d_loss` of the originals, and of the same images as JPEG; lower is more real."""
    losses: dict[str, list[float]] = {}
    for original in pixels:
        losses.setdefault("original", []).append(d_loss(network, original))
        for quality in qualities:
            decoded = images.decode(CODECS["jpeg"].encode(original, quality))
            losses.setdefault(f"q{quality}", []).append(d_loss(network, decoded))
    return {name: float(np.mean(values)) for name, values in losses.items()}


def d_loss(network: PatchDiscriminator, pixels: images.Pixels) -> float:
    """The method's `d_loss` of one image, uint8 (H, W, 3): mean of softplus(-D)."""
    planes = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    return F.softplus(-_logits(network, planes)).mean().item()


def _groups(decoded: Decoded) -> list[str]:
    groups = ["all"]
    if decoded.codec is not None:
        groups.append(decoded.codec)
    if (bpp := decoded.bpp) is not None:
        groups += [name for name, (low, high) in _BPP_BINS.items() if low <= bpp < high]
    return groups


def _score(network: PatchDiscriminator, planes: Tensor) -> float:
    return _logits(network, planes).mean().item()


def _logits(network: PatchDiscriminator, planes: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(planes[None] / 255)
    return logits
