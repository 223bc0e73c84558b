"""Learned perceptual image patch similarity (LPIPS), in steps that reuse a reference's features.

- `alex`, `vgg`, `squeeze`: LPIPS v0.1 (Zhang et al., CVPR 2018): trained heads of the `lpips`
  package, with torchvision's ImageNet weights. Those of `alex` are packaged here.
- `st-alex`, `st-vgg`: shift-tolerant LPIPS (Ghildyal and Liu, ECCV 2022): weights of the package
  `stlpips-pytorch`, in the networks of `shift_tolerant.py`.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roi_ray.errors import WeightsError
from roi_ray.io.packages import find_package_folder
from roi_ray.models import loader, shift_tolerant
from roi_ray.models.backbones import build_backbone, fill_backbone, load_backbone, load_tensors
from roi_ray.models.loader import Weights
from roi_ray.models.winograd import use_winograd
from roi_ray.runtime.compiled import has_kernels
from roi_ray.runtime.triton import has_triton
from roi_ray.settings import LpipsName

LPIPS_NAMES: tuple[LpipsName, ...] = get_args(LpipsName)

_SHIFT_TOLERANT = {
    "st-alex": shift_tolerant.build_alexnet,
    "st-vgg": shift_tolerant.build_vgg16,
}

_MIN_SIDES = {"st-alex": 21, "st-vgg": 18, "alex": 31, "vgg": 16, "squeeze": 17}
"""Smallest height or width of an image that passes through the network."""


RunSlice = Callable[[Tensor], Tensor]


class Lpips(nn.Module):
    """An LPIPS network: slices of a backbone, and a learned weight per channel of each slice.

    Args:
        slices: modules that run one after the other; each output is a layer of activations.
        heads: weights of the channels of each layer, (C,), 0 or more.
        min_side: smallest height or width of an image that passes through the slices.
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, slices: Iterable[nn.Module], heads: Iterable[Tensor], min_side: int) -> None:
        super().__init__()
        self.slices = nn.ModuleList(slices)
        use_winograd(self.slices)
        for layer, head in enumerate(heads):
            self.register_buffer(f"head{layer}", head.reshape(1, -1, 1, 1).clone())
        # LPIPS' scaling layer, (2 x - 1 - shift) / scale, as one product and one sum
        shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]])
        self.register_buffer("gain", (2 / scale).view(1, 3, 1, 1))
        self.register_buffer("offset", (-(1 + shift) / scale).view(1, 3, 1, 1))
        self.min_side = min_side

    def extract_activations(
        self, images: Tensor, slices: Iterable[RunSlice] | None = None
    ) -> list[Tensor]:
        """Run the slices.

        Args:
            images: float32, (N, 3, H, W), sRGB in [0, 1], H and W at least `min_side`; or rows of
                such images.
            slices: what runs in place of the slices on rows of images.

        Returns:
            activations, one (N, C, h, w) per layer, in the network's precision.
        """
        weight = next(self.slices.parameters())
        x = torch.addcmul(self.offset, images, self.gain).to(weight.dtype)
        layers = []
        for part in self.slices if slices is None else slices:
            x = part(x)
            layers.append(x)
        return layers

    def extract_features(
        self, images: Tensor, slices: Iterable[RunSlice] | None = None
    ) -> list[Tensor]:
        """Run the slices and normalise each layer's activations to unit length per position.

        Args:
            images: as for `extract_activations`.
            slices: likewise.

        Returns:
            features, one float32 (N, C, h, w) per layer.
        """
        return _normalize_layers(self.extract_activations(images, slices))

    def compute_maps(self, reference: list[Tensor], distorted: list[Tensor]) -> list[Tensor]:
        """Compute the L maps. LPIPS is the sum over layers of their spatial means.

        Args:
            reference: output of `extract_features` for one reference, or for N of them.
            distorted: output of `extract_activations` for N distorted images.

        Returns:
            one (N, h, w) per layer, 0 or more: lower is better, 0 for identical images (to 1e-12).
        """
        heads = [self.get_buffer(f"head{layer}") for layer in range(len(distorted))]
        if _can_use_kernels([*reference, *distorted]):
            from roi_ray.models.distance_kernels import compute_distances

            return compute_distances(reference, [layer.float() for layer in distorted], heads)
        compute_distance = _compute_distance
        if distorted[0].is_cuda and has_triton():
            from roi_ray.models.triton.distances import compute_distance
        return [
            compute_distance(x, y, head)
            if len(y[0])  # of rows of images there may be none yet
            else y.new_empty(len(y), 0, 0, dtype=torch.float32)
            for x, y, head in zip(reference, distorted, heads, strict=True)
        ]


