"""Score image-codec sweeps at scale, over the whole image and where people look.

Compare a decoded image with its original:

    >>> import roi_ray
    >>> from roi_ray.sweep import photographs
    >>> photo = roi_ray.load_image(photographs()["chelsea"])
    >>> scores = roi_ray.score(photo, photo // 2 + 64)
    >>> round(scores.psnr, 1), round(scores.ms_ssim, 2)
    (21.3, 0.84)

`score` takes paths, URIs, bytes, arrays and Pillow images. `Scorer` scores arrays in batches,
`score_manifest` a table of files on a Ray cluster; `verify_scores` checks its numbers. `prefer`
predicts which of two images people prefer, and why; `compare`, `load_preference_model` and `rank`
do so for tables. `decide` says which codec of
a sweep wins, `write_report` shows it on a page; both rest on `bd_rate`. `metrics` has MSE, PSNR,
MS-SSIM and SSIMULACRA2 as functions of tensors. `roi_ray.client` asks a service of `roi-ray serve`
for the same numbers.

Every error that roi-ray raises on purpose is a `RoiRayError`.

A public name is imported when it is first used, so that `import roi_ray` is fast.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roi_ray import metrics as metrics
    from roi_ray.decision.bd_rate import bd_rate as bd_rate
    from roi_ray.decision.decide import decide as decide
    from roi_ray.errors import AccessError as AccessError
    from roi_ray.errors import ClusterError as ClusterError
    from roi_ray.errors import CodecError as CodecError
    from roi_ray.errors import DeviceError as DeviceError
    from roi_ray.errors import ImageError as ImageError
    from roi_ray.errors import ImageReadError as ImageReadError
    from roi_ray.errors import ImageTooLarge as ImageTooLarge
    from roi_ray.errors import ImageTooSmall as ImageTooSmall
    from roi_ray.errors import ManifestError as ManifestError
    from roi_ray.errors import NonFiniteScore as NonFiniteScore
    from roi_ray.errors import NotAllowed as NotAllowed
    from roi_ray.errors import OutOfMemory as OutOfMemory
    from roi_ray.errors import OutputError as OutputError
    from roi_ray.errors import RoiRayError as RoiRayError
    from roi_ray.errors import ServiceError as ServiceError
    from roi_ray.errors import ServiceUnavailable as ServiceUnavailable
    from roi_ray.errors import SizeMismatch as SizeMismatch
    from roi_ray.errors import StorageError as StorageError
    from roi_ray.errors import StorageUnavailable as StorageUnavailable
    from roi_ray.errors import TargetMissed as TargetMissed
    from roi_ray.errors import UnsupportedColour as UnsupportedColour
    from roi_ray.errors import UnusableMask as UnusableMask
    from roi_ray.errors import UsageError as UsageError
    from roi_ray.errors import WeightsError as WeightsError
    from roi_ray.errors import WorkerDied as WorkerDied
    from roi_ray.imaging.load import load_image as load_image
    from roi_ray.imaging.pixels import HighBitDepthImage as HighBitDepthImage
    from roi_ray.pipeline.options import Options as Options
    from roi_ray.pipeline.run import score_manifest as score_manifest
    from roi_ray.preference.compare import compare as compare
    from roi_ray.preference.model.preference_model import (
        load_preference_model as load_preference_model,
    )
    from roi_ray.preference.prefer import prefer as prefer
    from roi_ray.preference.ranking.rank import rank as rank
    from roi_ray.report.write import write_report as write_report
    from roi_ray.schema import Scores as Scores
    from roi_ray.scoring.score import score as score
    from roi_ray.scoring.scorer import Scorer as Scorer
    from roi_ray.settings import Settings as Settings
    from roi_ray.sweep.job import make_sweep as make_sweep
    from roi_ray.sweep.options import SweepOptions as SweepOptions
    from roi_ray.verification.verify import verify_scores as verify_scores

__version__ = "0.1.0"

__all__ = [
    "AccessError",
    "ClusterError",
    "CodecError",
    "DeviceError",
    "HighBitDepthImage",
    "ImageError",
    "ImageReadError",
    "ImageTooLarge",
    "ImageTooSmall",
    "ManifestError",
    "NonFiniteScore",
    "NotAllowed",
    "Options",
    "OutOfMemory",
    "OutputError",
    "RoiRayError",
    "Scorer",
    "Scores",
    "ServiceError",
    "ServiceUnavailable",
    "Settings",
    "SizeMismatch",
    "StorageError",
    "StorageUnavailable",
    "SweepOptions",
    "TargetMissed",
    "UnsupportedColour",
    "UnusableMask",
    "UsageError",
    "WeightsError",
    "WorkerDied",
    "__version__",
    "bd_rate",
    "compare",
    "decide",
    "load_image",
    "load_preference_model",
    "make_sweep",
    "metrics",
    "prefer",
    "rank",
    "score",
    "score_manifest",
    "verify_scores",
    "write_report",
]

# The modules that define the public names; errors are defined in roi_ray.errors.
_MODULES = {
    "HighBitDepthImage": "roi_ray.imaging.pixels",
    "Options": "roi_ray.pipeline.options",
    "Scorer": "roi_ray.scoring.scorer",
    "Scores": "roi_ray.schema",
    "Settings": "roi_ray.settings",
    "SweepOptions": "roi_ray.sweep.options",
    "bd_rate": "roi_ray.decision.bd_rate",
    "compare": "roi_ray.preference.compare",
    "decide": "roi_ray.decision.decide",
    "load_image": "roi_ray.imaging.load",
    "load_preference_model": "roi_ray.preference.model.preference_model",
    "make_sweep": "roi_ray.sweep.job",
    "prefer": "roi_ray.preference.prefer",
    "rank": "roi_ray.preference.ranking.rank",
    "score": "roi_ray.scoring.score",
    "score_manifest": "roi_ray.pipeline.run",
    "verify_scores": "roi_ray.verification.verify",
    "write_report": "roi_ray.report.write",
}

if not TYPE_CHECKING:  # a type checker would conclude that every name exists

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'roi_ray' has no attribute {name!r}")
        if name == "metrics":
            return importlib.import_module("roi_ray.metrics")
        value = getattr(importlib.import_module(_MODULES.get(name, "roi_ray.errors")), name)
        globals()[name] = value  # later uses do not call this function
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
