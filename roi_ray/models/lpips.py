"""Learned perceptual image patch similarity, split so that a reference's features are made once.

- `alex`, `vgg`, `squeeze`: LPIPS v0.1 (Zhang et al., CVPR 2018): the `lpips` package's own backbone
  modules and trained heads, with torchvision's ImageNet weights.
- `st-alex`, `st-vgg`: shift-tolerant LPIPS (Ghildyal and Liu, ECCV 2022): the complete weights that
  the package `stlpips-pytorch` ships, in a network of our own.
"""

import warnings
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roi_ray.errors import WeightsError
from roi_ray.io.packages import find_package_folder
from roi_ray.models import loader, shift_tolerant
from roi_ray.models.loader import Weights
from roi_ray.runtime.triton import has_triton
from roi_ray.settings import LpipsName

LPIPS_NAMES: tuple[LpipsName, ...] = get_args(LpipsName)


_BACKBONES = {
    "alex": "AlexNet_Weights.IMAGENET1K_V1",
    "vgg": "VGG16_Weights.IMAGENET1K_V1",
    "squeeze": "SqueezeNet1_1_Weights.IMAGENET1K_V1",
}
"""What torchvision calls the weights of the backbones."""

_SHIFT_TOLERANT = {"st-alex": shift_tolerant.alex, "st-vgg": shift_tolerant.vgg}

_MIN_SIDES = {"st-alex": 21, "st-vgg": 18, "alex": 31, "vgg": 16, "squeeze": 17}
"""The smallest side of an image that passes through the network."""


class Lpips(nn.Module):
    """A stack of feature slices, and one learned weight a channel of each.

    Args:
        slices: run one after the other; the output of each is a layer of features.
        heads: for each layer, (C,): how much each channel's difference counts, 0 or more.
        min_side: smallest side of an image that passes through the slices.
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, slices: Iterable[nn.Module], heads: Iterable[Tensor], min_side: int) -> None:
        super().__init__()
        self.slices = nn.ModuleList(slices)
        for layer, head in enumerate(heads):
            self.register_buffer(f"head{layer}", head.reshape(1, -1, 1, 1).clone())
        # LPIPS' scaling layer, (2 x - 1 - shift) / scale, as one product and one sum.
        shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]])
        self.register_buffer("gain", (2 / scale).view(1, 3, 1, 1))
        self.register_buffer("offset", (-(1 + shift) / scale).view(1, 3, 1, 1))
        self.min_side = min_side

    def extract_activations(self, images: Tensor) -> list[Tensor]:
        """What the slices give.

        Args:
            images: float32, (N, 3, H, W), in [0, 1].

        Returns:
            one (N, C, h, w) a layer, in the network's precision.
        """
        weight = next(self.slices.parameters())
        x = torch.addcmul(self.offset, images, self.gain).to(weight.dtype)
        layers = []
        for part in self.slices:
            x = part(x)
            layers.append(x)
        return layers

    def extract_features(self, images: Tensor) -> list[Tensor]:
        """The layers, of unit length at each position, float32; see `layers`."""
        return [_unit(layer) for layer in self.extract_activations(images)]

    def compute_maps(self, reference: list[Tensor], distorted: list[Tensor]) -> list[Tensor]:
        """The L maps; LPIPS is the sum over layers of their spatial means.

        Args:
            reference: from `features`: of one image, or of as many as there are distorted ones.
            distorted: from `layers`.

        Returns:
            one (N, h, w) a layer, 0 or more; lower is better, 0 for identical images (to 1e-12).
        """
        distance = _distance
        if distorted[0].is_cuda and has_triton():
            from roi_ray.models.triton.distances import distance
        return [
            distance(x, y, self.get_buffer(f"head{number}"))
            for number, (x, y) in enumerate(zip(reference, distorted, strict=True))
        ]


def _unit(layer: Tensor) -> Tensor:
    # Not in place: the next slice needs the layer as it is.
    layer = layer.float()
    norm: Tensor = torch.linalg.vector_norm(layer, dim=1, keepdim=True)
    return layer / norm.add_(1e-10)


def _distance(x: Tensor, y: Tensor, head: Tensor) -> Tensor:
    """Of features `x` and a layer `y`."""
    return F.conv2d((_unit(y) - x).square_(), head)[:, 0]


def load_lpips(name: str, weights_dir: str | None = None) -> tuple[Lpips, list[Weights]]:
    """An LPIPS network and the weights in it, on the CPU, in evaluation mode.

    Args:
        name: one of `LPIPS_NAMES`.
        weights_dir: folder that holds torchvision's backbone files, if not the torch hub cache.

    Raises:
        WeightsError: no such network, or its weights cannot be had.
    """
    if name in _SHIFT_TOLERANT:
        shipped = loader.load_weights(str(_shipped(name)))
        network = build_shift_tolerant(name, shipped.tensors)
        used = [shipped]
    elif name in _BACKBONES:
        heads = load_lpips_heads(name)
        backbone = loader.load_torchvision_backbone(_backbone_url(name), weights_dir)
        network = build_lpips(name, backbone.tensors, heads.tensors)
        used = [backbone, heads]
    else:
        raise WeightsError(
            f"no LPIPS network is called {name!r}; there are {', '.join(LPIPS_NAMES)}"
        )
    return network.eval().requires_grad_(False), used


def build_lpips(name: str, backbone: dict[str, Tensor], heads: dict[str, Tensor]) -> Lpips:
    """LPIPS v0.1 from a torchvision state dict (`features.0.weight`, ...) and the trained heads."""
    from lpips import pretrained_networks  # heavy, and needed for these networks only

    constructor = {
        "alex": pretrained_networks.alexnet,
        "vgg": pretrained_networks.vgg16,
        "squeeze": pretrained_networks.squeezenet,
    }[name]
    # On the meta device nothing is initialised: the classifier, most of the weights, is not needed.
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # how `lpips` calls torchvision is deprecated
        network = constructor(pretrained=False, requires_grad=False)
    slices = [getattr(network, f"slice{i + 1}") for i in range(network.N_slices)]
    fill_backbone(slices, backbone)
    return Lpips(slices, _heads(heads, len(slices)), _MIN_SIDES[name])


def load_lpips_heads(name: str) -> Weights:
    """The heads that the `lpips` package ships for `alex`, `vgg` or `squeeze`."""
    return loader.load_weights(str(_package_folder("lpips") / "weights" / "v0.1" / f"{name}.pth"))


def fill_backbone(slices: Iterable[nn.Module], backbone: dict[str, Tensor]) -> None:
    """Give slices, as the `lpips` package cuts them, the tensors of torchvision's state dict."""
    for part in slices:
        for index, module in part.named_children():
            _assign(module, f"features.{index}.", backbone)


