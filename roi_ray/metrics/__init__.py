"""Full-reference metrics of tensors: `mse`, `psnr`, `mse_ycbcr`, `ms_ssim`, `texture`, and more.

Each takes a reference `x` and a distorted image `y`, and optionally a mask of the region of
interest. LPIPS and the discriminator loss need networks; `roi_ray.Scorer` has them all.

Most functions have the name of their submodule. Inside roi_ray, import from the submodule:
`from roi_ray.metrics.ms_ssim import similarity_maps`.
"""

from roi_ray.metrics.colour import mse_ycbcr
from roi_ray.metrics.ms_ssim import ms_ssim
from roi_ray.metrics.mse import mse, psnr
from roi_ray.metrics.ssimulacra2 import ssimulacra2
from roi_ray.metrics.texture import texture

__all__ = ["ms_ssim", "mse", "mse_ycbcr", "psnr", "ssimulacra2", "texture"]
