"""Score decoded images against their reference. No Ray here: a notebook can do this too.

    scorer = Scorer()
    reference = scorer.prepare(decode_image(png_bytes))
    scores = scorer.score(reference, [decode_image(b) for b in decoded_files])

What depends on the reference alone is computed once, by `prepare`, however many codecs and
qualities are scored against it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.errors import OutOfMemory
from roi_ray.imaging.pixels import Pixels, check_pixels, check_size
from roi_ray.metrics.ms_ssim import MARGIN, combine_scales, filter_reference, similarity_maps
from roi_ray.metrics.mse import psnr_from_mse, squared_error_map
from roi_ray.metrics.roi import box_blur
from roi_ray.models.networks import Networks, load_networks
from roi_ray.runtime.device import Download, find_device, upload
from roi_ray.runtime.memory import is_out_of_memory
from roi_ray.schema import Scores
from roi_ray.scoring.prepared import Prepared, ReferenceBatch, pad_to_min_side
from roi_ray.settings import Settings

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

_BATCHES = {"cuda": 32}
_BATCH_PIXELS = 512 * 512


def load_networks_for(settings: Settings, weights_dir: str | None = None) -> Networks:
    """Load the networks that the settings name; see `load_networks`."""
    return load_networks(settings.lpips, settings.saliency, settings.discriminator, weights_dir)


class Scorer:
    """Holds the models on one device and scores pairs with them.

    Args:
        settings: what decides the numbers.
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` takes a GPU if there is one.
        batch: distorted images of 512 x 512 pixels that go through the networks at once; of other
            images as many as have that many pixels, but at least one. None: one on a CPU, whose
            caches hold no more; 32 on a GPU.
        weights_dir: folder with torchvision's backbone files, for LPIPS `alex`, `vgg`, `squeeze`.
        networks: to use, a copy of them, in place of those that the settings name.

    Attributes:
        provenance: name and SHA-256 of each network's weights.

    Raises:
        WeightsError: weights are missing, altered, or of an unknown layout.
        DeviceError: the device is not available.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        device: str = "cpu",
        batch: int | None = None,
        weights_dir: str | None = None,
        networks: Networks | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.device = find_device(device)
        self._pixels = (batch or _BATCHES.get(self.device.type, 1)) * _BATCH_PIXELS
        # In another precision, another scorer's would be changed.
        networks = deepcopy(networks) if networks else load_networks_for(self.settings, weights_dir)
        self._networks = networks.to(self.device, DTYPES[self.settings.precision])
        if self.device.type == "cuda":
            # By default torch rounds what goes into float32 convolutions to 10 bits.
            torch.backends.cudnn.allow_tf32 = False
        self.provenance = networks.provenance

    def prepare(self, reference: Pixels, mask: Pixels | None = None) -> Prepared:
        """Compute what depends on one reference alone; see `prepare_all`."""
        return self.prepare_all([reference], [mask])[0]

    @torch.inference_mode()
    def prepare_all(
        self, references: Sequence[Pixels], masks: Sequence[Pixels | None]
    ) -> list[Prepared]:
        """Compute what depends on each reference alone, for all of them at once.

        Args:
            references: of one size, each uint8, (H, W, 3), sRGB.
            masks: for each, uint8, (H, W), the ROI mask `R` itself (255 = inside) in place of the
                one that the saliency network gives, which is None; it is not smoothed.

        Raises:
            ImageReadError: an array is not of that type or shape.
            ImageTooSmall: a side is below SSIM's 11 pixels.
            SizeMismatch: a mask is not of its reference's size, or a reference not of the others'.
            OutOfMemory: it needs more memory than there is.
        """
        if not references:
            return []
        first = references[0]
        for reference, mask in zip(references, masks, strict=True):
            check_pixels(reference)
            check_size(reference, first)
            if mask is not None:
                check_pixels(mask, channels=())
                check_size(mask, first)
        with _enough_memory(first.shape[:2]):
            return self._prepare(references, masks)

    def _prepare(
        self, references: Sequence[Pixels], masks: Sequence[Pixels | None]
    ) -> list[Prepared]:
        pixels = upload(references, self.device)
        images = pixels.float().div_(255)
        # First, as it is what refuses an image that is too small.
        moments = filter_reference(images.contiguous())
        regions = self._regions(images, masks)
        network = self._networks.lpips
        features = network.extract_features(pad_to_min_side(images, network.min_side))
        fractions = regions.mean((-2, -1), dtype=torch.float64)
        return [
            Prepared(
                pixels=pixels[number : number + 1],
                mask=regions[number],
                moments=[level.select(slice(number, number + 1)) for level in moments],
                features=[layer[number : number + 1] for layer in features],
                _fraction=fractions[number],
            )
            for number in range(len(references))
        ]

    def _regions(self, images: Tensor, masks: Sequence[Pixels | None]) -> Tensor:
        """`R` of each image, (N, H, W): given, or found."""
        regions = images.new_empty(len(images), *images.shape[-2:])
        for number, mask in enumerate(masks):
            if mask is not None:
                regions[number] = torch.from_numpy(mask / np.float32(255))
        if wanted := [number for number, mask in enumerate(masks) if mask is None]:
            some = images if len(wanted) == len(images) else images[wanted]
            regions[wanted] = box_blur(self._networks.saliency(some)[:, 0].sigmoid())
        return regions

    def score(self, reference: Prepared, distorted: Sequence[Pixels]) -> list[Scores]:
        """Score any number of distorted images of one reference; see `score_pairs`."""
        return self.score_pairs([(reference, image) for image in distorted])

    @torch.inference_mode()
    def score_pairs(self, pairs: Sequence[tuple[Prepared, Pixels]]) -> list[Scores]:
        """Score distorted images, each against its reference; many at once on a GPU.

        Args:
            pairs: a reference from `prepare`, and an image of its size: uint8, (H, W, 3), sRGB. All
                references are of one size. Those of one reference belong next to each other: a
                batch of several has to copy them.

        Returns:
            the scores, in the order of the pairs.

        Raises:
            ImageReadError: an image is not of that type or shape; nothing is scored.
            SizeMismatch: an image is not of its reference's size, or a reference not of the others'
                size; nothing is scored.
            OutOfMemory: one of them needs more memory than there is. A batch that does is halved.
        """
        if not pairs:
            return []
        size = pairs[0][0].size
        for reference, image in pairs:
            check_pixels(image)
            check_size(image, reference.size)
            check_size(image, size)
        # The networks border what is tiny.
        least = max(self._networks.lpips.min_side, self._networks.discriminator.min_side)
        area = max(size[0], least) * max(size[1], least)
        batch = max(1, self._pixels // area)
        scores: list[Scores] = []
        # A GPU's numbers are read when the next batch has been sent to it, not before.
        under_way: list[_Batch] = []
        begun = 0
        while begun < len(pairs):
            some = pairs[begun : begun + batch]
            try:
                with _enough_memory(size):
                    under_way.append(self._begin(some))
            except OutOfMemory:
                if len(some) == 1:
                    raise
                batch = len(some) // 2
                continue
            begun += len(some)
            if len(under_way) > 1:
                scores += under_way.pop(0).scores()
        return scores + under_way.pop().scores()

    def _begin(self, pairs: Sequence[tuple[Prepared, Pixels]]) -> "_Batch":
        references = ReferenceBatch([one for one, _ in pairs], self.settings.roi_weighting)
        pixels = upload([image for _, image in pairs], self.device)
        images = pixels.float().div_(255)

        error, roi_error = references.means(squared_error_map(references.pixels, pixels))
        similarity, roi_similarity = zip(
            *(
                references.means(level, margin=MARGIN)
                for level in similarity_maps(references.moments, images.contiguous())
            ),
            strict=True,
        )
        network = self._networks.lpips
        side = network.min_side
        distances, roi_distances = zip(
            *(
                references.means(layer, min_side=side)
                for layer in network.compute_maps(
                    references.features, network.extract_activations(pad_to_min_side(images, side))
                )
            ),
            strict=True,
        )
        side = self._networks.discriminator.min_side
        logits = self._networks.discriminator(pad_to_min_side(images, side))
        loss, roi_loss = references.means(F.softplus(-logits[:, 0]), min_side=side)

        columns = {
            "mse": error,
            "psnr": psnr_from_mse(error),
            "ms_ssim": combine_scales(list(similarity)),
            "lpips": torch.stack(distances).sum(0),
            "d_loss": loss,
            "roi_mse": roi_error,
            "roi_psnr": psnr_from_mse(roi_error),
            "roi_ms_ssim": combine_scales(list(roi_similarity)),
            "roi_lpips": torch.stack(roi_distances).sum(0),
            "roi_d_loss": roi_loss,
            "roi_fraction": references.fractions.expand(len(pairs)),
        }
        height, width = references.size
        scales = len(references.moments)
        make = partial(Scores, width=width, height=height, ms_ssim_scales=scales)
        return _Batch(make, tuple(columns), Download(torch.stack(list(columns.values()), dim=1)))


@dataclass(frozen=True)
class _Batch:
    """Pairs that a GPU may still be working on: what they share, and the rest of their scores."""

    make: Callable[..., Scores]
    columns: tuple[str, ...]
    values: Download

    def scores(self) -> list[Scores]:
        """Wait for them."""
        return [
            self.make(**dict(zip(self.columns, row, strict=True))) for row in self.values.wait()
        ]


@contextmanager
def _enough_memory(size: tuple[int, int]) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemory(
            f"{size[1]} x {size[0]} needs more memory than there is: {str(error).splitlines()[0]}"
        ) from error
