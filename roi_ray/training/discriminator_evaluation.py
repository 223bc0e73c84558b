"""How well a discriminator tells originals from decoded images, and whether it orders them."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor

from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import Pixels
from roi_ray.models.discriminator import PatchDiscriminator
from roi_ray.scoring.prepared import pad_to_min_side
from roi_ray.sweep.codecs import CODECS, WEBP_LONGEST
from roi_ray.training.files import read_image_tensor, to_chw_tensor
from roi_ray.training.windows import Decoded, Original

ALL = "all"
LADDERS: Mapping[str, Sequence[int]] = {
    "jpeg": (90, 80, 70, 60, 50, 40, 30, 20, 10),
    "webp": (92, 80, 65, 50, 30, 15, 3),
    "jpeg2000": (43, 38, 34, 31, 28, 25),
    "avif": (85, 70, 55, 40, 25, 12),
}
"""Qualities of each codec, falling, at which `d_loss` is looked at."""

_BPP_BINS = {
    f"{low:g}..{high:g} bpp": (low, high)
    for low, high in pairwise((0.0, 0.25, 0.5, 1.0, 2.0, float("inf")))
}


def compute_auc(real: Sequence[float], fake: Sequence[float]) -> float:
    """Probability that a real image's score is above a decoded one's; ties count half."""
    above = np.subtract.outer(np.asarray(real), np.asarray(fake))
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def measure_auc(
    network: PatchDiscriminator, originals: Sequence[Original]
) -> dict[str, dict[str, float]]:
    """AUC of the image's mean logit, by codec and by bits per pixel; higher is better.

    0.5 is chance. Decoded images of high quality are all but the originals: AUC near 0.5 there is
    what one should expect.

    Returns:
        codec -> bit rates -> AUC; "all" stands for all of them, and cells without images are not
        there.
    """
    real = [_score(network, read_image_tensor(original.uri)) for original in originals]
    # The order in which they are reported.
    scores: dict[str, dict[str, list[float]]] = {
        codec: {name: [] for name in (ALL, *_BPP_BINS)} for codec in (ALL, *CODECS)
    }
    for original in originals:
        for decoded in original.decoded:
            score = _score(network, read_image_tensor(decoded.uri))
            for codec in {ALL, decoded.codec or ALL}:
                for group in _groups(decoded):
                    scores.setdefault(codec, {}).setdefault(group, []).append(score)
    return {
        codec: {group: compute_auc(real, fake) for group, fake in groups.items() if fake}
        for codec, groups in scores.items()
        if any(groups.values())
    }


def to_auc_table(apart: Mapping[str, Mapping[str, float]]) -> Table:
    """The result of `measure_auc` for a terminal."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    columns = list(apart[ALL])
    for name in ("AUC", *columns):
        table.add_column(name, justify="left" if name == "AUC" else "right", no_wrap=True)
    for codec, groups in apart.items():
        cells = (f"{groups[name]:.3f}" if name in groups else "-" for name in columns)
        table.add_row(codec, *cells)
    return table


@dataclass(frozen=True)
class QualityPoint:
    """Means over images at one quality of a codec: bits per pixel, and `d_loss`."""

    quality: int
    bpp: float
    d_loss: float


def measure_d_loss_by_quality(
    network: PatchDiscriminator,
    pixels: Iterable[Pixels],
    ladders: Mapping[str, Sequence[int]] = LADDERS,
) -> tuple[float, dict[str, list[QualityPoint]]]:
    """Mean `d_loss` of originals, and of the same images decoded at falling qualities.

    Returns:
        that of the originals, and for each codec one entry a quality; lower is more real.
    """
    originals: list[float] = []
    seen: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for whole in pixels:
        original = whole[:WEBP_LONGEST, :WEBP_LONGEST]
        originals.append(compute_d_loss(network, original))
        area = original.shape[0] * original.shape[1]
        for codec, qualities in ladders.items():
            for quality in qualities:
                data = CODECS[codec].encode(original, quality)
                loss = compute_d_loss(network, decode_image(data))
                seen.setdefault((codec, quality), []).append((8 * len(data) / area, loss))
    rungs: dict[str, list[QualityPoint]] = {codec: [] for codec in ladders}
    for (codec, quality), values in seen.items():
        bpp, loss = np.mean(values, axis=0).tolist()
        rungs[codec].append(QualityPoint(quality, bpp, loss))
    return float(np.mean(originals)), rungs


def draw_d_loss_curves(original: float, rungs: Mapping[str, Sequence[QualityPoint]]) -> bytes:
    """The result of `measure_d_loss_by_quality` as a PNG."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for codec, ladder in rungs.items():
        axes.plot([r.bpp for r in ladder], [r.d_loss for r in ladder], marker="o", label=codec)
    axes.axhline(original, color="grey", linestyle="--", label="originals")
    axes.set_xscale("log")
    axes.set_xticks([0.125, 0.25, 0.5, 1, 2, 4], ["⅛", "¼", "½", "1", "2", "4"])
    axes.minorticks_off()
    axes.set_xlabel("bits per pixel")
    axes.set_ylabel("mean d_loss [nat], lower is more real")
    axes.grid(alpha=0.3)
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()


def compute_d_loss(network: PatchDiscriminator, pixels: Pixels) -> float:
    """The method's `d_loss` of one image, uint8 (H, W, 3): mean of softplus(-D)."""
    return F.softplus(-_logits(network, to_chw_tensor(pixels))).mean().item()


def _groups(decoded: Decoded) -> list[str]:
    groups = [ALL]
    if (bpp := decoded.bpp) is not None:
        groups += [name for name, (low, high) in _BPP_BINS.items() if low <= bpp < high]
    return groups


def _score(network: PatchDiscriminator, planes: Tensor) -> float:
    return _logits(network, planes).mean().item()


def _logits(network: PatchDiscriminator, planes: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(pad_to_min_side(planes[None] / 255, network.min_side))
    return logits
