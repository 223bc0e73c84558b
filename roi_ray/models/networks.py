"""The three networks of the method, together."""

from dataclasses import dataclass

import torch

from roi_ray.models.discriminator import PatchDiscriminator, load_discriminator
from roi_ray.models.loader import Weights
from roi_ray.models.lpips import Lpips, load_lpips
from roi_ray.models.saliency import Saliency, load_saliency

Provenance = dict[str, list[dict[str, str]]]
"""Name and SHA-256 of each weights file, by network."""


@dataclass(frozen=True)
class Networks:
    """LPIPS, N and D, in evaluation mode.

    Attributes:
        lpips: LPIPS network, which compares a reference with a distorted image.
        saliency: N, which sees the reference.
        discriminator: D, which sees the distorted image.
        provenance: name and SHA-256 of each network's weights.
    """

    lpips: Lpips
    saliency: Saliency
    discriminator: PatchDiscriminator
    provenance: Provenance

    def to(self, device: torch.device, dtype: torch.dtype) -> "Networks":
        """Move the networks to a device, and convert their layers to a data type.

        The scaling of pixels and the heads of LPIPS stay float32.

        Returns:
            these networks, which are changed in place.
        """
        for network in (self.lpips, self.saliency, self.discriminator):
            network.to(device)
        for layers in (self.lpips.slices, self.saliency.network, self.discriminator.layers):
            # Convolutions are faster in channels-last format, on CPUs (1.8 x) and GPUs.
            layers.to(dtype).to(memory_format=torch.channels_last)
        return self


def load_networks(
    lpips: str, saliency: str, discriminator: str, weights_dir: str | None = None
) -> Networks:
    """Load the three networks in fp32, on the CPU.

    Args:
        lpips: see `load_lpips`.
        saliency: see `load_saliency`.
        discriminator: see `load_discriminator`.
        weights_dir: see `load_lpips`.

    Raises:
        WeightsError: weights are missing, altered, or of an unknown layout.
    """
    lpips_network, lpips_weights = load_lpips(lpips, weights_dir)
    saliency_network, saliency_weights = load_saliency(saliency)
    discriminator_network, discriminator_weights = load_discriminator(discriminator)
    weights: dict[str, list[Weights]] = {
        "lpips": lpips_weights,
        "saliency": [saliency_weights],
        "discriminator": [discriminator_weights],
    }
    provenance = {name: [file.identity for file in files] for name, files in weights.items()}
    return Networks(lpips_network, saliency_network, discriminator_network, provenance)
