"""Score decoded images against their reference, in batches. Uses no Ray."""

from collections.abc import Hashable, Iterable, Sequence
from copy import deepcopy
from dataclasses import replace

import torch

from roi_ray.imaging.masks import check_mask
from roi_ray.imaging.pixels import Pixels, Pixels8, bit_depth_of, check_pixels, check_size
from roi_ray.models.networks import Networks, load_networks
from roi_ray.runtime.available import check_available_memory
from roi_ray.runtime.device import find_device
from roi_ray.runtime.memory import out_of_memory_errors
from roi_ray.runtime.precision import DTYPES, check_precision, fastest_precision
from roi_ray.schema import Scores
from roi_ray.scoring.batches import BatchScorer
from roi_ray.scoring.measure import load_metrics
from roi_ray.scoring.needs import scoring_need
from roi_ray.scoring.preparation import Preparation
from roi_ray.scoring.prepared import Prepared
from roi_ray.settings import Settings

_GPU_BATCH, _CPU_BATCH = 32, 1
_BATCH_PIXELS = 512 * 512
_CHECKED_PIXELS = 1 << 22
"""Images of more pixels are scored only where there is memory for them."""


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
            on a GPU, and 1 on a CPU, whose caches hold no more. Large images go through the
            networks in strips of rows.
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
        pixels = (batch or default_batch) * _BATCH_PIXELS
        # A copy, as `to` changes the networks, which another scorer may be using.
        networks = deepcopy(networks) if networks else load_networks_for(self.settings, weights_dir)
        self._networks = networks.to(self.device, DTYPES[self.settings.precision])
        metrics = load_metrics(self._networks, self.settings.metrics)
        self._preparation = Preparation(self._networks.saliency, metrics, self.device)
        min_side = max(self._networks.lpips.min_side, self._networks.discriminator.min_side)
        self._batches = BatchScorer(
            metrics, self.settings.roi_weighting, self.device, pixels, min_side
        )
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
        self._check_memory(first.shape[:2])
        prepared: dict[int, Prepared] = {}
        with out_of_memory_errors(first.shape[:2]):
            for group in _group_positions(bit_depth_of(reference) for reference in references):
                results = self._preparation.prepare(
                    [references[i] for i in group], [masks[i] for i in group]
                )
                prepared |= zip(group, results, strict=True)
        return [prepared[position] for position in range(len(references))]

    def _check_memory(self, size: tuple[int, int]) -> None:
        """Check that the memory suffices for a large reference, and for an image of its size.

        On a GPU a failed allocation is an error; on a CPU the system may kill the process instead.

        Raises:
            OutOfMemory: it does not.
        """
        height, width = size
        if self.device.type == "cpu" and height * width > _CHECKED_PIXELS:
            need = scoring_need(height * width, 1, self.settings.lpips, "cpu")
            check_available_memory(need, f"scoring {width} x {height}")

    def score(self, reference: Prepared, distorted: Sequence[Pixels]) -> list[Scores]:
        """Score any number of distorted images of one reference; see `score_pairs`."""
        return self.score_pairs([(reference, image) for image in distorted])

    def pairs_per_batch(self, size: tuple[int, int]) -> int:
        """Return how many pairs of a height and width go through the networks at once."""
        return self._batches.pairs_per_batch(size)

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
            results = self._batches.score([pairs[position] for position in group])
            scores |= zip(group, results, strict=True)
        return [scores[position] for position in range(len(pairs))]


def _group_positions(keys: Iterable[Hashable]) -> list[list[int]]:
    """Group the positions of equal keys; groups and positions keep their order."""
    groups: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        groups.setdefault(key, []).append(position)
    return list(groups.values())
