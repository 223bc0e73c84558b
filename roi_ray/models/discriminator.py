"""D of the method: a patch discriminator that tells originals from decoded images.

Isola, Zhu, Zhou, Efros: "Image-to-Image Translation with Conditional Adversarial Networks", CVPR
2017, section 3.2.2 and appendix 6.1.2: 4 x 4 convolutions, padding 1, LeakyReLU 0.2; all but the
last two at stride 2. Three at stride 2 see patches of 70 x 70 pixels.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from roi_ray.errors import WeightsError
from roi_ray.models import loader
from roi_ray.models.loader import Weights
from roi_ray.settings import DEFAULT_DISCRIMINATOR

_FIRST = re.compile(r"((?:.*\.)?(?:model|main)\.)0\.(?:weight|weight_orig|parametrizations\..*)")
_ACCEPTED = (
    f"Accepted are the packaged {DEFAULT_DISCRIMINATOR!r} and files with a PatchGAN discriminator "
    "of 3 channels, in the layout of pix2pix (model.0.weight, ...) or of taming-transformers "
    "(main.0.weight, ..., or discriminator.main.0.weight in a whole checkpoint)"
)


class PatchDiscriminator(nn.Module):
    """RGB in [0, 1] -> one logit a patch, high = real.

    Args:
        layers: RGB in [-1, 1], (N, 3, H, W) -> logits (N, 1, h, w).

    Attributes:
        min_side: smallest height or width of an image that gives at least one patch.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        self.min_side = _min_side(layers)

    def forward(self, images: Tensor) -> Tensor:
        """Judge every patch.

        Args:
            images: float32, (N, 3, H, W), sRGB in [0, 1], H and W at least `min_side`.

        Returns:
            logits, float32, (N, 1, h, w): high = real, unbounded. Three layers of stride 2 give
            h = H // 8 - 2. `softplus(-logits)` is the method's `d_loss` of each patch.
        """
        weight = next(self.layers.parameters())
        logits: Tensor = self.layers((2 * images - 1).to(weight.dtype))
        return logits.float()


def load_discriminator(source: str = DEFAULT_DISCRIMINATOR) -> tuple[PatchDiscriminator, Weights]:
    """A patch discriminator with its weights, in evaluation mode, fp32, on the CPU.

    Width, depth and normalisation are read off the tensors. What lies between two convolutions of
    the file's sequence says how they are normalised:

    - the activation alone (indices 0, 2, 4, ...): nothing. Our own file is like that;
    - one more module, with running statistics: batch norm, in evaluation mode;
    - one more module, without tensors: instance norm without parameters, as pix2pix builds it, if
      the convolution before it has a bias; nothing (pix2pix's `norm=none`), if it has none.

    Spectral norm, in either of torch's parametrisations, is worked into the weights.

    Args:
        source: `DEFAULT_DISCRIMINATOR`, or the path or `s3://` URI of a file.

    Returns:
        the discriminator and the identity of its weights.

    Raises:
        WeightsError: no such file, or no unconditional patch discriminator in it.
    """
    found = (
        loader.load_packaged(source)
        if source == DEFAULT_DISCRIMINATOR
        else loader.load_weights(source)
    )
    layers = _build(found.name, _sequence(found))
    return PatchDiscriminator(layers).eval().requires_grad_(False), found


def build_patch_layers(width: int, strided: int = 3) -> nn.Sequential:
    """Convolutions and activations of a discriminator without normalisation, ready for training.

    Args:
        width: channels after the first convolution; doubled by each further one, up to 8 times.
        strided: convolutions of stride 2; two more follow. 3: patches of 70 x 70 pixels.
    """
    widths = [3, *(width * min(2**level, 8) for level in range(strided + 1)), 1]
    layers = nn.Sequential()
    for level, (inside, outside) in enumerate(pairwise(widths)):
        layers.append(nn.Conv2d(inside, outside, 4, 2 if level < strided else 1, padding=1))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    return layers[:-1]


@dataclass(frozen=True)
class _Module:
    """The tensors of one position of the sequence; none for an activation."""

    index: int
    tensors: Mapping[str, Tensor]

    def is_convolution(self) -> bool:
        weight = self.tensors.get("weight")
        return weight is not None and weight.ndim == 4


