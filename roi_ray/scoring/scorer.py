"""Score decoded images against their reference, in batches. Uses no Ray."""

from collections.abc import Hashable, Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import groupby, islice
from typing import cast

import torch
from torch import Tensor

from roi_ray.errors import OutOfMemory
from roi_ray.imaging.masks import check_mask
from roi_ray.imaging.pixels import Pixels, Pixels8, bit_depth_of, check_pixels, check_size
from roi_ray.metrics import strips
from roi_ray.metrics.ms_ssim import scales_that_fit
from roi_ray.metrics.region import Region
from roi_ray.metrics.strips import ImageStrips
from roi_ray.models.networks import Networks, load_networks
from roi_ray.runtime.device import Download, find_device, upload
from roi_ray.runtime.memory import out_of_memory_errors
from roi_ray.runtime.precision import DTYPES, check_precision, fastest_precision
from roi_ray.schema import Scores
from roi_ray.scoring.masks import make_masks
from roi_ray.scoring.measure import RunningBatch, load_metrics, measure
from roi_ray.scoring.prepared import Prepared, ReferenceBatch, prepare_strips, select_rows
from roi_ray.settings import Settings

_GPU_BATCH, _CPU_BATCH = 32, 1
_BATCH_PIXELS = 512 * 512
_KEPT_PIXELS = 1 << 22
"""Largest reference of which what the metrics prepare is kept: 100 to 500 bytes per pixel."""
_LARGE_IMAGES_TOGETHER = 8
"""Images for which the work on a large reference is done once; each keeps some rows per layer."""


def load_networks_for(settings: Settings, weights_dir: str | None = None) -> Networks:
    """Load the networks that the settings name; see `load_networks`."""
    return load_networks(settings.lpips, settings.saliency, settings.discriminator, weights_dir)


