"""N of the method: a salient-object network, fixed, that sees the reference only."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roi_ray.errors import WeightsError
from roi_ray.models import loader
from roi_ray.models.lite0 import Lite0Saliency
from roi_ray.models.loader import Weights
from roi_ray.models.u2net import U2NET, U2NETP, U2Net
from roi_ray.settings import DEFAULT_SALIENCY

LITE0_SIDE = 352
U2NET_SIDE = 320


class Saliency(nn.Module):
    """RGB in [0, 1] -> saliency logits of the same size, whatever the network works at.

    The image is resized to the network's square (bilinear, antialiased; the aspect ratio is not
    kept, as in U2-Net's published code), normalised, and the logits are resized back (bilinear).
    The mask is `sigmoid` of the result, without the min-max stretch that salient-object demos
    apply: an image without anything salient shall have a mask near 0.

    Args:
        network: normalised RGB (N, 3, side, side) -> logits (N, 1, h, w).
        side: of the square that the network was trained on, in pixels.
        mean: subtracted from R, G and B in [0, 1].
        deviation: divided by.
        stretch: first divide by the largest value of the image, as U2-Net's published code does.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        network: nn.Module,
        side: int,
        mean: tuple[float, float, float],
        deviation: tuple[float, float, float],
        stretch: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.side = side
        self.stretch = stretch
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(deviation).view(1, 3, 1, 1), persistent=False
        )

    def forward(self, images: Tensor) -> Tensor:
        """Saliency of each pixel.

        Args:
            images: float32, (N, 3, H, W), sRGB in [0, 1].

        Returns:
            logits, float32, (N, 1, H, W): high = salient; unbounded, sigmoid gives [0, 1].
        """
        logits: Tensor = self.network(self.preprocess(images))
        return F.interpolate(logits.float(), size=images.shape[-2:], mode="bilinear")

    def preprocess(self, images: Tensor) -> Tensor:
        """What the network is given: (N, 3, side, side), normalised, in the network's precision."""
        square = (self.side, self.side)
        x = F.interpolate(images, size=square, mode="bilinear", antialias=True)
        if self.stretch:
            x = x / x.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)
        weight = next(self.network.parameters(), images)
        return ((x - self.mean) / self.deviation).to(weight.dtype)


def load_saliency(source: str = DEFAULT_SALIENCY) -> tuple[Saliency, Weights]:
    """A salient-object network with its weights, in evaluation mode, fp32, on the CPU.

    Args:
        source: `DEFAULT_SALIENCY`, or the path or `s3://` URI of a file with the state dict of
            that network (as `jobs/train_saliency.py` writes it), of U2-Net or of U2-Net-p (as
            published: `u2net.pth`, `u2netp.pth`). Which one it is, is read off its tensors.

    Returns:
        the network and the identity of its weights.

    Raises:
        WeightsError: no such file, or none of these networks.
    """
    found = (
        loader.load_packaged(source) if source == DEFAULT_SALIENCY else loader.load_weights(source)
    )
    saliency = _build(found)
    state = {name: tensor.float() for name, tensor in found.tensors.items()}
    try:
        saliency.network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:400]
        raise WeightsError(f"{found.name} does not fit: {reason}") from error
    return saliency.eval().requires_grad_(False), found


def build_lite0(network: Lite0Saliency) -> Saliency:
    """Our network with its preprocessing (EfficientNet-lite's own: 0..255, minus 127, over 128)."""
    return Saliency(network, LITE0_SIDE, (127 / 255,) * 3, (128 / 255,) * 3)


def _build(found: Weights) -> Saliency:
    shapes = {name: tuple(tensor.shape) for name, tensor in found.tensors.items()}
    if shapes.get("stem.conv.weight") == (32, 3, 3, 3):
        return build_lite0(Lite0Saliency(folded=True))
    if shapes.get("stage1.rebnconvin.conv_s1.weight") == (64, 3, 3, 3):
        return build_u2net(shapes)
    some = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:3])
    raise WeightsError(
        f"{found.name} is no saliency network known here: it has {len(shapes)} tensors "
        f"({some}, ...). Accepted are the packaged {DEFAULT_SALIENCY!r} and files with the state "
        "dict of that network, of U2-Net (u2net.pth) or of U2-Net-p (u2netp.pth)"
    )


def build_u2net(shapes: Mapping[str, tuple[int, ...]]) -> Saliency:
    """U2-Net or U2-Net-p with its preprocessing (ImageNet's mean and deviation)."""
    wide = shapes.get("stage2.rebnconvin.conv_s1.weight") == (128, 64, 3, 3)
    return Saliency(
        U2Net(U2NET if wide else U2NETP),
        U2NET_SIDE,
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
        stretch=True,
    )
