"""The networks that every implementation uses, so that a comparison measures the same work."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from roi_ray.bench.options import SaliencyName
from roi_ray.models.backbones import load_backbone
from roi_ray.models.networks import Networks, load_networks
from roi_ray.models.saliency import build_u2net, prepare_for_inference
from roi_ray.settings import DEFAULT_DISCRIMINATOR, DEFAULT_SALIENCY


@dataclass(frozen=True)
class BenchNetworks:
    """The networks of one implementation.

    Attributes:
        networks: roi-ray's networks: LPIPS `alex`, the saliency network and the discriminator.
        alexnet: tensors of the AlexNet in LPIPS by torchvision's names, for the other libraries.
    """

    networks: Networks
    alexnet: dict[str, Tensor]


def build_networks(saliency: SaliencyName) -> BenchNetworks:
    """Build a new set of networks, the same every time.

    Args:
        saliency: `packaged` for the packaged saliency network, `u2netp` for a U2-Net-p of random
            weights, because none are packaged and speed does not depend on them.
    """
    networks = load_networks("alex", DEFAULT_SALIENCY, DEFAULT_DISCRIMINATOR)
    if saliency == "u2netp":
        torch.manual_seed(0)
        networks = replace(networks, saliency=prepare_for_inference(build_u2net({})))
    return BenchNetworks(networks, load_backbone("alex").tensors)
