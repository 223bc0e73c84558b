"""What is measured: roi-ray's scorer, a plain loop, and other libraries, from files to numbers."""

import importlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.bench.options import SaliencyName
from roi_ray.bench.workload import Group
from roi_ray.errors import RoiRayError
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import Pixels
from roi_ray.metrics.ms_ssim import combine_scales, filter_reference, similarity_maps
from roi_ray.metrics.mse import psnr_from_mse, squared_error_map
from roi_ray.metrics.roi import spatial_mean
from roi_ray.models.lpips import build_lpips, fill_backbone, load_lpips_heads
from roi_ray.models.networks import Networks, load_networks
from roi_ray.models.saliency import build_u2net
from roi_ray.runtime.device import upload
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import DEFAULT_SALIENCY as PACKAGED
from roi_ray.settings import Settings

Numbers = dict[str, float]
Contender = Callable[[Sequence[Group]], list[Numbers]]
Reader = Callable[[Path], Pixels]

SHARED = ("psnr", "ms_ssim", "lpips")
"""What the other libraries measure too."""


@dataclass(frozen=True)
class Backbones:
    """Networks of the published shapes; where a file cannot be had, with random weights.

    Speed does not depend on weights, and all contenders get the same ones.
    """

    networks: Networks
    alexnet: dict[str, Tensor]


def backbones(saliency: SaliencyName) -> Backbones:
    """LPIPS alex on a random AlexNet, the packaged D, and N: the packaged one or a U2-Net-p."""
    from torchvision.models import alexnet

    torch.manual_seed(0)
    tensors = dict(alexnet(weights=None).state_dict())
    networks = load_networks("st-alex", PACKAGED, "discriminator-patch70")
    trained = build_lpips("alex", tensors, load_lpips_heads("alex").tensors)
    networks = replace(networks, lpips=trained.eval().requires_grad_(False))
    if saliency == "u2netp":
        unknown = build_u2net({}).eval().requires_grad_(False)
        networks = replace(networks, saliency=unknown)
    return Backbones(networks, tensors)


def read_file(path: Path) -> Pixels:
    """Read and decode a file."""
    return decode_image(path.read_bytes())


def scorer(scorer: Scorer, read: Reader = read_file) -> Contender:
    """roi-ray without Ray: eight features, and the mask."""

    def score(groups: Sequence[Group]) -> list[Numbers]:
        references = [read(group.reference) for group in groups]
        prepared = scorer.prepare_all(references, [None] * len(groups))
        pairs = [
            (reference, read(path))
            for reference, group in zip(prepared, groups, strict=True)
            for path in group.distorted
        ]
        return [asdict(one) for one in scorer.score_pairs(pairs)]

    return score


def shared(networks: Networks, device: torch.device, read: Reader = read_file) -> Contender:
    """roi-ray's metrics that other libraries have too: PSNR, MS-SSIM, LPIPS."""
    networks.to(device, torch.float32)

    @torch.inference_mode()
    def score(group: Group) -> list[Numbers]:
        x = upload([read(group.reference)], device)
        image = x.float().div_(255)
        moments = filter_reference(image.contiguous())
        features = networks.lpips.extract_features(image)
        results = []
        for path in group.distorted:
            y = upload([read(path)], device)
            image = y.float().div_(255)
            levels = similarity_maps(moments, image.contiguous())
            distances = networks.lpips.compute_maps(
                features, networks.lpips.extract_activations(image)
            )
            similarity = combine_scales([spatial_mean(level) for level in levels])
            results.append(
                {
                    "psnr": float(psnr_from_mse(spatial_mean(squared_error_map(x, y)))),
                    "ms_ssim": float(similarity),
                    "lpips": float(torch.stack([spatial_mean(layer) for layer in distances]).sum()),
                }
            )
        return results

    return lambda groups: [numbers for group in groups for numbers in score(group)]


def naive(given: Backbones, device: torch.device, read: Reader = read_file) -> Contender:
    """What people write: for each pair both files, the packages' metrics, and both networks."""
    package_ms_ssim = _optional("pytorch_msssim").ms_ssim
    perceptual = _package_lpips(given.alexnet).to(device)
    saliency = given.networks.saliency.to(device)
    discriminator = given.networks.discriminator.to(device)
    ones = torch.ones(1, 1, 50, 50, device=device) / 2500

    @torch.no_grad()
    def pair(reference: Path, distorted: Path) -> Numbers:
        x, y = (_planes(read(path), device) for path in (reference, distorted))
        mask = F.conv2d(F.pad(torch.sigmoid(saliency(x)), (25, 24, 25, 24)), ones)
        error = (x - y).square().mean(dim=1, keepdim=True)
        loss = F.softplus(-discriminator(y))
        return {
            "mse": float(error.mean()),
            "roi_mse": float((error * mask).mean()),
            "ms_ssim": float(package_ms_ssim(x, y, data_range=1.0)),
            "lpips": float(perceptual(x, y, normalize=True)),
            "d_loss": float(loss.mean()),
        }

    return _pair_by_pair(pair)


