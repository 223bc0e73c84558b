"""A slow, literal implementation of the method, to check the scorer against.

It follows the definitions in `roi_ray/metrics/README.md` step by step: numpy in float64, plain
networks, everything computed anew for each pair. It imports nothing from roi_ray, so that an error
in the scorer cannot also be here.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.floating]
"""An image, a mask or an L map."""

WANG = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales (Wang, Simoncelli, Bovik: "Multi-scale structural similarity", 2003)."""
WINDOW = 11
"""Side of SSIM's window; a map has 10 rows and columns less than its image."""
EMPTY = 1e-6
"""Mean of a mask below which there is no region of interest."""


def box_blur(saliency: Array) -> Array:
    """Blur a mask, (H, W): average rows i-25 .. i+24 and such columns, with zeros outside."""
    height, width = saliency.shape
    padded = np.pad(saliency, ((25, 24), (25, 24)))
    rows = _add(padded[k : k + height] for k in range(50))
    return _add(rows[:, k : k + width] for k in range(50)) / 2500


def resize_mask(mask: Array, height: int, width: int) -> Array:
    """Resize a mask: the mean over the pixels that each cell of a coarser grid touches."""
    if mask.shape == (height, width):
        return mask
    down, across = (_averaging(*sides) for sides in zip(mask.shape, (height, width), strict=True))
    return np.asarray(down @ mask @ across.T)


def _averaging(length: int, cells: int) -> Array:
    """Make the matrix, (cells, length), that averages the samples which each cell touches."""
    matrix = np.zeros((cells, length))
    for cell in range(cells):
        start, end = cell * length // cells, -(-(cell + 1) * length // cells)
        matrix[cell, start:end] = 1 / (end - start)
    return matrix


def smooth(image: Array) -> Array:
    """Average over SSIM's window, a Gaussian of sigma 1.5; only whole windows: (H-10, W-10)."""
    distance = np.arange(WINDOW) - WINDOW // 2
    taps = np.exp(-(distance**2) / (2 * 1.5**2))
    taps = (taps / taps.sum()).astype(image.dtype)
    height, width = (side - WINDOW + 1 for side in image.shape)
    rows = _add(tap * image[k : k + height] for k, tap in enumerate(taps))
    return _add(tap * rows[:, k : k + width] for k, tap in enumerate(taps))


def _add(parts: Iterable[Array]) -> Array:
    total: Any = 0
    for part in parts:
        total = total + part
    return np.asarray(total)


def masked_mean(level: Array, weights: Array, weighting: str) -> float:
    """Average an L map under weights of its size: mean(L R), or sum(L R) / sum(R)."""
    if weighting == "mean":
        return float((level * weights).mean())
    return float((level * weights).sum() / weights.sum())


def psnr(mse: float) -> float:
    """Convert a mean squared error to dB, at most 100."""
    return 100.0 if mse <= 1e-10 else -10 * math.log10(mse)


def squared_errors(x: Array, y: Array) -> dict[str, Array]:
    """Compute the L maps of the mean squared errors: of R, G, B, and of BT.601's Y, Cb, Cr."""

    def to_ycbcr(image: Array) -> tuple[Array, Array, Array]:
        red, green, blue = np.moveaxis(image, -1, 0)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        return luma, (blue - luma) / 1.772, (red - luma) / 1.402

    maps = {"mse": np.asarray(((x - y) ** 2).mean(axis=2))}
    for name, a, b in zip(("mse_y", "mse_cb", "mse_cr"), to_ycbcr(x), to_ycbcr(y), strict=True):
        maps[name] = (a - b) ** 2
    return maps


def texture_maps(x: Array, y: Array) -> dict[str, Array]:
    """Compute the L maps of texture gained and lost, whose means are squares."""

    def deviations(image: Array) -> Array:
        luma = image @ np.array([0.299, 0.587, 0.114])
        return np.asarray(np.sqrt(np.maximum(smooth(luma**2) - smooth(luma) ** 2, 0)))

    before, after = deviations(x), deviations(y)
    return {
        name: np.maximum(change, 0) ** 2 / (before**2 + 0.01**2)
        for name, change in (("texture_gained", after - before), ("texture_lost", before - after))
    }