class Scorer:
    """The networks on one device, ready to score many images.

    `prepare` computes once what depends on a reference alone, however many distorted images are
    scored against it.

    Args:
        settings: networks and options of the metrics; None for the defaults.
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` takes a GPU if there is one.
        batch: number of distorted images of 512 x 512 pixels that go through the networks at once.
            Batches of other sizes have at most as many pixels, but at least one image. None for 32
            on a GPU, and 1 on a CPU, whose caches hold no more.
        weights_dir: folder with torchvision's backbone files, for LPIPS `vgg` and `squeeze`.
        networks: networks to copy and use, instead of those that the settings name.
        allow_slow_precision: whether a precision that takes more than twice as long as fp32 on
            the device is used, instead of refused.

    Attributes:
        settings: networks and options of the metrics; the precision is never `auto`.
        device: torch device of the networks.
        provenance: name and SHA-256 of each network's weights.

    Raises:
        WeightsError: weights are missing, altered, or of an unknown layout.
        DeviceError: the device is not available, or the precision is too slow on it.

    Examples:
        >>> import roi_ray
        >>> from roi_ray.sweep import photographs
        >>> photo = roi_ray.load_image(photographs()["chelsea"])
        >>> scorer = Scorer()
        >>> reference = scorer.prepare(photo)
        >>> reference  # doctest: +ELLIPSIS
        Prepared(451 x 300, roi_fraction=0...)
        >>> good, bad = scorer.score(reference, [photo // 16 * 16 + 8, photo // 64 * 64 + 32])
        >>> good.ms_ssim > bad.ms_ssim, good.lpips < bad.lpips
        (True, True)
        >>> [file["name"] for file in scorer.provenance["saliency"]]
        ['saliency-lite0.safetensors']
    """

    def __init__(
        self,
        settings: Settings | None = None,
        device: str = "cpu",
        batch: int | None = None,
        weights_dir: str | None = None,
        networks: Networks | None = None,
        allow_slow_precision: bool = False,
    ) -> None:
        self.settings = settings or Settings()
        self.device = find_device(device)
        if self.settings.precision == "auto":
            self.settings = replace(self.settings, precision=fastest_precision(self.device))
        if not allow_slow_precision:
            check_precision(self.settings.precision, self.device)
        default_batch = _GPU_BATCH if self.device.type == "cuda" else _CPU_BATCH
        self._pixels_per_batch = (batch or default_batch) * _BATCH_PIXELS
        # A copy, as `to` changes the networks, which another scorer may be using.
        networks = deepcopy(networks) if networks else load_networks_for(self.settings, weights_dir)
        self._networks = networks.to(self.device, DTYPES[self.settings.precision])
        self._metrics = load_metrics(self._networks, self.settings.metrics)
        if self.device.type == "cuda":
            # By default torch rounds the inputs of float32 convolutions to 10 bits.
            torch.backends.cudnn.allow_tf32 = False
        self.provenance = networks.provenance

    def prepare(self, reference: Pixels, mask: Pixels8 | None = None) -> Prepared:
        """Compute what depends on one reference alone; see `prepare_all`."""
        return self.prepare_all([reference], [mask])[0]

    @torch.inference_mode()
    def prepare_all(
        self, references: Sequence[Pixels], masks: Sequence[Pixels8 | None]
    ) -> list[Prepared]:
        """Compute what depends on each reference alone, in one batch per bit depth.

        Args:
            references: sRGB, (H, W, 3), uint8 or `HighBitDepthImage`; all of one size, of any mix
                of bit depths.
            masks: one per reference: the mask `R` itself, uint8, (H, W), 255 inside the region of
                interest (it is not blurred); or None to let the saliency network make it.

        Returns:
            one entry per reference.

        Raises:
            ImageReadError: an array has another type or shape.
            UnusableMask: the values of a mask are not levels, such as 0 and 1.
            ImageTooSmall: a side is below SSIM's 11 pixels.
            SizeMismatch: a mask or a reference has another size than the first reference.
            OutOfMemory: the device has too little memory.
        """
        if not references:
            return []
        first = references[0]
        for reference, mask in zip(references, masks, strict=True):
            check_pixels(reference)
            check_size(reference, first)
            if mask is not None:
                check_mask(mask)
                check_size(mask, first)
        prepared: dict[int, Prepared] = {}
        with out_of_memory_errors(first.shape[:2]):
            for group in _group_positions(bit_depth_of(reference) for reference in references):
                results = self._prepare([references[i] for i in group], [masks[i] for i in group])
                prepared |= zip(group, results, strict=True)
        return [prepared[position] for position in range(len(references))]

    def _prepare(
        self, references: Sequence[Pixels], masks: Sequence[Pixels8 | None]
    ) -> list[Prepared]:
        """Prepare references of one bit depth."""
        if _is_large(references[0].shape[:2]):
            # Read again later, and the caller may change the arrays until then.
            references = [each.copy() if each.flags.writeable else each for each in references]
        images = self._make_strips(references)
        scales_that_fit(*images.size)  # refuses images that are too small
        if _is_large(images.size) and len(references) > 1:
            return [
                self._prepare([reference], [mask])[0]
                for reference, mask in zip(references, masks, strict=True)
            ]
        regions = self._make_regions(images, masks)
        names = frozenset(metric.name for metric in self._metrics)
        height, width = images.size
        rows = None
        if height * width <= _KEPT_PIXELS:
            rows = [prepared for _, prepared in prepare_strips(images, self._metrics)]
        return [
            Prepared(
                images=images.select(number),
                bit_depth=bit_depth_of(references[0]),
                region=region,
                metric_names=names,
                rows=rows and [select_rows(prepared, number) for prepared in rows],
            )
            for number, region in enumerate(regions)
        ]

    def _make_strips(self, images: Sequence[Pixels]) -> ImageStrips:
        """Make strips of images of one size and bit depth, on the device."""
        white = (1 << bit_depth_of(images[0])) - 1
        height, width = images[0].shape[:2]
        if not _is_large((height, width)):
            return ImageStrips.from_samples(upload(images, self.device), white)

        def load(start: int, end: int) -> Tensor:
            return upload([cast(Pixels, image[start:end]) for image in images], self.device)

        parts = strips.split_into_strips((height, width), strips.STRIP_PIXELS[self.device.type])
        return ImageStrips(len(images), (height, width), white, load, parts)

    def _make_regions(self, images: ImageStrips, masks: Sequence[Pixels8 | None]) -> list[Region]:
        """Return the region of each image: of the mask given, or of that from the network."""
        if missing := [number for number, mask in enumerate(masks) if mask is None]:
            unmasked = images if len(missing) == images.count else images.select(*missing)
            made = iter(make_masks(self._networks.saliency, unmasked))
        return [
            Region(next(made) if mask is None else torch.from_numpy(mask.copy()).to(self.device))
            for mask in masks
        ]

    def score(self, reference: Prepared, distorted: Sequence[Pixels]) -> list[Scores]:
        """Score any number of distorted images of one reference; see `score_pairs`."""
        return self.score_pairs([(reference, image) for image in distorted])

    @torch.inference_mode()
    def score_pairs(self, pairs: Sequence[tuple[Prepared, Pixels]]) -> list[Scores]:
        """Score distorted images, each against its reference.

        Every metric sees samples of n bits as v / (2^n - 1). Pairs of other bit depths are scored
        in batches of their own, so that the scores of 8-bit pairs do not depend on them.

        Args:
            pairs: a reference from `prepare`, and an image of its size: sRGB, (H, W, 3), uint8 or
                `HighBitDepthImage`, of any bit depth. All pairs are of one size. Put the images of
                one reference next to each other: a batch with several references copies them.

        Returns:
            the scores, in the order of the pairs.

        Raises:
            ImageReadError: an image has another type or shape; nothing is scored.
            SizeMismatch: an image has another size than its reference, or than the first pair;
                nothing is scored.
            OutOfMemory: the device has too little memory even for one pair. A batch that does not
                fit is halved.
        """
        if not pairs:
            return []
        size = pairs[0][0].size
        for reference, image in pairs:
            check_pixels(image)
            check_size(image, reference.size)
            check_size(image, size)
        scores: dict[int, Scores] = {}
        for group in _group_positions(
            (reference.bit_depth, bit_depth_of(image)) for reference, image in pairs
        ):
            results = self._score_group([pairs[position] for position in group], size)
            scores |= zip(group, results, strict=True)
        return [scores[position] for position in range(len(pairs))]

    def _score_group(
        self, pairs: Sequence[tuple[Prepared, Pixels]], size: tuple[int, int]
    ) -> list[Scores]:
        """Score pairs of one size, whose references have one bit depth, and images another."""
        if _is_large(size):
            return self._score_large(pairs)
        batch = self._pairs_per_batch(size)
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

    def _pairs_per_batch(self, size: tuple[int, int]) -> int:
        # The networks see tiny images padded to these sides.
        min_side = max(self._networks.lpips.min_side, self._networks.discriminator.min_side)
        area = max(size[0], min_side) * max(size[1], min_side)
        return max(1, self._pixels_per_batch // area)

    def _score_large(self, pairs: Sequence[tuple[Prepared, Pixels]]) -> list[Scores]:
        """Score pairs strip by strip; some images of one reference together."""
        scores: list[Scores] = []
        for _, group in groupby(pairs, key=lambda pair: id(pair[0])):
            while together := list(islice(group, _LARGE_IMAGES_TOGETHER)):
                references = ReferenceBatch([together[0][0]], self.settings.roi_weighting)
                with out_of_memory_errors(references.size):
                    running = self._start(references, [[image] for _, image in together])
                    scores += running.wait()
        return scores

    def _start_batch(self, pairs: Sequence[tuple[Prepared, Pixels]]) -> RunningBatch:
        references = ReferenceBatch(
            [reference for reference, _ in pairs], self.settings.roi_weighting
        )
        return self._start(references, [[image for _, image in pairs]])

    def _start(
        self, references: ReferenceBatch, batches: Sequence[Sequence[Pixels]]
    ) -> RunningBatch:
        """Start to measure batches of images, each against the same references."""
        distorted = [self._make_strips(images) for images in batches]
        numbers = measure(references, distorted, self._metrics)
        rows = [torch.stack(list(columns.values()), dim=1) for columns in numbers]
        return RunningBatch(
            size=references.size,
            bit_depths=(references.bit_depth, bit_depth_of(batches[0][0])),
            scales=scales_that_fit(*references.size),
            columns=tuple(numbers[0]),
            numbers=Download(torch.cat(rows)),
        )


def _is_large(size: tuple[int, ...]) -> bool:
    """Whether images of a height and width are read strip by strip."""
    return size[0] * size[1] > strips.WHOLE_PIXELS


def _group_positions(keys: Iterable[Hashable]) -> list[list[int]]:
    """Group the positions of equal keys; groups and positions keep their order."""
    groups: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        groups.setdefault(key, []).append(position)
    return list(groups.values())
