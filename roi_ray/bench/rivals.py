"""Rivals that roi-ray is compared with: a plain loop over pairs, and other libraries."""

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.bench.networks import BenchNetworks
from roi_ray.bench.workload import ReadImage
from roi_ray.errors import UsageError
from roi_ray.imaging.pixels import Pixels8
from roi_ray.models.backbones import fill_backbone
from roi_ray.runtime.device import upload

ScorePair = Callable[[Path, Path], dict[str, float]]
"""Maps a reference and a distorted image to metrics by name."""


def build_naive(networks: BenchNetworks, device: torch.device, read: ReadImage) -> ScorePair:
    """Build a plain loop: for each pair it reads both files and runs every package and network.

    Metrics: MSE, MS-SSIM (`pytorch_msssim`), LPIPS (`lpips`), `d_loss`, and the MSE under the mask.
    """
    ms_ssim = _import_rival("pytorch_msssim").ms_ssim
    lpips = _build_package_lpips(networks.alexnet).to(device)
    saliency = networks.networks.saliency.to(device)
    discriminator = networks.networks.discriminator.to(device)
    box_filter = torch.ones(1, 1, 50, 50, device=device) / 2500

    @torch.no_grad()
    def score(reference: Path, distorted: Path) -> dict[str, float]:
        x, y = (_to_tensor(read(path), device) for path in (reference, distorted))
        mask = F.conv2d(F.pad(torch.sigmoid(saliency(x)), (25, 24, 25, 24)), box_filter)
        error = (x - y).square().mean(dim=1, keepdim=True)
        loss = F.softplus(-discriminator(y))
        return {
            "mse": float(error.mean()),
            "roi_mse": float((error * mask).mean()),
            "ms_ssim": float(ms_ssim(x, y, data_range=1.0)),
            "lpips": float(lpips(x, y, normalize=True)),
            "d_loss": float(loss.mean()),
        }

    return score


def build_pytorch_msssim(
    networks: BenchNetworks, device: torch.device, read: ReadImage
) -> ScorePair:
    """Build `pytorch_msssim` alone, on images in memory."""
    ms_ssim = _import_rival("pytorch_msssim").ms_ssim
    load = functools.cache(lambda path: _to_tensor(read(path), device))

    @torch.no_grad()
    def score(reference: Path, distorted: Path) -> dict[str, float]:
        return {"ms_ssim": float(ms_ssim(load(reference), load(distorted), data_range=1.0))}

    return score


def build_torchmetrics(networks: BenchNetworks, device: torch.device, read: ReadImage) -> ScorePair:
    """Build PSNR, MS-SSIM and LPIPS of torchmetrics."""
    functional = _import_rival("torchmetrics.functional.image")
    lpips = _import_rival("torchmetrics.functional.image.lpips")._LPIPS(net="alex", pnet_rand=True)
    fill_backbone(lpips.net.children(), networks.alexnet)
    lpips.eval().to(device)

    @torch.no_grad()
    def score(reference: Path, distorted: Path) -> dict[str, float]:
        x, y = (_to_tensor(read(path), device) for path in (reference, distorted))
        similarity = functional.multiscale_structural_similarity_index_measure(
            y, x, data_range=1.0, sigma=1.5, kernel_size=11
        )
        return {
            "psnr": float(functional.peak_signal_noise_ratio(y, x, data_range=1.0)),
            "ms_ssim": float(similarity),
            "lpips": float(lpips(x, y, normalize=True)),
        }

    return score


def build_pyiqa(networks: BenchNetworks, device: torch.device, read: ReadImage) -> ScorePair:
    """Build PSNR, MS-SSIM (of luma, its default) and LPIPS of pyiqa."""
    from torchvision import models

    create = _import_rival("pyiqa").create_metric
    psnr, ms_ssim = create("psnr", device=device), create("ms_ssim", device=device)
    # pyiqa always downloads torchvision's weights for the backbone; keep it offline and use ours.
    with mock.patch.object(models, "alexnet", return_value=models.alexnet(weights=None)):
        lpips = create("lpips", device=device, net="alex", pretrained=False)
    fill_backbone(lpips.net.net.children(), networks.alexnet)

    @torch.no_grad()
    def score(reference: Path, distorted: Path) -> dict[str, float]:
        x, y = (_to_tensor(read(path), device) for path in (reference, distorted))
        metrics = {"psnr": psnr, "ms_ssim": ms_ssim, "lpips": lpips}
        return {name: float(metric(y, x)) for name, metric in metrics.items()}

    return score


RIVALS: Mapping[str, Callable[[BenchNetworks, torch.device, ReadImage], ScorePair]] = {
    "naive": build_naive,
    "pytorch_msssim": build_pytorch_msssim,
    "torchmetrics": build_torchmetrics,
    "pyiqa": build_pyiqa,
}
"""Builders of the rivals by name. All networks are fp32."""


def _build_package_lpips(alexnet: dict[str, Tensor]) -> torch.nn.Module:
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips uses deprecated arguments of torchvision
        network: torch.nn.Module = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    fill_backbone(network.get_submodule("net").children(), alexnet)
    return network.eval().requires_grad_(False)


def _import_rival(name: str) -> ModuleType:
    """Import a module that roi-ray does not depend on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".", maxsplit=1)[0]
        raise UsageError(
            f"{package} is not installed: pip install {package}, or leave it out of --against"
        ) from error


def _to_tensor(pixels: Pixels8, device: torch.device) -> Tensor:
    """Convert pixels to float32, (1, 3, H, W), in [0, 1]."""
    return upload([pixels], device).contiguous().float() / 255