def count_scales(height: int, width: int) -> int:
    """Count the scales of MS-SSIM, at most 5, on which the window fits."""
    scales, side = 0, min(height, width)
    while scales < 5 and side >= WINDOW:
        scales, side = scales + 1, -(-side // 2)
    return scales


def ms_ssim(x: Array, y: Array, mean: Callable[[Array], float]) -> float:
    """Compute MS-SSIM per channel, then average; `mean` averages a map of whole windows.

    float32 images are computed in float32, which shows how many digits that has.
    """
    scales = count_scales(*x.shape[:2])
    weights = np.array(WANG[:scales]) / (1 if scales == 5 else sum(WANG[:scales]))

    channels = []
    for channel in range(3):
        a, b = x[..., channel], y[..., channel]
        product = 1.0
        for scale, weight in enumerate(weights):
            if scale:
                a, b = _halve(a), _halve(b)
            mu_a, mu_b = smooth(a), smooth(b)
            var_a, var_b = smooth(a * a) - mu_a**2, smooth(b * b) - mu_b**2
            covariance = smooth(a * b) - mu_a * mu_b
            level = (2 * covariance + 0.03**2) / (var_a + var_b + 0.03**2)
            if scale == scales - 1:
                level = level * (2 * mu_a * mu_b + 0.01**2) / (mu_a**2 + mu_b**2 + 0.01**2)
            product *= max(mean(level), 0.0) ** weight
        channels.append(product)
    return float(np.mean(channels))


def _halve(image: Array) -> Array:
    """Average 2 x 2 pixels; an odd side first gets a row or column of zeros before the first."""
    image = np.pad(image, [(side % 2, 0) for side in image.shape])
    return _add(image[i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4


def masked_ms_ssim(x: Array, y: Array, mask: Array, weighting: str) -> float:
    """Compute MS-SSIM under a mask, which is seen through SSIM's window at each scale."""
    weights: dict[tuple[int, ...], Array] = {}

    def mean(level: Array) -> float:
        if level.shape not in weights:  # else another channel
            scale = resize_mask(mask, *(side + WINDOW - 1 for side in level.shape))
            weights[level.shape] = smooth(scale)
        return masked_mean(level, weights[level.shape], weighting)

    return ms_ssim(x, y, mean)


def lpips_and_maps(package: nn.Module, x: Tensor, y: Tensor) -> tuple[float, list[Array]]:
    """Compute LPIPS by the package's own function, and keep the L maps that it averages.

    x, y: (3, H, W), in [0, 1].
    """
    net: Any = package
    maps: list[Array] = []

    def keep(_module: object, _inputs: object, output: Tensor) -> None:
        maps.append(output[0, 0].double().cpu().numpy())

    # Each layer's head turns squared differences of features into a map.
    hooks = [head.register_forward_hook(keep) for head in net.lins]
    try:
        distance = float(net(x[None], y[None], normalize=True))
    finally:
        for hook in hooks:
            hook.remove()
    return distance, maps


def loss_map(discriminator: nn.Module, y: Tensor) -> Array:
    """Compute softplus(-D) per patch, by the formula; y: (3, H, W), in [0, 1]."""
    logits = discriminator(y[None])[0, 0].double().cpu().numpy()
    return np.asarray(np.log1p(np.exp(-logits)))


def pad(image: Array, side: int) -> Array:
    """Repeat the last row and column of an image or mask until both sides are `side` or more."""
    missing = [(0, max(0, side - length)) for length in image.shape[:2]]
    return np.pad(image, missing + [(0, 0)] * (image.ndim - 2), mode="edge")


def to_tensor(image: Array, device: str = "cpu") -> Tensor:
    """Convert (H, W, 3) to float32, (3, H, W)."""
    return torch.from_numpy(image).permute(2, 0, 1).float().to(device)


def find_mask(saliency: nn.Module, x: Array, device: str = "cpu") -> Array:
    """Compute the mask R of a reference by a plain saliency network, (H, W), in [0, 1]."""
    with torch.no_grad():
        logits = saliency(to_tensor(x, device)[None])[0, 0]
    return box_blur(logits.double().sigmoid().cpu().numpy())


def compute_scores(
    x: Array,
    y: Array,
    mask: Array,
    weighting: str,
    package: nn.Module | None,
    discriminator: nn.Module,
    min_sides: tuple[int, int] = (1, 1),
    device: str = "cpu",
) -> dict[str, float | None]:
    """Compute all numbers of one pair.

    Args:
        x: reference, sRGB in [0, 1], float64, (H, W, 3).
        y: distorted, likewise.
        mask: the mask R, (H, W), in [0, 1].
        weighting: `mean` or `normalised`.
        package: an LPIPS network of the package `lpips` or `stlpips_pytorch`; None to leave LPIPS
            out.
        discriminator: network from RGB in [0, 1] to logits, high is real.
        min_sides: smallest sides of an image for the two networks; smaller images are padded.
        device: where the networks are.

    Returns:
        a number per column; None for the numbers of an empty region of interest.
    """
    maps = squared_errors(x, y)
    textures = texture_maps(x, y)
    with torch.no_grad():
        maps["d_loss"] = loss_map(discriminator, to_tensor(pad(y, min_sides[1]), device))
        if package is not None:
            padded = [to_tensor(pad(image, min_sides[0]), device) for image in (x, y)]
            distance, layers = lpips_and_maps(package, *padded)
            maps |= {f"lpips {number}": layer for number, layer in enumerate(layers)}
    padding = {"d_loss": min_sides[1], **{key: min_sides[0] for key in maps if "lpips" in key}}

    def under_mask(key: str, level: Array) -> float:
        resized = resize_mask(pad(mask, padding.get(key, 1)), *level.shape)
        return masked_mean(level, resized, weighting)

    scores: dict[str, float | None] = {"roi_fraction": float(mask.mean())}
    scores |= _combine({key: float(level.mean()) for key, level in maps.items()})
    if package is not None:
        scores["lpips"] = distance
    scores["ms_ssim"] = ms_ssim(x, y, lambda level: float(level.mean()))
    scores |= {name: math.sqrt(level.mean()) for name, level in textures.items()}
    if mask.mean() < EMPTY:
        return scores | {f"roi_{name}": None for name in scores if name != "roi_fraction"}
    roi = _combine({key: under_mask(key, level) for key, level in maps.items()})
    roi["ms_ssim"] = masked_ms_ssim(x, y, mask, weighting)
    for name, level in textures.items():
        roi[name] = math.sqrt(masked_mean(level, smooth(mask), weighting))
    return scores | {f"roi_{name}": value for name, value in roi.items()}


def _combine(means: dict[str, float]) -> dict[str, float]:
    """Add up the layers of LPIPS, and convert the mean squared error to dB."""
    layers = [mean for key, mean in means.items() if "lpips" in key]
    numbers = {key: mean for key, mean in means.items() if "lpips" not in key}
    numbers["psnr"] = psnr(means["mse"])
    return numbers | ({"lpips": sum(layers)} if layers else {})
