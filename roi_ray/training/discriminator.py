"""Trains the packaged patch discriminator to tell originals from decoded images."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from roi_ray import images, schema, storage
from roi_ray.errors import ManifestError
from roi_ray.manifest import read_manifest
from roi_ray.models.discriminator import PatchDiscriminator, patch_layers

WIDTH = 32
CROP = 128
_RATE = 2e-3
_SMOOTHING = 0.05


@dataclass(frozen=True)
class Decoded:
    """A decoded image; codec, quality and bits per pixel where the manifest says them."""

    uri: str
    codec: str | None
    quality: float | None
    bpp: float | None


@dataclass(frozen=True)
class Original:
    """An original with everything that was decoded from it; `name` as the manifest spells it."""

    name: str
    uri: str
    decoded: tuple[Decoded, ...]


def read_originals(manifest: str) -> list[Original]:
    """The manifest's rows, gathered by reference, in the order of the references' first rows."""
    rows = read_manifest(manifest)
    gathered: dict[str, list[Decoded]] = {}
    for row in rows.table.to_pylist():
        uri = storage.resolve(row[schema.DISTORTED], rows.base)
        facts = (row.get(schema.CODEC), row.get(schema.QUALITY), row.get(schema.BPP))
        gathered.setdefault(row[schema.REFERENCE], []).append(Decoded(uri, *facts))
    return [
        Original(name, storage.resolve(name, rows.base), tuple(decoded))
        for name, decoded in gathered.items()
    ]


def train(
    originals: Sequence[Original],
    *,
    steps: int,
    batch: int = 8,
    crops: int = 2,
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> PatchDiscriminator:
    """Train on random crops: the same window of an original and of an image decoded from it.

    Cross-entropy of every patch, labels smoothed to 0.05 and 0.95: the logits then stay within
    about +-3, so that a bad image still scores worse than a mediocre one. Spectral norm on all
    layers but the last, which sets the scale. Adam with cosine decay. There is no generator: the
    decoded images of all codecs and qualities are what D learns to reject. The first layer's
    filters start without a mean: artefacts are small beside the brightness of things, and from an
    ordinary start hundreds of steps go by before D notices them.

    Args:
        originals: all of them are trained on: hold out beforehand.
        steps: of the optimiser.
        batch: originals a step, each with one of its decoded images.
        crops: windows of each pair, 128 x 128 pixels.
        seed: of the start, the choice of images and the windows.
        report: receives one line every fifty steps.

    Returns:
        the discriminator in evaluation mode, spectral norm worked into its weights.

    Raises:
        ManifestError: an image is smaller than a window, or not of its reference's size.
        ImageError, StorageError: an image cannot be read.
    """
    torch.manual_seed(seed)
    draw = random.Random(seed)
    layers = patch_layers(WIDTH)
    *normed, last = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    for layer in (*normed, last):
        nn.init.kaiming_normal_(layer.weight, a=0.2)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        normed[0].weight -= normed[0].weight.mean((2, 3), keepdim=True)
        last.weight *= 0.3
    for layer in normed:
        spectral_norm(layer)
    network = PatchDiscriminator(layers).train()
    optimiser = torch.optim.Adam(network.parameters(), _RATE, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * min(step / steps, 1)))
    )
    losses: list[float] = []
    for step in range(steps):
        real, fake = _windows(draw.choices(originals, k=batch), crops, draw)
        loss = (_loss(network(real), real=True) + _loss(network(fake), real=False)) / 2
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if (step + 1) % 50 == 0 or step + 1 == steps:
            report(f"step {step + 1}/{steps}  loss {np.mean(losses):.4f}")
            losses.clear()
    network.eval()
    for layer in normed:
        nn.utils.parametrize.remove_parametrizations(layer, "weight")
    return network


def packed(network: PatchDiscriminator) -> dict[str, Tensor]:
    """What is written to the packaged file: fp16, `model.0.weight`, `model.0.bias`, ..."""
    return {
        name.replace("layers.", "model.", 1): tensor.detach().half().contiguous()
        for name, tensor in network.state_dict().items()
    }


@lru_cache(maxsize=256)
def read_image(uri: str) -> Tensor:
    """uint8, (3, H, W); the last 256 stay in memory, as originals are asked for again."""
    return read_decoded(uri)


def read_decoded(uri: str) -> Tensor:
    """uint8, (3, H, W)."""
    pixels = images.decode(storage.read_bytes(uri))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def _windows(
    originals: Sequence[Original], crops: int, draw: random.Random
) -> tuple[Tensor, Tensor]:
    pairs = []
    for original in originals:
        decoded = draw.choice(original.decoded)
        real, fake = read_image(original.uri), read_decoded(decoded.uri)
        height, width = real.shape[1:]
        if real.shape != fake.shape or min(height, width) < CROP:
            raise ManifestError(
                f"{decoded.uri}: training needs images of {CROP} x {CROP} pixels or more, "
                "of their reference's size"
            )
        for _ in range(crops):
            top, left = draw.randint(0, height - CROP), draw.randint(0, width - CROP)
            window = (slice(None), slice(top, top + CROP), slice(left, left + CROP))
            pairs.append((real[window], fake[window]))
    real, fake = (torch.stack(side) / 255 for side in zip(*pairs, strict=True))
    return real, fake


def _loss(logits: Tensor, *, real: bool) -> Tensor:
    label = 1 - _SMOOTHING if real else _SMOOTHING
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