def build_shift_tolerant(name: str, tensors: dict[str, Tensor]) -> Lpips:
    """Shift-tolerant LPIPS from the state dict that `stlpips-pytorch` ships."""
    layers, cuts = _SHIFT_TOLERANT[name]()
    slices = []
    for number, (start, end) in enumerate(pairwise(cuts), start=1):
        for index in range(start, end):
            _assign(layers[index], f"net.slice{number}.{index}.", tensors)
        slices.append(nn.Sequential(*layers[start:end]))
    if name == "st-alex":
        conv, blur = layers[0], layers[1]
        assert isinstance(conv, nn.Conv2d) and isinstance(blur, shift_tolerant.Blur)
        slices[0] = nn.Sequential(shift_tolerant.BlurredConv(conv, blur), *slices[0][2:])
    slices = [shift_tolerant.fuse_blurred_pools(part) for part in slices]
    return Lpips(slices, _heads(tensors, len(slices)), _MIN_SIDES[name])


def _backbone_url(name: str) -> str:
    from torchvision.models import get_weight  # takes as long to import as torch itself

    url: str = get_weight(_BACKBONES[name]).url
    return url


def _assign(module: nn.Module, prefix: str, tensors: dict[str, Tensor]) -> None:
    own = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    try:
        module.load_state_dict(own, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"the weights do not fit the LPIPS backbone: {error}") from error


def _heads(tensors: dict[str, Tensor], layers: int) -> list[Tensor]:
    return [tensors[f"lin{layer}.model.1.weight"].flatten() for layer in range(layers)]


def _shipped(name: str) -> Path:
    file = f"{name.removeprefix('st-')}_shift_tolerant.pth"
    return _package_folder("stlpips_pytorch") / "weights" / "vST0.0" / file


def _package_folder(package: str) -> Path:
    # Found without importing it: importing `stlpips_pytorch` would ask for IPython.
    folder = find_package_folder(package)
    if folder is None:
        raise WeightsError(f"the package {package.replace('_', '-')} is not installed")
    return folder