def _sequence(found: Weights) -> list[_Module]:
    """The modules of the discriminator that have tensors, spectral norm worked in."""
    prefixes = sorted({match[1] for key in found.tensors if (match := _FIRST.fullmatch(key))})
    if len(prefixes) != 1:
        some = ", ".join(list(found.tensors)[:3])
        number = "no" if not prefixes else f"more than one ({', '.join(prefixes)})"
        raise WeightsError(
            f"{found.name} has {number} patch discriminator among its {len(found.tensors)} tensors "
            f"({some}, ...). {_ACCEPTED}"
        )
    modules: dict[int, dict[str, Tensor]] = {}
    for key, tensor in found.tensors.items():
        if match := re.fullmatch(re.escape(prefixes[0]) + r"(\d+)\.(.+)", key):
            modules.setdefault(int(match[1]), {})[match[2]] = tensor.float()
    return [_Module(index, fold_spectral_norm(modules[index])) for index in sorted(modules)]


def fold_spectral_norm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One module's tensors with the plain `weight` in the place of a spectral norm's.

    Miyato et al., ICLR 2018: weight over its largest singular value, u' W v, with the stored
    singular vectors, as torch computes it in evaluation mode.
    """
    for original, left, right in (
        ("weight_orig", "weight_u", "weight_v"),
        (
            "parametrizations.weight.original",
            "parametrizations.weight.0._u",
            "parametrizations.weight.0._v",
        ),
    ):
        if {original, left, right} <= tensors.keys():
            weight = tensors[original]
            sigma = tensors[left] @ weight.flatten(1) @ tensors[right]
            rest = {k: v for k, v in tensors.items() if k not in {original, left, right}}
            return {"weight": weight / sigma} | rest
    return dict(tensors)


def _build(name: str, modules: list[_Module]) -> nn.Sequential:
    convolutions = [module for module in modules if module.is_convolution()]
    shapes = [tuple(module.tensors["weight"].shape) for module in convolutions]
    if not (
        len(shapes) >= 3
        and all(shape[2:] == (4, 4) for shape in shapes)
        and all(after[1] == before[0] for before, after in pairwise(shapes))
        and shapes[-1][0] == 1
    ):
        raise WeightsError(f"{name} is no patch discriminator: convolutions {shapes}. {_ACCEPTED}")
    if shapes[0][1] != 3:
        raise WeightsError(
            f"{name} judges {shapes[0][1]} channels, not 3: a conditional discriminator also looks "
            f"at what the image was made from, which is unknown here. {_ACCEPTED}"
        )
    between = {module.index: module for module in modules if not module.is_convolution()}
    layers = nn.Sequential()
    for level, (module, (outside, inside, _, _)) in enumerate(
        zip(convolutions, shapes, strict=True)
    ):
        stride = 2 if level < len(shapes) - 2 else 1
        biased = "bias" in module.tensors
        convolution = nn.Conv2d(inside, outside, 4, stride, 1, bias=biased)
        _with(convolution, module, name)
        if level == len(shapes) - 1:
            layers.extend(_to_one_channel(convolution))
            break
        layers.append(convolution)
        gap = convolutions[level + 1].index - module.index
        norm = between.pop(module.index + 1, None)
        if norm is not None:
            layers.append(_with(nn.BatchNorm2d(outside), norm, name))
        elif gap == 3 and biased:
            layers.append(nn.InstanceNorm2d(outside))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    if between:
        raise WeightsError(f"{name} has unknown modules at {sorted(between)}. {_ACCEPTED}")
    return layers


def _to_one_channel(convolution: nn.Conv2d) -> list[nn.Conv2d]:
    """The same in two steps: a product for each of the kernel's taps, then their shifted sum.

    Libraries have slow code only for a convolution to one channel: this takes a fifth of the time.
    """
    taps = nn.Conv2d(convolution.in_channels, 16, 1, bias=False)
    taps.weight.data = convolution.weight.data[0].flatten(1).T[:, :, None, None].contiguous()
    shifted = nn.Conv2d(16, 1, 4, padding=1, bias=convolution.bias is not None)
    shifted.weight.data = torch.eye(16).view(1, 16, 4, 4)
    if convolution.bias is not None:
        shifted.bias = convolution.bias
    return [taps, shifted]


def _with(layer: nn.Module, module: _Module, name: str) -> nn.Module:
    try:
        layer.load_state_dict(dict(module.tensors))
    except RuntimeError as error:
        kind = type(layer).__name__
        raise WeightsError(
            f"{name}: module {module.index} ({', '.join(module.tensors)}) is no {kind} that fits. "
            f"{_ACCEPTED}"
        ) from error
    return layer


def _min_side(layers: nn.Sequential) -> int:
    side = 1
    for layer in reversed(list(layers)):
        if isinstance(layer, nn.Conv2d):
            side = layer.stride[0] * (side - 1) + layer.kernel_size[0] - 2 * int(layer.padding[0])
    return side
