"""The method's D: a patch discriminator that tells originals from decoded images.

Isola, Zhu, Zhou, Efros: "Image-to-Image Translation with Conditional Adversarial Networks", CVPR
2017, section 3.2.2 and appendix 6.1.2: 4 x 4 convolutions with padding 1 and LeakyReLU 0.2; all but
the last two have stride 2. With three of stride 2, a logit sees a patch of 70 x 70 pixels.
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

_FIRST_KEY = re.compile(
    r"((?:.*\.)?(?:model|main)\.)0\.(?:weight|weight_orig|parametrizations\..*)"
)
_ACCEPTED = (
    f"Accepted are the packaged {DEFAULT_DISCRIMINATOR!r} and files with a PatchGAN discriminator "
    "of 3 channels, in the layout of pix2pix (model.0.weight, ...) or of taming-transformers "
    "(main.0.weight, ..., or discriminator.main.0.weight in a whole checkpoint)"
)


class PatchDiscriminator(nn.Module):
    """Discriminator with one logit per patch of an image, high is real.

    Args:
        layers: layers that map RGB in [-1, 1], (N, 3, H, W), to logits, (N, 1, h, w).

    Attributes:
        min_side: smallest height or width of an image that has at least one patch.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        self.min_side = _compute_min_side(layers)

    def scale(self, images: Tensor) -> Tensor:
        """Bring images from [0, 1] to what the layers see: [-1, 1], in their precision."""
        return (2 * images - 1).to(next(self.layers.parameters()).dtype)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logit of each patch.

        Args:
            images: float32, (N, 3, H, W), sRGB in [0, 1], H and W at least `min_side`.

        Returns:
            logits, float32, (N, 1, h, w): unbounded, high is real. With three layers of stride 2,
            h = H // 8 - 2. The method's `d_loss` of a patch is `softplus(-logit)`.
        """
        logits: Tensor = self.layers(self.scale(images))
        return logits.float()


def load_discriminator(source: str = DEFAULT_DISCRIMINATOR) -> tuple[PatchDiscriminator, Weights]:
    """Load a patch discriminator in evaluation mode, fp32, on the CPU.

    Width, depth and normalisation are inferred from the tensors. The modules between two
    convolutions decide the normalisation:

    - only an activation (indices 0, 2, 4, ...): none, as in the packaged file;
    - one more module, with running statistics: batch norm, in evaluation mode;
    - one more module, without tensors: instance norm without parameters, as in pix2pix, if the
      convolution before it has a bias; else none (pix2pix's `norm=none`).

    Spectral norm, in either of torch's parametrisations, is folded into the weights.

    Args:
        source: `DEFAULT_DISCRIMINATOR`, or the path or `s3://` URI of a file.

    Returns:
        the discriminator and its weights.

    Raises:
        WeightsError: the file is missing or holds no unconditional patch discriminator.
    """
    weights = (
        loader.load_packaged(source)
        if source == DEFAULT_DISCRIMINATOR
        else loader.load_weights(source)
    )
    layers = _build_layers(weights.name, _select_modules(weights))
    return PatchDiscriminator(layers).eval().requires_grad_(False), weights


def build_patch_layers(width: int, strided_layers: int = 3) -> nn.Sequential:
    """Build the layers of an untrained discriminator without normalisation.

    Args:
        width: channels after the first convolution; each further one doubles them, up to 8 times.
        strided_layers: number of convolutions of stride 2; two of stride 1 follow. 3 for patches
            of 70 x 70 pixels.
    """
    widths = [3, *(width * min(2**level, 8) for level in range(strided_layers + 1)), 1]
    layers = nn.Sequential()
    for level, (in_channels, out_channels) in enumerate(pairwise(widths)):
        stride = 2 if level < strided_layers else 1
        layers.append(nn.Conv2d(in_channels, out_channels, 4, stride, padding=1))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    return layers[:-1]


@dataclass(frozen=True)
class _Module:
    """The tensors of the module at one index of the file's sequence."""

    index: int
    tensors: Mapping[str, Tensor]

    def is_convolution(self) -> bool:
        weight = self.tensors.get("weight")
        return weight is not None and weight.ndim == 4


def _select_modules(weights: Weights) -> list[_Module]:
    """Find the discriminator in a file, and return its modules that have tensors, in order."""
    prefixes = sorted({match[1] for key in weights.tensors if (match := _FIRST_KEY.fullmatch(key))})
    if len(prefixes) != 1:
        examples = ", ".join(list(weights.tensors)[:3])
        number = "no" if not prefixes else f"more than one ({', '.join(prefixes)})"
        raise WeightsError(
            f"{weights.name} has {number} patch discriminator among its {len(weights.tensors)} "
            f"tensors ({examples}, ...). {_ACCEPTED}"
        )
    modules: dict[int, dict[str, Tensor]] = {}
    for key, tensor in weights.tensors.items():
        if match := re.fullmatch(re.escape(prefixes[0]) + r"(\d+)\.(.+)", key):
            modules.setdefault(int(match[1]), {})[match[2]] = tensor.float()
    return [_Module(index, fold_spectral_norm(modules[index])) for index in sorted(modules)]


def fold_spectral_norm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace a module's spectral norm, if it has one, by a plain `weight`.

    The weight is divided by its largest singular value, u' W v, with the stored singular vectors,
    as torch does in evaluation mode (Miyato et al., ICLR 2018).

    Args:
        tensors: state dict of one module.
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
            others = {k: v for k, v in tensors.items() if k not in {original, left, right}}
            return {"weight": weight / sigma} | others
    return dict(tensors)


def _build_layers(name: str, modules: list[_Module]) -> nn.Sequential:
    convolutions = [module for module in modules if module.is_convolution()]
    shapes = [tuple(module.tensors["weight"].shape) for module in convolutions]
    if not (
        len(shapes) >= 3
        and all(shape[2:] == (4, 4) for shape in shapes)
        and all(after[1] == before[0] for before, after in pairwise(shapes))
        and shapes[-1][0] == 1
    ):
        raise WeightsError(
            f"{name} holds no patch discriminator: its convolutions are {shapes}. {_ACCEPTED}"
        )
    if shapes[0][1] != 3:
        raise WeightsError(
            f"{name} judges {shapes[0][1]} channels, not 3: a conditional discriminator also needs "
            f"the input that the image was made from, which is unknown here. {_ACCEPTED}"
        )
    others = {module.index: module for module in modules if not module.is_convolution()}
    layers = nn.Sequential()
    for level, (module, (out_channels, in_channels, _, _)) in enumerate(
        zip(convolutions, shapes, strict=True)
    ):
        stride = 2 if level < len(shapes) - 2 else 1
        has_bias = "bias" in module.tensors
        convolution = nn.Conv2d(in_channels, out_channels, 4, stride, 1, bias=has_bias)
        _load_module(convolution, module, name)
        if level == len(shapes) - 1:
            layers.extend(_split_convolution(convolution))
            break
        layers.append(convolution)
        index_step = convolutions[level + 1].index - module.index
        norm = others.pop(module.index + 1, None)
        if norm is not None:
            layers.append(_load_module(nn.BatchNorm2d(out_channels), norm, name))
        elif index_step == 3 and has_bias:
            layers.append(nn.InstanceNorm2d(out_channels))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    if others:
        raise WeightsError(f"{name} has unknown modules at {sorted(others)}. {_ACCEPTED}")
    return layers


def _split_convolution(convolution: nn.Conv2d) -> list[nn.Conv2d]:
    """Split a 4 x 4 convolution to one channel into a product per kernel tap and a shifted sum.

    The result is the same in a fifth of the time, because libraries have slow code for a
    convolution to one channel.
    """
    products = nn.Conv2d(convolution.in_channels, 16, 1, bias=False)
    products.weight.data = convolution.weight.data[0].flatten(1).T[:, :, None, None].contiguous()
    shifted_sum = nn.Conv2d(16, 1, 4, padding=1, bias=convolution.bias is not None)
    shifted_sum.weight.data = torch.eye(16).view(1, 16, 4, 4)
    if convolution.bias is not None:
        shifted_sum.bias = convolution.bias
    return [products, shifted_sum]


def _load_module(layer: nn.Module, module: _Module, name: str) -> nn.Module:
    try:
        layer.load_state_dict(dict(module.tensors))
    except RuntimeError as error:
        kind = type(layer).__name__
        raise WeightsError(
            f"{name}: module {module.index} ({', '.join(module.tensors)}) does not fit a {kind}. "
            f"{_ACCEPTED}"
        ) from error
    return layer


def _compute_min_side(layers: nn.Sequential) -> int:
    side = 1
    for layer in reversed(list(layers)):
        if isinstance(layer, nn.Conv2d):
            side = layer.stride[0] * (side - 1) + layer.kernel_size[0] - 2 * int(layer.padding[0])
    return side
