"""Measure how well D separates originals from decoded images, and if `d_loss` orders qualities."""

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
from roi_ray.imaging.pixels import Pixels8, to_8_bits
from roi_ray.metrics.images import pad_to_min_side
from roi_ray.models.discriminator import PatchDiscriminator
from roi_ray.sweep.builtin import BuiltinCodec, make_codec
from roi_ray.sweep.builtin.pillow import WEBP_MAX_SIDE
from roi_ray.sweep.source import SourceImage
from roi_ray.training.files import read_image_tensor, to_chw_tensor
from roi_ray.training.windows import Decoded, Original

_ALL = "all"
QUALITIES: Mapping[str, Sequence[float]] = {
    "jpeg": (90, 80, 70, 60, 50, 40, 30, 20, 10),
    "webp": (92, 80, 65, 50, 30, 15, 3),
    "jpeg2000": (43, 38, 34, 31, 28, 25),
    "avif": (85, 70, 55, 40, 25, 12),
    "avif-depth=10": (85, 70, 55, 40, 25, 12),
    "jpegxl": (0.5, 1, 1.5, 2.5, 4, 8, 15),  # distances
}
"""Falling qualities of each codec, at which `measure_d_loss_by_quality` measures `d_loss`.

Codecs are named as in the manifest of a sweep, with the options that are not at their defaults.
"""

_BPP_BINS = {
    f"{low:g}..{high:g} bpp": (low, high)
    for low, high in pairwise((0.0, 0.25, 0.5, 1.0, 2.0, float("inf")))
}


def compute_auc(real: Sequence[float], fake: Sequence[float]) -> float:
    """Compute the probability that an original scores above a decoded image; ties count half."""
    differences = np.subtract.outer(np.asarray(real), np.asarray(fake))
    return float(((differences > 0) + 0.5 * (differences == 0)).mean())


def measure_auc(
    network: PatchDiscriminator, originals: Sequence[Original]
) -> dict[str, dict[str, float]]:
    """Measure the AUC of the mean logit, by codec and by bits per pixel.

    Decoded images of high quality hardly differ from their originals, so an AUC near 0.5 is to be
    expected there.

    Returns:
        codec -> range of bits per pixel -> AUC, with "all" for all codecs and all bit rates. 1 is
        perfect, 0.5 is chance. Ranges without images are left out.
    """
    real = [_mean_logit(network, read_image_tensor(original.uri)) for original in originals]
    # Start with all names, because their order is the order of the report.
    scores: dict[str, dict[str, list[float]]] = {
        codec: {name: [] for name in (_ALL, *_BPP_BINS)} for codec in (_ALL, *QUALITIES)
    }
    for original in originals:
        for decoded in original.decoded:
            score = _mean_logit(network, read_image_tensor(decoded.uri))
            for codec in {_ALL, decoded.codec or _ALL}:
                for group in _groups(decoded):
                    scores.setdefault(codec, {}).setdefault(group, []).append(score)
    return {
        codec: {group: compute_auc(real, fake) for group, fake in groups.items() if fake}
        for codec, groups in scores.items()
        if any(groups.values())
    }


def to_auc_table(auc: Mapping[str, Mapping[str, float]]) -> Table:
    """Format the result of `measure_auc` for a terminal."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    columns = list(auc[_ALL])
    for name in ("AUC", *columns):
        table.add_column(name, justify="left" if name == "AUC" else "right", no_wrap=True)
    for codec, groups in auc.items():
        cells = (f"{groups[name]:.3f}" if name in groups else "-" for name in columns)
        table.add_row(codec, *cells)
    return table


@dataclass(frozen=True)
class QualityPoint:
    """Means over images at one quality of a codec.

    Attributes:
        quality: the codec's quality setting.
        bpp: bits per pixel.
        d_loss: mean `d_loss`; lower is more real.
    """

    quality: float
    bpp: float
    d_loss: float


def measure_d_loss_by_quality(
    network: PatchDiscriminator,
    images: Iterable[Pixels8],
    qualities: Mapping[str, Sequence[float]] = QUALITIES,
) -> tuple[float, dict[str, list[QualityPoint]]]:
    """Measure the mean `d_loss` of originals, and of the same images encoded at falling qualities.

    Args:
        network: the discriminator.
        images: originals, uint8, (H, W, 3). Sides beyond WebP's limit are cropped.
        qualities: qualities by the name of the codec; see `QUALITIES`.

    Returns:
        the mean of the originals, and for each codec a point per quality.
    """
    original_losses: list[float] = []
    codecs = {name: _make_codec(name) for name in qualities}
    measured: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for image in images:
        original = image[:WEBP_MAX_SIDE, :WEBP_MAX_SIDE]
        original_losses.append(compute_d_loss(network, original))
        area = original.shape[0] * original.shape[1]
        source = SourceImage(original)
        for name, levels in qualities.items():
            for quality in levels:
                data = codecs[name].encode(source, quality).data
                loss = compute_d_loss(network, to_8_bits(decode_image(data)))
                measured.setdefault((name, quality), []).append((8 * len(data) / area, loss))
    curves: dict[str, list[QualityPoint]] = {name: [] for name in qualities}
    for (name, quality), values in measured.items():
        bpp, loss = np.mean(values, axis=0).tolist()
        curves[name].append(QualityPoint(quality, bpp, loss))
    return float(np.mean(original_losses)), curves


def draw_d_loss_curves(original: float, curves: Mapping[str, Sequence[QualityPoint]]) -> bytes:
    """Draw the result of `measure_d_loss_by_quality` as a PNG."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for codec, points in curves.items():
        axes.plot([p.bpp for p in points], [p.d_loss for p in points], marker="o", label=codec)
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


def compute_d_loss(network: PatchDiscriminator, image: Pixels8) -> float:
    """Compute `d_loss` of an image, uint8 (H, W, 3): mean softplus(-D); lower is more real."""
    return F.softplus(-_logits(network, to_chw_tensor(image))).mean().item()


def _make_codec(label: str) -> BuiltinCodec:
    name, *options = label.split("-")
    return make_codec(name, dict(option.split("=") for option in options))


def _groups(decoded: Decoded) -> list[str]:
    groups = [_ALL]
    if (bpp := decoded.bpp) is not None:
        groups += [name for name, (low, high) in _BPP_BINS.items() if low <= bpp < high]
    return groups


def _mean_logit(network: PatchDiscriminator, image: Tensor) -> float:
    return _logits(network, image).mean().item()


def _logits(network: PatchDiscriminator, image: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(pad_to_min_side(image[None] / 255, network.min_side))
    return logits
