"""Names, numbers and reasons as the page writes them."""

import math
from collections.abc import Sequence

from roi_ray import schema
from roi_ray.decision.resampling import Estimate

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
THIN = "\N{NARROW NO-BREAK SPACE}"

_LABELS = {
    "psnr": "PSNR",
    "mse": "MSE",
    "mse_y": "MSE, luma",
    "mse_cb": "MSE, Cb",
    "mse_cr": "MSE, Cr",
    "ms_ssim": "MS-SSIM",
    "texture_gained": "texture gained",
    "texture_lost": "texture lost",
    "lpips": "LPIPS",
    "d_loss": "D loss",
    "ssimulacra2": "SSIMULACRA2",
    "ssimulacra2_y": "SSIMULACRA2 Y",
}
_ROI = "roi_"


def base_metric(metric: str) -> str:
    """Return the full-frame metric of a metric: `psnr` of `roi_psnr`."""
    return metric.removeprefix(_ROI)


def is_roi(metric: str) -> bool:
    """Tell whether a metric is measured under the mask of the region of interest."""
    return metric.startswith(_ROI)


def label_metric(metric: str, *, region: bool = True) -> str:
    """Return a metric's name as the field writes it, such as `MS-SSIM (ROI)`.

    Args:
        metric: column of the scores.
        region: say so if it is measured in the region of interest.
    """
    label = _LABELS.get(base_metric(metric), base_metric(metric))
    return f"{label} (ROI)" if region and is_roi(metric) else label


def describe_metric(metric: str) -> str:
    """Describe a metric in one line: what it measures, its unit, and which direction is better."""
    meaning = schema.MEANINGS[metric]
    if is_roi(metric):
        base = label_metric(base_metric(metric))
        return f"{base} under the mask of where people look; {meaning.better} is better"
    unit = "" if meaning.unit in ("", "1") else f", in {meaning.unit}"
    return f"{meaning.text}{unit}; {meaning.better} is better"


def format_percent(value: float) -> str:
    """Format a difference in percent with its sign: `+3.4 %`, with a true minus."""
    digits = 1 if abs(value) < 99.95 else 0
    text = f"{abs(value):.{digits}f}"
    sign = "" if float(text) == 0 else "+" if value > 0 else MINUS
    return f"{sign}{text}{THIN}%"


def format_interval(estimate: Estimate) -> str | None:
    """Format the interval of a difference in percent; None if there is none."""
    if estimate.low is None or estimate.high is None:
        return None
    ends = (format_percent(end).removesuffix(f"{THIN}%") for end in (estimate.low, estimate.high))
    return " to ".join(ends)


def round_number(value: float | None, digits: int = 5) -> float | None:
    """Round to significant digits for JSON; None for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def shorten(text: str, limit: int = 60) -> str:
    """Cut the middle out of a text that is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[:head]}\N{HORIZONTAL ELLIPSIS}{text[head + 1 - limit :]}"


def name_images(images: Sequence[str]) -> list[str]:
    """Shorten the URIs of images by the folder that all have in common."""
    folders = [image.split("/")[:-1] for image in images]
    common = 0
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        common += 1
    return ["/".join(image.split("/")[common:]) for image in images]
