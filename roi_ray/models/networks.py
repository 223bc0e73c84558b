"""The three networks of the method, together."""

from dataclasses import dataclass

import torch

from roi_ray.models.discriminator import PatchDiscriminator, load_discriminator
from roi_ray.models.loader import Weights
from roi_ray.models.lpips import Lpips, load_lpips
from roi_ray.models.saliency import Saliency, load_saliency

Provenance = dict[str, list[dict[str, str]]]
"""Name and SHA-256 of weights, by the network."""


@dataclass(frozen=True)
class Networks:
    """LPIPS, N and D, in evaluation mode.

    Attributes:
        lpips: of the pair.
        saliency: N, of the reference.
        discriminator: D, of the distorted image.
        provenance: name and SHA-256 of each network's weights.
    """

    lpips: Lpips
    saliency: Saliency
    discriminator: PatchDiscriminator
    provenance: Provenance

    def to(self, device: torch.device, dtype: torch.dtype) -> "Networks":
        """Move to a device, with weights and activations of that type.

        What is around them, the scaling of pixels and the heads of LPIPS, stays float32.
        """
        for network in (self.lpips, self.saliency, self.discriminator):
            network.to(device)
        for layers in (self.lpips.slices, self.saliency.network, self.discriminator.layers):
            # Channels last is the faster layout for convolutions, on a CPU (1.8 x) as on a GPU.
            layers.to(dtype).to(memory_format=torch.channels_last)
        return self


def load_networks(
    lpips: str, saliency: str, discriminator: str, weights_dir: str | None = None
) -> Networks:
    """Load the networks on the CPU, fp32; see the functions that load each.

    Raises:
        WeightsError: weights are missing, altered, or of an unknown layout.
    """
    of_lpips, lpips_weights = load_lpips(lpips, weights_dir)
    n, n_weights = load_saliency(saliency)
    d, d_weights = load_discriminator(discriminator)
    used: dict[str, list[Weights]] = {
        "lpips": lpips_weights,
        "saliency": [n_weights],
        "discriminator": [d_weights],
    }
    provenance = {name: [one.identity for one in several] for name, several in used.items()}
    return Networks(of_lpips, n, d, provenance)
