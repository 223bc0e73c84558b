"""What the scoring thread does with pairs and references."""

import io
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from roi_ray.imaging.pixels import Pixels, Pixels8
from roi_ray.runtime import telemetry
from roi_ray.runtime.available import exclusive_memory
from roi_ray.schema import Failure, Scores
from roi_ray.scoring.needs import scoring_need
from roi_ray.scoring.outcome import check_finite
from roi_ray.scoring.prepared import Prepared
from roi_ray.scoring.scorer import Scorer
from roi_ray.service.backend import Provenance
from roi_ray.service.worker.decode import ADVICE, PLANNED_PIXELS
from roi_ray.service.worker.prepared_cache import KeptReference


@dataclass(frozen=True)
class ScorePairs:
    """Work that scores pairs of one size: on a CPU one by one, on a GPU those that wait.

    On a CPU the last digits may depend on the size of a batch, so a pair is scored alone, as
    `roi_ray.score` does.

    Args:
        scorer: the scorer.
        size: height and width of the images.
    """

    scorer: Scorer
    size: tuple[int, int]

    @property
    def limit(self) -> int:
        """Pairs that are scored at once."""
        is_gpu = self.scorer.device.type == "cuda"
        return self.scorer.pairs_per_batch(self.size) if is_gpu else 1

    def run(self, items: Sequence[tuple[Prepared, Pixels]]) -> list[Scores | Failure]:
        """Score pairs."""
        order = sorted(range(len(items)), key=lambda number: id(items[number][0]))
        with telemetry.time_stage("score"), _reserve_memory(self.scorer, self.size, len(items)):
            scores = self.scorer.score_pairs([items[number] for number in order])
        outcomes = map(check_finite, scores)
        return [outcome for _, outcome in sorted(zip(order, outcomes, strict=True), key=_first)]


def _first(pair: tuple[int, object]) -> int:
    return pair[0]


def prepare(scorer: Scorer, pixels: Pixels, mask: Pixels8 | None) -> KeptReference:
    """Prepare a reference for a cache.

    Args:
        scorer: the scorer.
        pixels: the reference; copied if it is kept, because it may lie in memory that other
            processes share.
        mask: see `Scorer.prepare`.

    Raises:
        ImageError: see `Scorer.prepare`.
        TurnTaken: the reference is large, and so is another image that is worked on.
    """
    with telemetry.time_stage("prepare"), _reserve_memory(scorer, pixels.shape[:2], 1):
        if not pixels.flags.owndata:
            pixels = pixels.copy()
        pixels.flags.writeable = False  # otherwise the scorer would copy it
        prepared = scorer.prepare(pixels, mask)
    return KeptReference(prepared, None if prepared.images.is_whole else pixels)


def encode_mask(prepared: Prepared, provenance: Provenance) -> bytes:
    """Encode the mask of a reference as a grey PNG of 8 bits: 255 R, rounded.

    Its text chunks `scoring_version`, `settings` and `weights` say what made it.
    """
    levels = np.rint(255.0 * prepared.mask.cpu().numpy().astype(np.float64)).astype(np.uint8)
    file = io.BytesIO()
    texts = PngInfo()
    for name, value in asdict(provenance).items():
        texts.add_text(name, json.dumps(value))
    Image.fromarray(levels).save(file, "PNG", pnginfo=texts)
    return file.getvalue()


def _reserve_memory(
    scorer: Scorer, size: tuple[int, ...], images: int
) -> AbstractContextManager[None]:
    """Take the turn of large images, and check whether there is memory for them."""
    height, width = size
    if height * width <= PLANNED_PIXELS:
        return nullcontext()
    need = scoring_need(height * width, images, scorer.settings.lpips, scorer.device.type)
    return exclusive_memory(need, f"scoring {width} x {height}", ADVICE, can_wait=False)
