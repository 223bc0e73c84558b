"""What a cell of a sweep asks for: a quality, a size or a score; and the scores of an image."""

import math
import threading
from dataclasses import dataclass

import numpy as np

from roi_ray import schema
from roi_ray.errors import UsageError
from roi_ray.imaging.pixels import Pixels, bit_depth_of
from roi_ray.imaging.samples import tiles
from roi_ray.settings import PSNR_CAP

PSNR = "psnr"


@dataclass(frozen=True)
class TargetMetric:
    """A metric that a codec's quality can be searched for. A higher value is a better image.

    Attributes:
        unit: unit for messages, with a leading space; empty if it has none.
        tolerance: largest distance from the target by default.
        lowest: targets must be above it.
        highest: targets must be below it.
        is_relative: whether the tolerance is a share of the target.
    """

    unit: str
    tolerance: float
    lowest: float
    highest: float
    is_relative: bool = False

    def distance(self, value: float, target: float) -> float:
        """Return how far a value is from the target, in the tolerance's unit."""
        return abs(value - target) / (target if self.is_relative else 1.0)

    def describe_tolerance(self, tolerance: float) -> str:
        """Write a tolerance, such as `5 %` or `0.5 dB`."""
        return f"{100 * tolerance:g} %" if self.is_relative else f"{tolerance:g}{self.unit}"


TARGET_METRICS = {
    schema.BPP: TargetMetric(" bpp", 0.05, 0.0, math.inf, is_relative=True),
    PSNR: TargetMetric(" dB", 0.5, 0.0, PSNR_CAP),
    "ms_ssim": TargetMetric("", 0.005, 0.0, 1.0),
    "ssimulacra2": TargetMetric("", 1.0, -math.inf, 100.0),
}
"""What can be searched for. All of them grow with the quality of an image."""


def check_target(metric: str, value: float) -> None:
    """Check a target that is not a quality.

    Args:
        metric: name of the metric.
        value: the target.

    Raises:
        UsageError: the metric cannot be searched for, or cannot have the value.
    """
    if metric not in TARGET_METRICS:
        raise UsageError(
            f"{metric!r} cannot be matched; choose from {', '.join(TARGET_METRICS)}, such as "
            "bpp=0.25,0.5,1"
        )
    target = TARGET_METRICS[metric]
    if not target.lowest < value < target.highest:  # also refuses NaN
        limits = [
            *([f"above {target.lowest:g}"] if math.isfinite(target.lowest) else []),
            *([f"below {target.highest:g}"] if math.isfinite(target.highest) else []),
        ]
        reason = ", which identical images have" if value == target.highest < math.inf else ""
        raise UsageError(
            f"{metric}={value:g} cannot be matched: give a number {' and '.join(limits)}{reason}"
        )


def measure(metric: str, reference: Pixels, distorted: Pixels) -> float:
    """Measure an image as scoring does, over the whole image.

    Args:
        metric: `psnr`, `ms_ssim` or `ssimulacra2`.
        reference: sRGB, (H, W, 3).
        distorted: sRGB, of the reference's size; its bit depth may differ.

    Returns:
        PSNR in dB, at most 100; MS-SSIM in [0, 1]; SSIMULACRA2, at most 100. Higher is better.

    Raises:
        ImageTooSmall: a side is below 11 pixels for MS-SSIM, 8 for SSIMULACRA2.
    """
    if metric == PSNR:
        return _psnr(reference, distorted)
    return _measure_by_torch(metric, reference, distorted)


def _measure_by_torch(metric: str, reference: Pixels, distorted: Pixels) -> float:
    import torch  # only here: it takes seconds, and most sweeps need none of it

    from roi_ray.metrics.metric import compute_numbers
    from roi_ray.metrics.ms_ssim import METRIC as MS_SSIM
    from roi_ray.metrics.ssimulacra2 import METRIC as SSIMULACRA2
    from roi_ray.scoring.read import make_strips

    _use_one_thread()
    x, y = (make_strips([image], torch.device("cpu")) for image in (reference, distorted))
    whole, _ = compute_numbers(MS_SSIM if metric == "ms_ssim" else SSIMULACRA2, x, y)
    return float(whole[metric])


_LOCK = threading.Lock()
_PREPARED = threading.local()


def _use_one_thread() -> None:
    """Let torch work in this thread alone: as many images are in work as there are CPUs.

    torch keeps a number of threads for each thread, and one that further threads begin with. The
    latter stays as it is, and so does that of the main thread, which belongs to the caller.
    """
    import torch

    if threading.current_thread() is threading.main_thread() or hasattr(_PREPARED, "done"):
        return
    with _LOCK:
        count = torch.get_num_threads()
        torch.set_num_threads(1)
        restoring = threading.Thread(target=torch.set_num_threads, args=(count,))
        restoring.start()
        restoring.join()
    _PREPARED.done = True


def _psnr(reference: Pixels, distorted: Pixels) -> float:
    """Return `-10 log10(MSE)` of samples in [0, 1], as `roi_ray.metrics.mse` does."""
    x_white, y_white = ((1 << bit_depth_of(image)) - 1 for image in (reference, distorted))
    if x_white == y_white:
        x_scale, y_scale, white = 1, 1, x_white
    else:  # a common scale, below 2^32, so that differences are exact
        x_scale, y_scale, white = y_white, x_white, x_white * y_white
    x, y = np.asarray(reference), np.asarray(distorted)
    total = 0.0
    for tile in tiles(x):
        difference = x[tile].astype(np.float64).ravel() * x_scale
        difference -= y[tile].astype(np.float64).ravel() * y_scale
        total += float(np.square(difference, out=difference).sum())
    mse = total / (float(white) ** 2 * x.size)
    return PSNR_CAP if mse == 0 else min(PSNR_CAP, -10 * math.log10(mse))
