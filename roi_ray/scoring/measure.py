"""Compute all metrics of a batch of pairs. Add a new one here and in `roi_ray.schema.Scores`."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.ms_ssim import MARGIN, combine_scales, similarity_maps
from roi_ray.metrics.mse import psnr_from_mse, squared_error_map, squared_error_map_of_depths
from roi_ray.models.networks import Networks
from roi_ray.runtime.device import Download
from roi_ray.schema import Scores
from roi_ray.scoring.prepared import ReferenceBatch, pad_to_min_side, to_unit_range


def measure(
    references: ReferenceBatch, pixels: Tensor, bit_depth: int, networks: Networks
) -> dict[str, Tensor]:
    """Compute all numbers of distorted images, each against its reference.

    Each metric is computed as L maps, which are averaged over the whole image and under the mask.

    Args:
        references: one reference for all images, or one per image.
        pixels: distorted images, from `upload`, (N, 3, H, W).
        bit_depth: bits per sample of the distorted images.
        networks: LPIPS and the discriminator.

    Returns:
        one tensor (N,), float64, per field of `Scores` that is computed here.
    """
    images = to_unit_range(pixels, bit_depth)

    if references.bit_depth == bit_depth == 8:
        errors = squared_error_map(references.pixels, pixels)
    else:
        bit_depths = (references.bit_depth, bit_depth)
        errors = squared_error_map_of_depths(references.pixels, pixels, bit_depths)
    mse, roi_mse = references.average(errors)
    similarity, roi_similarity = zip(
        *(
            references.average(level, margin=MARGIN)
            for level in similarity_maps(references.moments, images.contiguous())
        ),
        strict=True,
    )

    lpips, side = networks.lpips, networks.lpips.min_side
    activations = lpips.extract_activations(pad_to_min_side(images, side))
    distances, roi_distances = zip(
        *(
            references.average(layer, min_side=side)
            for layer in lpips.compute_maps(references.features, activations)
        ),
        strict=True,
    )

    side = networks.discriminator.min_side
    logits = networks.discriminator(pad_to_min_side(images, side))
    d_loss, roi_d_loss = references.average(F.softplus(-logits[:, 0]), min_side=side)

    return {
        "mse": mse,
        "psnr": psnr_from_mse(mse),
        "ms_ssim": combine_scales(list(similarity)),
        "lpips": torch.stack(distances).sum(0),
        "d_loss": d_loss,
        "roi_mse": roi_mse,
        "roi_psnr": psnr_from_mse(roi_mse),
        "roi_ms_ssim": combine_scales(list(roi_similarity)),
        "roi_lpips": torch.stack(roi_distances).sum(0),
        "roi_d_loss": roi_d_loss,
        "roi_fraction": references.mask_means.expand(len(pixels)),
    }


@dataclass(frozen=True)
class RunningBatch:
    """Pairs that a GPU may still be working on.

    Attributes:
        size: height and width of all images.
        bit_depths: bits per sample of all references, and of all distorted images.
        scales: number of MS-SSIM scales.
        columns: fields of `Scores`, in the order of the columns of `numbers`.
        numbers: one row per pair.
    """

    size: tuple[int, int]
    bit_depths: tuple[int, int]
    scales: int
    columns: tuple[str, ...]
    numbers: Download

    def wait(self) -> list[Scores]:
        """Wait for the numbers, and return the scores in the order of the pairs."""
        height, width = self.size
        return [
            Scores(
                width=width,
                height=height,
                reference_bit_depth=self.bit_depths[0],
                distorted_bit_depth=self.bit_depths[1],
                ms_ssim_scales=self.scales,
                **dict(zip(self.columns, row, strict=True)),
            )
            for row in self.numbers.wait()
        ]
