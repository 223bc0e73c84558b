"""Implementations that a benchmark compares: roi-ray's scorer and others, from files to numbers.

Names of roi-ray's own implementations:

    roi-ray                  the eight numbers of a pair, and the mask
    roi-ray bf16             the same with bf16 networks, where fp32 is measured on a CPU whose
                             bf16 is accepted (see `check_precision`)
    roi-ray common metrics   PSNR, MS-SSIM and LPIPS only: what torchmetrics and pyiqa compute
    roi-ray MS-SSIM          MS-SSIM alone, of images in memory: what pytorch_msssim computes
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from roi_ray.bench.networks import build_networks
from roi_ray.bench.options import SaliencyName
from roi_ray.bench.rivals import RIVALS, ScorePair
from roi_ray.bench.workload import Group, ReadImage, read_file
from roi_ray.errors import DeviceError, UsageError
from roi_ray.metrics.images import ImagePair, Images
from roi_ray.metrics.metric import RunningMeans
from roi_ray.metrics.ms_ssim import METRIC as MS_SSIM
from roi_ray.metrics.mse import METRIC as MSE
from roi_ray.metrics.strips import ImageStrips
from roi_ray.models.networks import Networks
from roi_ray.runtime.device import upload
from roi_ray.runtime.precision import check_precision, measure_slowdown
from roi_ray.scoring.network_metrics import LpipsMetric
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings

ROI_RAY = "roi-ray"
ROI_RAY_BF16 = "roi-ray bf16"
ROI_RAY_COMMON = "roi-ray common metrics"
ROI_RAY_MS_SSIM = "roi-ray MS-SSIM"

_BASELINES = {
    "torchmetrics": ROI_RAY_COMMON,
    "pyiqa": ROI_RAY_COMMON,
    "pytorch_msssim": ROI_RAY_MS_SSIM,
}
"""What rivals are compared with that compute only a part of roi-ray's numbers."""

Implementation = Callable[[Sequence[Group]], list[dict[str, float]]]
"""Scores every pair of the groups: a dictionary of metrics per pair."""


def build_implementations(
    rivals: Sequence[str],
    settings: Settings,
    device: torch.device,
    saliency: SaliencyName,
    read: ReadImage = read_file,
    batch: int | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Implementation]:
    """Build the rivals, and the implementations of roi-ray that they are compared with.

    Args:
        rivals: names from `RIVALS`.
        settings: settings of roi-ray; only the precision is used.
        device: device of every implementation.
        saliency: saliency network of every implementation.
        read: function by which every implementation reads an image.
        batch: images per pass through roi-ray's networks, see `Scorer`.
        report: function that receives a line of text about what is left out.

    Returns:
        Implementations by name, rivals first.

    Raises:
        UsageError: a rival is unknown or not installed.
    """
    if unknown := set(rivals) - set(RIVALS):
        raise UsageError(f"unknown rival {', '.join(unknown)}; choose from {', '.join(RIVALS)}")
    implementations: dict[str, Implementation] = {}
    for name in rivals:
        score_pair = RIVALS[name](build_networks(saliency), device, read)
        implementations[name] = _allow_tf32(_score_pair_by_pair(score_pair))

    def build_scorer(settings: Settings) -> Scorer:
        networks = build_networks(saliency).networks
        return Scorer(settings, str(device), batch, networks=networks, allow_slow_precision=True)

    implementations[ROI_RAY] = implement_scorer(build_scorer(settings), read)
    if settings.precision == "fp32" and device.type == "cpu":
        try:
            check_precision("bf16", device)
        except DeviceError:
            slowdown = measure_slowdown("bf16")
            report(f"bf16 is left out: on this CPU it takes {slowdown:.1f} times as long as fp32")
        else:
            bf16 = build_scorer(replace(settings, precision="bf16"))
            implementations[ROI_RAY_BF16] = implement_scorer(bf16, read)
    baselines = {find_baseline(name) for name in rivals}
    if ROI_RAY_COMMON in baselines:
        networks = build_networks(saliency).networks
        implementations[ROI_RAY_COMMON] = implement_common_metrics(networks, device, read)
    if ROI_RAY_MS_SSIM in baselines:
        implementations[ROI_RAY_MS_SSIM] = implement_ms_ssim(device, read)
    return implementations


def find_baseline(name: str) -> str:
    """Find the name of roi-ray's implementation that an implementation is compared with."""
    return name if name in _BASELINES.values() else _BASELINES.get(name, ROI_RAY)


def implement_scorer(scorer: Scorer, read: ReadImage = read_file) -> Implementation:
    """Score with roi-ray's scorer, without Ray: the eight numbers, and the mask."""

    def score(groups: Sequence[Group]) -> list[dict[str, float]]:
        references = [read(group.reference) for group in groups]
        prepared = scorer.prepare_all(references, [None] * len(groups))
        pairs = [
            (reference, read(path))
            for reference, group in zip(prepared, groups, strict=True)
            for path in group.distorted
        ]
        return [asdict(scores) for scores in scorer.score_pairs(pairs)]

    return score


def implement_common_metrics(
    networks: Networks, device: torch.device, read: ReadImage = read_file
) -> Implementation:
    """Compute only the metrics of roi-ray that other libraries have: PSNR, MS-SSIM, LPIPS."""
    networks.to(device, torch.float32)

    metrics = (MSE, MS_SSIM, LpipsMetric(networks.lpips))

    @torch.inference_mode()
    def score(group: Group) -> list[dict[str, float]]:
        references = Images(upload([read(group.reference)], device), 255)
        prepared = [metric.prepare(references) for metric in metrics]
        results = []
        for path in group.distorted:
            pair = ImagePair(references, Images(upload([read(path)], device), 255))
            numbers: dict[str, Tensor] = {}
            for metric, of_reference in zip(metrics, prepared, strict=True):
                averages = metric.average_maps(of_reference, pair, lambda *_: None)
                numbers |= metric.combine([means.whole for means in averages])
            results.append({name: float(value) for name, value in numbers.items()})
        return results

    return lambda groups: [scores for group in groups for scores in score(group)]


def implement_ms_ssim(device: torch.device, read: ReadImage = read_file) -> Implementation:
    """Compute MS-SSIM alone, of images in memory; each reference is prepared once."""

    @functools.cache
    def load(path: Path) -> ImageStrips:
        return ImageStrips.from_samples(upload([read(path)], device), 255)

    @torch.inference_mode()
    def score(group: Group) -> list[dict[str, float]]:
        references = load(group.reference)
        begun = MS_SSIM.begin(references)
        strips = [(reference, begun.prepare(reference)) for reference in references]
        results = []
        for path in group.distorted:
            images = load(path)
            means = RunningMeans(MS_SSIM, images, None)
            for (reference, prepared), distorted in zip(strips, images, strict=True):
                means.add(prepared, ImagePair(reference, distorted))
            results.append({"ms_ssim": float(means.combine()[0]["ms_ssim"])})
        return results

    return lambda groups: [scores for group in groups for scores in score(group)]


def _score_pair_by_pair(score_pair: ScorePair) -> Implementation:
    return lambda groups: [
        score_pair(group.reference, path) for group in groups for path in group.distorted
    ]


def _allow_tf32(implementation: Implementation) -> Implementation:
    """Let a rival's convolutions use TF32 on a GPU, torch's default, which roi-ray forbids."""

    def score(groups: Sequence[Group]) -> list[dict[str, float]]:
        before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = True
        try:
            return implementation(groups)
        finally:
            torch.backends.cudnn.allow_tf32 = before

    return score
