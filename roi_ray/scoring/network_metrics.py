"""The metrics that need a network: LPIPS and the discriminator loss."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.images import ImagePair, Images, pad_to_min_side
from roi_ray.metrics.metric import Metric
from roi_ray.metrics.roi import MaskView
from roi_ray.models.discriminator import PatchDiscriminator
from roi_ray.models.lpips import Lpips


class LpipsMetric(Metric):
    """LPIPS: maps of each layer, whose means are summed."""

    name = "lpips"

    def __init__(self, network: Lpips) -> None:
        self._network = network
        self.mask_view = MaskView(network.min_side)

    def prepare(self, references: Images) -> Sequence[Tensor]:
        """Compute the features of references."""
        return self._network.extract_features(self._pad(references))

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        """Compute the distance of the features, one map per layer."""
        activations = self._network.extract_activations(self._pad(pair.distorted))
        return self._network.compute_maps(list(prepared), activations)

    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        """Sum the means of all layers."""
        return {"lpips": torch.stack(means).sum(0)}

    def _pad(self, images: Images) -> Tensor:
        return pad_to_min_side(images.values, self._network.min_side)


class DiscriminatorLoss(Metric):
    """The generator's non-saturating loss under the discriminator: mean softplus(-D)."""

    name = "d_loss"

    def __init__(self, network: PatchDiscriminator) -> None:
        self._network = network
        self.mask_view = MaskView(network.min_side)

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        """Compute the loss per patch of the distorted images; the reference plays no part."""
        images = pad_to_min_side(pair.distorted.values, self._network.min_side)
        return [F.softplus(-self._network(images)[:, 0])]

    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        """Return the mean over patches."""
        return {"d_loss": means[0]}
