"""Backbones of LPIPS `alex`, `vgg` and `squeeze`: networks trained on ImageNet, cut into slices."""

import warnings
from collections import OrderedDict
from collections.abc import Iterable
from itertools import pairwise

from torch import Tensor, nn

from roi_ray.errors import WeightsError
from roi_ray.models import loader
from roi_ray.models.loader import Weights

_PACKAGED_BACKBONES = {"alex": "lpips-alexnet"}
"""Packaged files with the convolutions of torchvision's weights."""

_TORCHVISION_BACKBONES = {
    "vgg": "VGG16_Weights.IMAGENET1K_V1",
    "squeeze": "SqueezeNet1_1_Weights.IMAGENET1K_V1",
}
"""Torchvision's names of the weights that are not packaged."""


def load_backbone(name: str, weights_dir: str | None = None) -> Weights:
    """Load the ImageNet weights of the backbone of `alex`, `vgg` or `squeeze`.

    Those of `alex` are packaged. The others are torchvision's files, which are downloaded if they
    are not at hand.

    Args:
        name: `alex`, `vgg` or `squeeze`.
        weights_dir: folder to search for torchvision's files before the torch hub cache.

    Returns:
        tensors by torchvision's names (`features.0.weight`, ...).

    Raises:
        WeightsError: the file is missing or altered.
    """
    if name in _PACKAGED_BACKBONES:
        return loader.load_packaged(_PACKAGED_BACKBONES[name])
    return loader.load_torchvision_backbone(_find_backbone_url(name), weights_dir)


def build_backbone(name: str) -> list[nn.Module]:
    """Build the slices of the backbone of `alex`, `vgg` or `squeeze`, without trained weights.

    Their layers are named by torchvision's numbers, for `fill_backbone`.
    """
    return _build_alexnet() if name == "alex" else _build_packages_backbone(name)


def fill_backbone(slices: Iterable[nn.Module], backbone: dict[str, Tensor]) -> None:
    """Load torchvision's state dict into slices of a backbone, as the `lpips` package cuts it."""
    for part in slices:
        for index, module in part.named_children():
            load_tensors(module, f"features.{index}.", backbone)


def load_tensors(module: nn.Module, prefix: str, tensors: dict[str, Tensor]) -> None:
    """Load the tensors whose names begin with `prefix` into a module.

    Raises:
        WeightsError: they do not fit.
    """
    state = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"the weights do not fit the LPIPS backbone: {error}") from error


def _build_alexnet() -> list[nn.Module]:
    """Build the slices of AlexNet (Krizhevsky, 2014), each layer named by torchvision's number.

    The `lpips` package has them too, but it imports torchvision, as slow as torch itself.
    """
    layers = (
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True)),
        nn.MaxPool2d(3, stride=2),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True)),
        nn.MaxPool2d(3, stride=2),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True)),
    )
    numbered = [(str(number), layer) for number, layer in enumerate(layers)]
    cuts = (0, 2, 5, 8, 10, 12)
    return [nn.Sequential(OrderedDict(numbered[start:end])) for start, end in pairwise(cuts)]


def _build_packages_backbone(name: str) -> list[nn.Module]:
    """Build the slices of VGG-16 or SqueezeNet with the `lpips` package."""
    from lpips import pretrained_networks

    constructors = {"vgg": pretrained_networks.vgg16, "squeeze": pretrained_networks.squeezenet}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # `lpips` uses a deprecated torchvision call
        network = constructors[name](pretrained=False, requires_grad=False)
    return [getattr(network, f"slice{i + 1}") for i in range(network.N_slices)]


def _find_backbone_url(name: str) -> str:
    from torchvision.models import get_weight  # as slow to import as torch

    url: str = get_weight(_TORCHVISION_BACKBONES[name]).url
    return url
