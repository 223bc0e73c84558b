"""Score pairs in batches that the device's memory holds: many small pairs, or a few strips."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, islice

import torch

from roi_ray.errors import OutOfMemory
from roi_ray.imaging.pixels import Pixels, bit_depth_of
from roi_ray.metrics.metric import Metric
from roi_ray.metrics.ms_ssim import scales_that_fit
from roi_ray.runtime.device import Download
from roi_ray.runtime.memory import out_of_memory_errors
from roi_ray.schema import Scores
from roi_ray.scoring.measure import RunningBatch, measure
from roi_ray.scoring.needs import LARGE_IMAGES
from roi_ray.scoring.prepared import Prepared, ReferenceBatch
from roi_ray.scoring.read import make_strips
from roi_ray.settings import Weighting

Pair = tuple[Prepared, Pixels]
"""A reference and a distorted image."""


class BatchScorer:
    """Scores pairs on one device.

    Args:
        metrics: the metrics.
        weighting: weighting of the mask.
        device: device of the metrics.
        pixels: largest number of pixels of a batch of more than one image.
        min_side: the networks see images padded to these sides at least.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        weighting: Weighting,
        device: torch.device,
        pixels: int,
        min_side: int,
    ) -> None:
        self._metrics, self._weighting, self._device = metrics, weighting, device
        self._pixels, self._min_side = pixels, min_side

    def score(self, pairs: Sequence[Pair]) -> list[Scores]:
        """Score pairs of one size, whose references have one bit depth, and images another.

        Raises:
            OutOfMemory: see `Scorer.score_pairs`.
        """
        if not pairs[0][0].images.is_whole:
            return self._score_large(pairs)
        size = pairs[0][0].size
        batch = self.pairs_per_batch(size)
        scores: list[Scores] = []
        # Results are read after the next batch has been sent to the GPU, so that it never waits.
        running: list[RunningBatch] = []
        started = 0
        while started < len(pairs):
            batch_pairs = pairs[started : started + batch]
            try:
                with out_of_memory_errors(size):
                    running.append(self._start_batch(batch_pairs))
            except OutOfMemory:
                if len(batch_pairs) == 1:
                    raise
                batch = len(batch_pairs) // 2
                continue
            started += len(batch_pairs)
            if len(running) > 1:
                scores += running.pop(0).wait()
        return scores + running.pop().wait()

    def pairs_per_batch(self, size: tuple[int, int]) -> int:
        """Return how many pairs of a size go through the networks at once."""
        area = max(size[0], self._min_side) * max(size[1], self._min_side)
        return max(1, self._pixels // area)

    def _score_large(self, pairs: Sequence[Pair]) -> list[Scores]:
        """Score pairs strip by strip; some images of one reference together."""
        scores: list[Scores] = []
        for _, group in groupby(pairs, key=lambda pair: id(pair[0])):
            while together := list(islice(group, LARGE_IMAGES)):
                scores += self._score_together(together[0][0], [image for _, image in together])
        return scores

    def _score_together(self, reference: Prepared, images: Sequence[Pixels]) -> list[Scores]:
        """Score large images of one reference; with too little memory fewer, or lower strips."""
        try:
            with out_of_memory_errors(reference.size):
                batch = ReferenceBatch([reference], self._weighting)
                return self._start(batch, [[image] for image in images]).wait()
        except OutOfMemory:
            lower = reference.split_further() if len(images) == 1 else reference
            if lower is None:
                raise
        # Outside of the except clause, because the exception keeps device memory alive.
        half = (len(images) + 1) // 2
        parts = [part for part in (images[:half], images[half:]) if part]
        return [scores for part in parts for scores in self._score_together(lower, part)]

    def _start_batch(self, pairs: Sequence[Pair]) -> RunningBatch:
        references = ReferenceBatch([reference for reference, _ in pairs], self._weighting)
        return self._start(references, [[image for _, image in pairs]])

    def _start(
        self, references: ReferenceBatch, batches: Sequence[Sequence[Pixels]]
    ) -> RunningBatch:
        """Start to measure batches of images, each against the same references."""
        distorted = [
            replace(make_strips(images, self._device), strips=references.strips)
            for images in batches
        ]
        numbers = measure(references, distorted, self._metrics)
        rows = [torch.stack(list(columns.values()), dim=1) for columns in numbers]
        return RunningBatch(
            size=references.size,
            bit_depths=(references.bit_depth, bit_depth_of(batches[0][0])),
            scales=scales_that_fit(*references.size),
            columns=tuple(numbers[0]),
            numbers=Download(torch.cat(rows)),
        )
