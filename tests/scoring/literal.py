"""A literal, slow implementation of the method, to compare the scorer with.

It shares no code with roi_ray, and computes everything anew for each image.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
WANG = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def box_blur(saliency: Array) -> Array:
    """Blur a mask: average rows i-25 .. i+24 and the same columns, with zeros outside the image."""
    padded = F.pad(torch.from_numpy(saliency)[None, None], (25, 24, 25, 24))
    return F.conv2d(padded, torch.ones(1, 1, 50, 50, dtype=torch.float64))[0, 0].numpy() / 2500


def resize_mask(mask: Array, height: int, width: int) -> Array:
    """Resize a mask: the mean over the pixels that each cell of a coarser grid touches."""
    if mask.shape == (height, width):
        return mask
    out = np.empty((height, width))
    rows, columns = mask.shape
    for i in range(height):
        top, bottom = i * rows // height, -(-(i + 1) * rows // height)
        for j in range(width):
            left, right = j * columns // width, -(-(j + 1) * columns // width)
            out[i, j] = mask[top:bottom, left:right].mean()
    return out


def masked_mean(level: Array, mask: Array, weighting: str) -> float:
    """Average an L map under a mask of its size."""
    if weighting == "mean":
        return float((level * mask).mean())
    return float((level * mask).sum() / mask.sum() if mask.mean() >= 1e-6 else level.mean())


def psnr(mse: float) -> float:
    return 100.0 if mse <= 1e-10 else -10 * math.log10(mse)


def ms_ssim(x: Array, y: Array, mean: Callable[[Array], float]) -> float:
    """Compute MS-SSIM per channel, then average; `mean` averages a map of whole windows."""
    distance = np.arange(11) - 5.0
    window = np.exp(-(distance**2) / (2 * 1.5**2))
    window = np.outer(window, window)
    kernel = torch.from_numpy(window / window.sum())[None, None]

    def smooth(image: Array) -> Array:
        return F.conv2d(torch.from_numpy(image)[None, None], kernel)[0, 0].numpy()

    scales, side = 0, min(x.shape[:2])
    while scales < 5 and side >= 11:
        scales, side = scales + 1, -(-side // 2)
    weights = np.array(WANG[:scales]) / (1 if scales == 5 else sum(WANG[:scales]))

    channels = []
    for channel in range(3):
        a, b = x[..., channel], y[..., channel]
        product = 1.0
        for scale, weight in enumerate(weights):
            if scale:
                a, b = (
                    F.avg_pool2d(
                        torch.from_numpy(image)[None], 2, padding=[s % 2 for s in image.shape]
                    )[0].numpy()
                    for image in (a, b)
                )
            mu_a, mu_b = smooth(a), smooth(b)
            var_a, var_b = smooth(a * a) - mu_a**2, smooth(b * b) - mu_b**2
            covariance = smooth(a * b) - mu_a * mu_b
            level = (2 * covariance + 0.03**2) / (var_a + var_b + 0.03**2)
            if scale == scales - 1:
                level = level * (2 * mu_a * mu_b + 0.01**2) / (mu_a**2 + mu_b**2 + 0.01**2)
            product *= max(mean(level), 0.0) ** weight
        channels.append(product)
    return float(np.mean(channels))


def masked_ms_ssim(x: Array, y: Array, mask: Array, weighting: str) -> float:
    def mean(level: Array) -> float:
        height, width = level.shape
        coarse = resize_mask(mask, height + 10, width + 10)[5:-5, 5:-5]
        return masked_mean(level, coarse, weighting)

    return ms_ssim(x, y, mean)


def lpips_maps(package: nn.Module, x: Tensor, y: Tensor) -> list[Array]:
    """Compute the L maps of LPIPS by the package's own modules; x, y: (3, H, W), in [0, 1]."""
    features = []
    for image in (x, y):
        layers = package.net.forward(package.scaling_layer(2 * image[None] - 1))
        features.append(
            [layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10) for layer in layers]
        )
    return [
        package.lins[k]((a - b) ** 2)[0, 0].double().numpy()
        for k, (a, b) in enumerate(zip(*features, strict=True))
    ]


def compute_scores(
    a: Array,
    b: Array,
    mask: Array,
    weighting: str,
    package: nn.Module,
    discriminator: nn.Module,
) -> dict[str, float]:
    """Compute all scores of one pair, sRGB values in [0, 1]."""
    tensors = [torch.from_numpy(image).permute(2, 0, 1).float() for image in (a, b)]
    with torch.no_grad():
        layers = lpips_maps(package, *tensors)
        logits = discriminator(tensors[1][None])[0, 0].double()
    loss = torch.log1p(torch.exp(-logits)).numpy()
    error = ((a - b) ** 2).mean(axis=2)
    mse, roi_mse = float(error.mean()), masked_mean(error, mask, weighting)
    return {
        "mse": mse,
        "psnr": psnr(mse),
        "ms_ssim": ms_ssim(a, b, lambda level: float(level.mean())),
        "lpips": sum(float(layer.mean()) for layer in layers),
        "d_loss": float(loss.mean()),
        "roi_mse": roi_mse,
        "roi_psnr": psnr(roi_mse),
        "roi_ms_ssim": masked_ms_ssim(a, b, mask, weighting),
        "roi_lpips": sum(masked_mean(m, resize_mask(mask, *m.shape), weighting) for m in layers),
        "roi_d_loss": masked_mean(loss, resize_mask(mask, *loss.shape), weighting),
        "roi_fraction": float(mask.mean()),
    }
