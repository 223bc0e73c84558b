"""The method's D: a patch discriminator that tells originals from decoded images.

Isola, Zhu, Zhou, Efros: "Image-to-Image Translation with Conditional Adversarial Networks", CVPR
2017, section 3.2.2 and appendix 6.1.2: 4 x 4 convolutions with padding 1 and LeakyReLU 0.2; all but
the last two have stride 2. With three of stride 2, a logit sees a patch of 70 x 70 pixels.
"""

from itertools import pairwise

from torch import Tensor, nn

from roi_ray.models import loader
from roi_ray.models.discriminator_file import read_layers
from roi_ray.models.loader import Weights
from roi_ray.settings import DEFAULT_DISCRIMINATOR


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

    Width, depth and normalisation are inferred from the tensors. All 4 x 4 convolutions but the
    last two have stride 2; one with a weight of shape (C, 1, 4, 4) is depthwise. The modules
    between two convolutions decide the rest:

    - none (a depthwise convolution and a 1 x 1 one): no activation, as in the packaged file;
    - only an activation (indices 0, 2, 4, ...): no normalisation, as in the packaged file;
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
    return PatchDiscriminator(read_layers(weights)).eval().requires_grad_(False), weights


def build_patch_layers(width: int = 24) -> nn.Sequential:
    """Build the layers of an untrained discriminator like the packaged one, without normalisation.

    A logit sees a patch of 70 x 70 pixels. The convolution of stride 1 before the last layer, which
    takes 64 % of the FLOPs of a pix2pix discriminator, is a depthwise one and a 1 x 1 one here.

    Args:
        width: channels after the first convolution. Each of the next three doubles them.
    """
    widths = [width * 2**level for level in range(4)]
    layers = nn.Sequential()
    for in_channels, out_channels in pairwise([3, *widths[:3]]):
        layers.append(nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    layers.append(nn.Conv2d(widths[2], widths[2], 4, padding=1, groups=widths[2]))
    layers.append(nn.Conv2d(widths[2], widths[3], 1))
    layers.append(nn.LeakyReLU(0.2, inplace=True))
    return layers.append(nn.Conv2d(widths[3], 1, 4, padding=1))


def _compute_min_side(layers: nn.Sequential) -> int:
    side = 1
    for layer in reversed(list(layers)):
        if isinstance(layer, nn.Conv2d):
            side = layer.stride[0] * (side - 1) + layer.kernel_size[0] - 2 * int(layer.padding[0])
    return side
