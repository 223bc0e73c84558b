"""Score decoded images against their reference. No Ray here: a notebook can do this too.

    scorer = Scorer()
    reference = scorer.prepare(images.decode(png_bytes))
    scores = scorer.score(reference, [images.decode(b) for b in decoded_files])

What depends on the reference alone is computed once, by `prepare`, however many codecs and
qualities are scored against it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.errors import OutOfMemory, WeightsError
from roi_ray.images import Pixels, check_size
from roi_ray.memory import is_out_of_memory
from roi_ray.metrics import ms_ssim, mse, roi
from roi_ray.models import discriminator, lpips, saliency
from roi_ray.models.networks import Networks, load_networks
from roi_ray.schema import Scores

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

_BATCHES = {"cuda": 16}
_BATCH_PIXELS = 512 * 512


@dataclass(frozen=True)
class Settings:
    """What decides the numbers, and is recorded with them.

    Attributes:
        lpips: a name of `roi_ray.models.lpips.NAMES`.
        saliency: the packaged network's name, or the URI of a U2-Net or U2-Net-p checkpoint.
        discriminator: the packaged network's name, or the URI of a PatchGAN checkpoint.
        roi_weighting: `mean` for the paper's mean(L R), `normalised` for sum(L R) / sum(R).
        precision: of the networks; the metrics made from their outputs are fp32 or better.
    """

    lpips: str = lpips.DEFAULT
    saliency: str = saliency.DEFAULT
    discriminator: str = discriminator.DEFAULT
    roi_weighting: roi.Weighting = "mean"
    precision: Precision = "fp32"

    def networks(self, weights_dir: str | None = None) -> Networks:
        """Load the networks that are named here; see `load_networks`."""
        return load_networks(self.lpips, self.saliency, self.discriminator, weights_dir)


@dataclass(frozen=True)
class Prepared:
    """A reference, with everything that does not depend on a distorted image.

    Attributes:
        pixels: uint8, (1, 3, H, W).
        mask: `R`, float32, (H, W), in [0, 1].
        fraction: mean of the mask.
        moments: for MS-SSIM.
        features: for LPIPS.
    """

    pixels: Tensor
    mask: Tensor
    fraction: float
    moments: list[ms_ssim.Moments]
    features: list[Tensor]
    _weights: dict[tuple[int, ...], Tensor] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape[-2:]
        return height, width


class Scorer:
    """Holds the models on one device and scores pairs with them.

    Args:
        settings: what decides the numbers.
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` takes a GPU if there is one.
        batch: distorted images of 512 x 512 pixels that go through the networks at once; of larger
            images as many fewer, but at least one. None: one on a CPU, whose caches hold no more
            and whose numbers then do not depend on an image's company; 16 on a GPU.
        weights_dir: folder with torchvision's backbone files, for LPIPS `alex`, `vgg`, `squeeze`.
        networks: to use in place of those that the settings name; they are moved to the device.

    Attributes:
        provenance: name and SHA-256 of each network's weights.

    Raises:
        WeightsError: weights are missing, altered, or of an unknown layout.
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
        networks = networks or self.settings.networks(weights_dir)
        self._networks = networks.to(self.device, DTYPES[self.settings.precision])
        self.provenance = networks.provenance

    @torch.inference_mode()
    def prepare(self, reference: Pixels, mask: Pixels | None = None) -> Prepared:
        """Compute what depends on the reference alone.

        Args:
            reference: uint8, (H, W, 3), sRGB.
            mask: uint8, (H, W), the ROI mask `R` itself (255 = inside) in place of the one that
                the saliency network gives; it is not smoothed.

        Raises:
            ImageTooSmall: a side is below SSIM's 11 pixels.
            SizeMismatch: the mask is not of the reference's size.
            OutOfMemory: it needs more memory than there is.
        """
        height, width = reference.shape[:2]
        with _enough_memory((height, width)):
            return self._prepare(reference, mask)

    def _prepare(self, reference: Pixels, mask: Pixels | None) -> Prepared:
        pixels = upload([reference], self.device)
        image = pixels.float().div_(255)
        # First, as it is what refuses an image that is too small.
        moments = ms_ssim.prepare(image[0].contiguous())
        if mask is None:
            logits = self._networks.saliency(image)
            region = roi.smooth(logits[0, 0].sigmoid())
        else:
            check_size(mask, reference)
            region = torch.from_numpy(mask.copy()).to(self.device).float() / 255
        network = self._networks.lpips
        features = network.features(_at_least(image, network.min_side))
        return Prepared(
            pixels=pixels,
            mask=region,
            fraction=float(region.mean(dtype=torch.float64)),
            moments=moments,
            features=features,
        )

    @torch.inference_mode()
    def score(self, reference: Prepared, distorted: Sequence[Pixels]) -> list[Scores]:
        """Score any number of distorted images of one reference.

        Args:
            reference: from `prepare`.
            distorted: each uint8, (H, W, 3), sRGB, of the reference's size.

        Returns:
            the scores, in the order of the images.

        Raises:
            SizeMismatch: an image is not of the reference's size; nothing is scored.
            OutOfMemory: one of them needs more memory than there is. A batch that does is halved.
        """
        for image in distorted:
            check_size(image, reference.size)
        height, width = reference.size
        scores: list[Scores] = []
        while len(scores) < len(distorted):
            batch = max(1, self._pixels // (height * width))
            some = distorted[len(scores) : len(scores) + batch]
            try:
                with _enough_memory(reference.size):
                    scores += list(self._score_batch(reference, some))
            except OutOfMemory:
                if len(some) == 1:
                    raise
                self._pixels = len(some) // 2 * height * width
        return scores

    def _score_batch(self, reference: Prepared, distorted: Sequence[Pixels]) -> Iterator[Scores]:
        pixels = upload(distorted, self.device)
        images = pixels.float().div_(255)

        error, roi_error = self._means(reference, mse.squared_error(reference.pixels, pixels))
        similarity, roi_similarity = zip(
            *(
                self._means(reference, level, margin=ms_ssim.MARGIN)
                for level in ms_ssim.maps(reference.moments, images.contiguous())
            ),
            strict=True,
        )
        network = self._networks.lpips
        side = network.min_side
        features = network.features(_at_least(images, side))
        distances, roi_distances = zip(
            *(
                self._means(reference, layer, min_side=side)
                for layer in network.maps(reference.features, features)
            ),
            strict=True,
        )
        side = self._networks.discriminator.min_side
        logits = self._networks.discriminator(_at_least(images, side))
        loss, roi_loss = self._means(reference, F.softplus(-logits[:, 0]), min_side=side)

        height, width = reference.size
        columns = {
            "mse": error,
            "psnr": mse.psnr(error),
            "ms_ssim": ms_ssim.combine(list(similarity)),
            "lpips": torch.stack(distances).sum(0),
            "d_loss": loss,
            "roi_mse": roi_error,
            "roi_psnr": mse.psnr(roi_error),
            "roi_ms_ssim": ms_ssim.combine(list(roi_similarity)),
            "roi_lpips": torch.stack(roi_distances).sum(0),
            "roi_d_loss": roi_loss,
        }
        values = torch.stack(list(columns.values()), dim=1).tolist()
        for row in values:
            yield Scores(
                width=width,
                height=height,
                ms_ssim_scales=len(reference.moments),
                roi_fraction=reference.fraction,
                **dict(zip(columns, row, strict=True)),
            )

    def _means(
        self, reference: Prepared, maps: Tensor, margin: int = 0, min_side: int = 0
    ) -> tuple[Tensor, Tensor]:
        """The mean over the whole image, and the mean under the mask."""
        key = (*maps.shape[-2:], margin, min_side)
        weights = reference._weights.get(key)
        if weights is None:
            # The mask follows the image: bordered like it where it is tiny, brought to the map's
            # resolution, and without the margin that SSIM's valid window loses.
            mask = _at_least(reference.mask[None, None], min_side)[0, 0]
            height, width = (side + 2 * margin for side in maps.shape[-2:])
            mask = roi.area_average(mask, height, width)
            mask = mask[margin : height - margin, margin : width - margin]
            weights = roi.weights(mask, self.settings.roi_weighting)
            reference._weights[key] = weights
        return roi.means(maps, weights)


def upload(images: Sequence[Pixels], device: torch.device) -> Tensor:
    """Images of one size as uint8, (N, 3, H, W), laid out as files have them: channels last."""
    return torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2)


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


def find_device(name: str) -> torch.device:
    """The device of that name; for `auto`, a GPU if there is one.

    Raises:
        WeightsError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise WeightsError(f"no device {name!r} here: {str(error).splitlines()[0]}") from error
    return device


def _at_least(images: Tensor, side: int) -> Tensor:
    """Images whose sides are at least `side`: edge pixels repeated to the right and downwards."""
    height, width = images.shape[-2:]
    right, down = max(0, side - width), max(0, side - height)
    if right or down:
        images = F.pad(images, (0, right, 0, down), mode="replicate")
        return images.contiguous(memory_format=torch.channels_last)
    return images