def _normalize_layers(layers: Sequence[Tensor]) -> list[Tensor]:
    layers = [layer.float() for layer in layers]
    if _can_use_kernels(layers):
        from roi_ray.models.distance_kernels import normalize_layers

        return normalize_layers(layers)
    return [_normalize(layer) for layer in layers]


def _can_use_kernels(layers: Sequence[Tensor]) -> bool:
    return all(has_kernels(layer) and not layer.requires_grad for layer in layers)


def _normalize(layer: Tensor) -> Tensor:
    # Not in place, because the next slice also reads the layer.
    norm: Tensor = torch.linalg.vector_norm(layer, dim=1, keepdim=True)
    return layer / norm.add_(1e-10)


def _compute_distance(x: Tensor, y: Tensor, head: Tensor) -> Tensor:
    """Compute the weighted squared distance of features `x` and activations `y`, (N, h, w)."""
    return F.conv2d((_normalize(y.float()) - x).square_(), head)[:, 0]


def load_lpips(name: str, weights_dir: str | None = None) -> tuple[Lpips, list[Weights]]:
    """Load an LPIPS network in evaluation mode, on the CPU.

    Args:
        name: one of `LPIPS_NAMES`.
        weights_dir: see `backbones.load_backbone`.

    Returns:
        the network and its weights files.

    Raises:
        WeightsError: no network has this name, or its weights are missing or altered.
    """
    if name in _SHIFT_TOLERANT:
        weights = loader.load_weights(str(_find_stlpips_file(name)))
        network = build_shift_tolerant(name, weights.tensors)
        files = [weights]
    elif name in LPIPS_NAMES:
        heads = load_lpips_heads(name)
        backbone = load_backbone(name, weights_dir)
        network = build_lpips(name, backbone.tensors, heads.tensors)
        files = [backbone, heads]
    else:
        raise WeightsError(
            f"no LPIPS network is called {name!r}; there are {', '.join(LPIPS_NAMES)}"
        )
    return network.eval().requires_grad_(False), files


def build_lpips(name: str, backbone: dict[str, Tensor], heads: dict[str, Tensor]) -> Lpips:
    """Build LPIPS v0.1.

    Args:
        name: `alex`, `vgg` or `squeeze`.
        backbone: torchvision's state dict (`features.0.weight`, ...).
        heads: state dict of the trained heads, see `load_lpips_heads`.

    Raises:
        WeightsError: the backbone's tensors do not fit.
    """
    # The meta device skips initialisation.
    with torch.device("meta"):
        slices = build_backbone(name)
    fill_backbone(slices, backbone)
    return Lpips(slices, _select_heads(heads, len(slices)), _MIN_SIDES[name])


def load_lpips_heads(name: str) -> Weights:
    """Load the trained heads in the `lpips` package for `alex`, `vgg` or `squeeze`."""
    return loader.load_weights(str(_find_package("lpips") / "weights" / "v0.1" / f"{name}.pth"))


def build_shift_tolerant(name: str, tensors: dict[str, Tensor]) -> Lpips:
    """Build shift-tolerant LPIPS.

    Args:
        name: `st-alex` or `st-vgg`.
        tensors: state dict in the `stlpips-pytorch` package.
    """
    layers, cuts = _SHIFT_TOLERANT[name]()
    slices = []
    for number, (start, end) in enumerate(pairwise(cuts), start=1):
        for index in range(start, end):
            load_tensors(layers[index], f"net.slice{number}.{index}.", tensors)
        slices.append(nn.Sequential(*layers[start:end]))
    if name == "st-alex":
        conv, blur = layers[0], layers[1]
        assert isinstance(conv, nn.Conv2d) and isinstance(blur, shift_tolerant.Blur)
        slices[0] = nn.Sequential(shift_tolerant.BlurredConv(conv, blur), *slices[0][2:])
    slices = [shift_tolerant.fuse_blurred_pools(part) for part in slices]
    return Lpips(slices, _select_heads(tensors, len(slices)), _MIN_SIDES[name])


def _select_heads(tensors: dict[str, Tensor], layers: int) -> list[Tensor]:
    return [tensors[f"lin{layer}.model.1.weight"].flatten() for layer in range(layers)]


def _find_stlpips_file(name: str) -> Path:
    file = f"{name.removeprefix('st-')}_shift_tolerant.pth"
    return _find_package("stlpips_pytorch") / "weights" / "vST0.0" / file


def _find_package(package: str) -> Path:
    # The packages are not imported: `stlpips_pytorch` would require IPython.
    folder = find_package_folder(package)
    if folder is None:
        raise WeightsError(f"the package {package.replace('_', '-')} is not installed")
    return folder
