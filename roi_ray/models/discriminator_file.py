"""Read the layers of a patch discriminator from the tensors of a file.

A file numbers the modules of its sequence, but does not say what those without tensors are, nor
which stride a convolution has. Both follow from the shapes of the convolutions and the gaps between
their numbers.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from roi_ray.errors import WeightsError
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


@dataclass(frozen=True)
class _Module:
    """The tensors of the module at one index of the file's sequence."""

    index: int
    tensors: Mapping[str, Tensor]

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of a convolution's weight, (out, in per group, h, w); () for other modules."""
        weight = self.tensors.get("weight")
        return tuple(weight.shape) if weight is not None and weight.ndim == 4 else ()

    @property
    def is_pointwise(self) -> bool:
        return self.kernel_shape[2:] == (1, 1)


def read_layers(weights: Weights) -> nn.Sequential:
    """Build the layers of the discriminator in a file, with its weights.

    Raises:
        WeightsError: the file holds no unconditional patch discriminator, or more than one.
    """
    name, modules = weights.name, _select_modules(weights)
    convolutions = [module for module in modules if module.kernel_shape]
    others = {module.index: module for module in modules if not module.kernel_shape}
    channels = _count_channels(name, [module.kernel_shape for module in convolutions])
    last_two = [module for module in convolutions if not module.is_pointwise][-2:]
    layers = nn.Sequential()
    for module, following, in_channels in zip(
        convolutions, [*convolutions[1:], None], channels, strict=True
    ):
        is_strided = not module.is_pointwise and module.index < last_two[0].index
        convolution = _make_convolution(module, in_channels, 2 if is_strided else 1)
        _load_module(convolution, module, name)
        if following is None:
            layers.extend(_split_convolution(convolution))
            break
        layers.append(convolution)
        gap = following.index - module.index
        norm = others.pop(module.index + 1, None)
        if norm is not None:
            layers.append(_load_module(nn.BatchNorm2d(convolution.out_channels), norm, name))
        elif gap == 3 and convolution.bias is not None:
            layers.append(nn.InstanceNorm2d(convolution.out_channels))
        if gap > 1:
            layers.append(nn.LeakyReLU(0.2, inplace=True))
    if others:
        raise WeightsError(f"{name} has unknown modules at {sorted(others)}. {_ACCEPTED}")
    return layers


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


def _count_channels(name: str, shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """Return the input channels of each convolution.

    Args:
        name: name of the file, for errors.
        shapes: shapes of the weights of all convolutions, in order.

    Raises:
        WeightsError: the convolutions do not fit each other, or are not those of a discriminator.
    """
    kernels = [shape[2:] for shape in shapes]
    channels = [shape[1] for shape in shapes[:1]] + [shape[0] for shape in shapes]
    if not (
        kernels.count((4, 4)) >= 3
        and set(kernels) <= {(4, 4), (1, 1)}
        and kernels[0] == kernels[-1] == (4, 4)
        and all(
            after[1] == before[0] or _is_depthwise(after, before[0])
            for before, after in pairwise(shapes)
        )
        and channels[-1] == 1
        and shapes[-1][1] == channels[-2]
    ):
        raise WeightsError(
            f"{name} holds no patch discriminator: its convolutions are {list(shapes)}. {_ACCEPTED}"
        )
    if channels[0] != 3:
        raise WeightsError(
            f"{name} judges {channels[0]} channels, not 3: a conditional discriminator also needs "
            f"the input that the image was made from, which is unknown here. {_ACCEPTED}"
        )
    return channels[:-1]


def _is_depthwise(shape: tuple[int, ...], in_channels: int) -> bool:
    return shape[:2] == (in_channels, 1) and in_channels > 1


def _make_convolution(module: _Module, in_channels: int, stride: int) -> nn.Conv2d:
    shape = module.kernel_shape
    return nn.Conv2d(
        in_channels,
        shape[0],
        shape[2],
        stride,
        padding=0 if module.is_pointwise else 1,
        groups=in_channels if _is_depthwise(shape, in_channels) else 1,
        bias="bias" in module.tensors,
    )


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
