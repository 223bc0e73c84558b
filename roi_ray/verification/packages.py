"""The reference implementations: the packages `pytorch_msssim`, `lpips` and `stlpips_pytorch`."""

import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_msssim import ms_ssim
from torch import nn

from roi_ray.errors import WeightsError
from roi_ray.models.loader import Weights

PACKAGES = ("numpy", "torch", "pytorch-msssim", "lpips", "stlpips-pytorch")

_MSSSIM_MIN_SIDE = 161
"""`pytorch_msssim` refuses smaller images, which do not fit its five scales."""


def build_lpips(name: str, files: Sequence[Weights]) -> nn.Module:
    """Build the network of the package `lpips` or `stlpips_pytorch`, and fill it with weights.

    Args:
        name: `alex`, `vgg`, `squeeze`, `st-alex` or `st-vgg`.
        files: the weights of the same network of roi-ray, from `load_lpips`.

    Returns:
        the package's module, fp32, in evaluation mode, on the CPU.

    Raises:
        ImportError: the package, or one that it needs, is not installed.
        WeightsError: the tensors are not those of the package's network.
    """
    # Both packages warn while they are imported or built, and initialise weights at random first.
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        if name.startswith("st-"):
            from stlpips_pytorch import stlpips

            network = stlpips.LPIPS(
                pretrained=False,
                net=name.removeprefix("st-"),
                variant="shift_tolerant",
                verbose=False,
            )
            tensors = dict(files[0].tensors)
        else:
            import lpips

            network = lpips.LPIPS(pretrained=False, net=name, pnet_rand=True, verbose=False)
            tensors = _name_as_package(network, files)
    # The package's files lack the constants of the scaling layer, and repeat the heads as `lins`.
    try:
        missing, unexpected = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise WeightsError(
            f"the weights of LPIPS {name} do not fit its package: {error}"
        ) from error
    lacking = [key for key in missing if not key.startswith(("scaling_layer.", "lins."))]
    if lacking or unexpected:
        raise WeightsError(
            f"weights of LPIPS {name} do not fit its package: it needs {lacking}, and does not "
            f"know {unexpected}"
        )
    module: nn.Module = network.eval().requires_grad_(False)
    return module


def _name_as_package(network: nn.Module, files: Sequence[Weights]) -> dict[str, torch.Tensor]:
    """Rename a backbone's tensors from `features.0.weight` to `net.slice1.0.weight`."""
    tensors = {key: tensor for file in files for key, tensor in file.tensors.items()}
    named = {key: tensor for key, tensor in tensors.items() if key.startswith("lin")}
    for key in network.state_dict():
        if key.startswith("net."):
            source = f"features.{key.split('.', 2)[2]}"
            if source in tensors:
                named[key] = tensors[source].float()
    return named


def compute_ms_ssim(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Compute MS-SSIM by `pytorch_msssim` in float64; None if the image is too small for it.

    Args:
        x: reference, sRGB in [0, 1], (H, W, 3).
        y: distorted, likewise.
    """
    if min(x.shape[:2]) < _MSSSIM_MIN_SIDE:
        return None
    images = (torch.from_numpy(image).permute(2, 0, 1)[None] for image in (x, y))
    return float(ms_ssim(*images, data_range=1.0))


def list_versions() -> dict[str, str]:
    """Return the versions of the packages, those that are installed."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