def torchmetrics(given: Backbones, device: torch.device, read: Reader = read_file) -> Contender:
    """PSNR, MS-SSIM and LPIPS by torchmetrics."""
    functional = _optional("torchmetrics.functional.image")
    network = _optional("torchmetrics.functional.image.lpips")._LPIPS(net="alex", pnet_rand=True)
    fill_backbone(network.net.children(), given.alexnet)
    network.eval().to(device)

    @torch.no_grad()
    def pair(reference: Path, distorted: Path) -> Numbers:
        x, y = (_planes(read(path), device) for path in (reference, distorted))
        similarity = functional.multiscale_structural_similarity_index_measure(
            y, x, data_range=1.0, sigma=1.5, kernel_size=11
        )
        return {
            "psnr": float(functional.peak_signal_noise_ratio(y, x, data_range=1.0)),
            "ms_ssim": float(similarity),
            "lpips": float(network(x, y, normalize=True)),
        }

    return _pair_by_pair(pair)


def pyiqa(given: Backbones, device: torch.device, read: Reader = read_file) -> Contender:
    """PSNR, MS-SSIM (of luma, its default) and LPIPS by pyiqa."""
    from torchvision import models

    create = _optional("pyiqa").create_metric
    psnr, similarity = create("psnr", device=device), create("ms_ssim", device=device)
    # It knows no way to build its backbone but to download torchvision's weights for it.
    with mock.patch.object(models, "alexnet", return_value=models.alexnet(weights=None)):
        perceptual = create("lpips", device=device, net="alex", pretrained=False)
    fill_backbone(perceptual.net.net.children(), given.alexnet)

    @torch.no_grad()
    def pair(reference: Path, distorted: Path) -> Numbers:
        x, y = (_planes(read(path), device) for path in (reference, distorted))
        metrics = {"psnr": psnr, "ms_ssim": similarity, "lpips": perceptual}
        return {name: float(metric(y, x)) for name, metric in metrics.items()}

    return _pair_by_pair(pair)


def make(
    rivals: Sequence[str],
    settings: Settings,
    device: torch.device,
    saliency: SaliencyName,
    read: Reader = read_file,
    batch: int | None = None,
) -> dict[str, Contender]:
    """The contenders by name: the rivals, and what of roi-ray each is held against.

    Args:
        rivals: names.
        settings: of roi-ray.
        device: of all.
        saliency: N of all.
        read: how all of them come by an image.
        batch: of roi-ray; see `Scorer`.

    Raises:
        RoiRayError: no such rival, or it is not installed.
    """
    makers = {"naive": naive, "torchmetrics": torchmetrics, "pyiqa": pyiqa}
    if unknown := set(rivals) - set(makers):
        raise RoiRayError(f"rivals are {', '.join(makers)}; not {', '.join(unknown)}")
    found: dict[str, Contender] = {
        name: _as_torch_is(makers[name](backbones(saliency), device, read)) for name in rivals
    }
    own = Scorer(settings, str(device), batch, networks=backbones(saliency).networks)
    found["roi-ray"] = scorer(own, read)
    if settings.precision == "fp32" and device.type == "cpu":
        half = replace(settings, precision="bf16")
        found["roi-ray bf16"] = scorer(
            Scorer(half, str(device), batch, networks=backbones(saliency).networks), read
        )
    if set(rivals) - {"naive"}:
        found["roi-ray shared"] = shared(backbones(saliency).networks, device, read)
    return found


def _as_torch_is(contender: Contender) -> Contender:
    """Rivals' convolutions may round to TF32 on a GPU, as by default; roi-ray's may not."""

    def score(groups: Sequence[Group]) -> list[Numbers]:
        before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = True
        try:
            return contender(groups)
        finally:
            torch.backends.cudnn.allow_tf32 = before

    return score


def against(rival: str) -> str:
    """What of roi-ray a rival is held against."""
    return "roi-ray shared" if rival in ("torchmetrics", "pyiqa", "roi-ray shared") else "roi-ray"


def _package_lpips(alexnet: dict[str, Tensor]) -> torch.nn.Module:
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how it calls torchvision is deprecated
        network: torch.nn.Module = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    fill_backbone(network.get_submodule("net").children(), alexnet)
    return network.eval().requires_grad_(False)


def _optional(name: str) -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".", maxsplit=1)[0]
        raise RoiRayError(
            f"to measure against {package}, install it (pip install {package}), or leave it out "
            "of --against"
        ) from error


def _pair_by_pair(pair: Callable[[Path, Path], Numbers]) -> Contender:
    return lambda groups: [
        pair(group.reference, path) for group in groups for path in group.distorted
    ]


def _planes(pixels: Pixels, device: torch.device) -> Tensor:
    """float32, (1, 3, H, W), in [0, 1]: what everybody begins with."""
    return upload([pixels], device).contiguous().float() / 255
