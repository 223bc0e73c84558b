"""The metrics that need a network: LPIPS and the discriminator loss."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.images import ImagePair, Images, pad_to_min_side
from roi_ray.metrics.metric import Metric
from roi_ray.metrics.roi import MaskView
from roi_ray.metrics.strips import ImageStrips
from roi_ray.models.discriminator import PatchDiscriminator
from roi_ray.models.lpips import Lpips, RunSlice
from roi_ray.models.rows import RowChain, count_rows, freeze_instance_norms


class LpipsMetric(Metric):
    """LPIPS: maps of each layer, whose means are summed."""

    name = "lpips"

    def __init__(self, network: Lpips) -> None:
        self._network = network
        self.mask_view = MaskView(network.min_side)

    def begin(self, images: ImageStrips) -> Metric:
        """Return this metric for whole images, or one that keeps rows of strips."""
        return self if images.is_whole else _LpipsOfStrips(self._network)

    def map_heights(self, height: int) -> list[int]:
        """Count the rows of the output of each slice."""
        height = max(height, self._network.min_side)
        heights = []
        for part in self._network.slices:
            height = count_rows([part], height)
            heights.append(height)
        return heights

    def prepare(self, references: Images) -> Sequence[Tensor]:
        """Compute the features of references."""
        return self._network.extract_features(self._pad(references), self._get_slices(references))

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        """Compute the distance of the features, one map per layer."""
        images = pair.distorted
        activations = self._network.extract_activations(self._pad(images), self._get_slices(images))
        return self._network.compute_maps(list(prepared), activations)

    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        """Sum the means of all layers."""
        return {"lpips": torch.stack(means).sum(0)}

    def _pad(self, images: Images) -> Tensor:
        return _pad_rows_to_min_side(images, self._network.min_side)

    def _get_slices(self, images: Images) -> Iterable[RunSlice] | None:
        return None


class _LpipsOfStrips(LpipsMetric):
    """LPIPS of one sequence of strips."""

    def __init__(self, network: Lpips) -> None:
        super().__init__(network)
        self._chains = [RowChain([part]) for part in network.slices]

    def _get_slices(self, images: Images) -> Iterable[RunSlice] | None:
        return [partial(chain, is_last=images.is_last) for chain in self._chains]


class DiscriminatorLoss(Metric):
    """The generator's non-saturating loss under the discriminator: mean softplus(-D)."""

    name = "d_loss"

    def __init__(self, network: PatchDiscriminator) -> None:
        self._network = network
        self.mask_view = MaskView(network.min_side)

    def begin(self, images: ImageStrips) -> Metric:
        """Return this metric for whole images, or one that keeps rows of strips."""
        return self if images.is_whole else _DiscriminatorLossOfStrips(self._network, images)

    def map_heights(self, height: int) -> list[int]:
        """Count the rows of patches."""
        return [count_rows(self._network.layers, max(height, self._network.min_side))]

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        """Compute the loss per patch of the distorted images; the reference plays no part."""
        images = pad_to_min_side(pair.distorted.values, self._network.min_side)
        return [F.softplus(-self._network(images)[:, 0])]

    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        """Return the mean over patches."""
        return {"d_loss": means[0]}


class _DiscriminatorLossOfStrips(DiscriminatorLoss):
    """The discriminator loss of one sequence of strips."""

    def __init__(self, network: PatchDiscriminator, images: ImageStrips) -> None:
        super().__init__(network)
        self._images = images

    @cached_property
    def _chain(self) -> RowChain:
        # Made for distorted images alone, as instance norms have to read all strips first.
        def read() -> Iterator[tuple[Tensor, bool]]:
            for strip in self._images:
                yield self._scale(strip), strip.is_last

        return RowChain(freeze_instance_norms(self._network.layers, read))

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        """See `DiscriminatorLoss.compute_maps`."""
        logits = self._chain(self._scale(pair.distorted), pair.distorted.is_last)
        return [F.softplus(-logits.float().flatten(0, 1))]

    def _scale(self, images: Images) -> Tensor:
        return self._network.scale(_pad_rows_to_min_side(images, self._network.min_side))


def _pad_rows_to_min_side(images: Images, side: int) -> Tensor:
    """Do what `pad_to_min_side` does, for whole images or a strip of them."""
    rows = images.values.shape[-2]
    # Rows are added below the last strip, if the image as a whole has too few.
    missing = max(0, side - images.size[0]) if images.is_last else 0
    return pad_to_min_side(images.values, side, rows + missing)
