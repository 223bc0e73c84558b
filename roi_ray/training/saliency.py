"""Distils a strong saliency network's maps into the small packaged one."""

import math
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from roi_ray import images, storage
from roi_ray.errors import ManifestError
from roi_ray.models.lite0 import Lite0Saliency, folded_state_dict
from roi_ray.models.saliency import LITE0_SIDE, Saliency, lite0
from roi_ray.training.agreement import Agreement, Mask, agreement

# Published name of a block's part -> index of the same unit, counted from the block's end.
_PARTS = {
    "_expand_conv": -3,
    "_bn0": -3,
    "_depthwise_conv": -2,
    "_bn1": -2,
    "_project_conv": -1,
    "_bn2": -1,
}
_ENCODER_RATE = 3e-4
_DECODER_RATE = 2e-3


@dataclass(frozen=True)
class Pair:
    """An image and its teacher's map: uint8 (3, H, W) and (1, H, W)."""

    name: str
    image: Tensor
    map: Tensor


def read_pairs(images_folder: str, maps_folder: str) -> list[Pair]:
    """Images and the 8-bit maps of the same name (whatever the suffix), sorted by name.

    Raises:
        ManifestError: an image has no map, a map is of another size, or there are no images.
        ImageError, StorageError: a file cannot be read.
    """
    maps = {_stem(file): file for file in storage.list_files(maps_folder)}
    pairs = []
    for file in storage.list_files(images_folder):
        name = _stem(file)
        if name not in maps:
            raise ManifestError(f"{maps_folder} has no map for the image {file}")
        image = images.decode(storage.read_bytes(storage.join(images_folder, file)))
        mask = images.decode_mask(storage.read_bytes(storage.join(maps_folder, maps[name])))
        if image.shape[:2] != mask.shape:
            raise ManifestError(f"the map {maps[name]} is not of the size of its image")
        planes = torch.from_numpy(image.copy()).permute(2, 0, 1).contiguous()
        pairs.append(Pair(name, planes, torch.from_numpy(mask.copy())[None]))
    if not pairs:
        raise ManifestError(f"there are no images in {images_folder}")
    return pairs


def train(
    pairs: Sequence[Pair],
    *,
    start: Mapping[str, Tensor] | None,
    epochs: int,
    batch: int = 8,
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Lite0Saliency:
    """Train on the pairs: cross-entropy and soft intersection over union with the teacher's map.

    AdamW with a warm-up and a cosine decay; the encoder, which has seen ImageNet, at a lower rate.
    Flips, crops and colour jitter. The result is the moving average of the weights.

    Args:
        pairs: all of them are trained on: hold out beforehand.
        start: tensors of EfficientNet-lite0 as published for ImageNet; None starts at random.
        epochs: passes over the pairs.
        batch: images a step.
        seed: of the start, the order and the augmentation.
        report: receives one line an epoch.

    Returns:
        the network in evaluation mode, batch norms not yet folded.
    """
    torch.manual_seed(seed)
    draw = random.Random(seed)
    network = Lite0Saliency()
    if start is not None:
        network.load_state_dict(imagenet_encoder(start), strict=False)
    network.to(memory_format=torch.channels_last)
    whole = lite0(network)
    encoder = [*network.stem.parameters(), *network.stages.parameters()]
    known = {id(parameter) for parameter in encoder}
    decoder = [parameter for parameter in network.parameters() if id(parameter) not in known]
    rates = (_ENCODER_RATE, _DECODER_RATE)
    optimiser = torch.optim.AdamW(
        [{"params": part, "lr": r} for part, r in zip((encoder, decoder), rates, strict=True)],
        weight_decay=1e-4,
    )
    steps = max(epochs * math.ceil(len(pairs) / batch), 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    # A memory of a hundred steps; of a tenth of the run, where that is less.
    decay = min(0.99, 1 - 10 / (steps + 10))
    average = AveragedModel(
        network,
        multi_avg_fn=get_ema_multi_avg_fn(decay),  # type: ignore[no-untyped-call]
        use_buffers=True,
    )
    for epoch in range(epochs):
        network.train()
        losses = []
        for inputs, targets in _batches(pairs, batch, draw):
            # Depthwise convolutions are twice as fast this way round on a CPU.
            logits = network(whole.prepare(inputs).contiguous(memory_format=torch.channels_last))
            loss = _loss(logits, F.interpolate(targets, size=logits.shape[-2:], mode="area"))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(loss.item())
        report(f"epoch {epoch + 1}/{epochs}  loss {np.mean(losses):.4f}")
    network.load_state_dict(average.module.state_dict())
    return network.eval()


def evaluate(network: Saliency, pairs: Sequence[Pair]) -> Agreement:
    """Agreement with the teacher at the images' own size."""
    with torch.inference_mode():
        predicted: list[Mask] = [
            torch.sigmoid(network(pair.image[None] / 255))[0, 0].numpy() for pair in pairs
        ]
    return agreement(predicted, [(pair.map[0] / 255).numpy() for pair in pairs])


def packed(network: Lite0Saliency) -> dict[str, Tensor]:
    """What is written to the packaged file: batch norms folded, fp16."""
    return {name: tensor.half().contiguous() for name, tensor in folded_state_dict(network).items()}


def imagenet_encoder(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """EfficientNet-lite0's published tensors under our names; its classifier is left out."""
    # Published blocks are numbered through; ours by stage, and their units by position.
    blocks = [
        (f"stages.{stage}.{block}.units", len(list(module.get_submodule("units").children())))
        for stage, modules in enumerate(Lite0Saliency().stages)
        for block, module in enumerate(modules.children())
    ]
    ours = {}
    for key, tensor in published.items():
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key):
            prefix, units = blocks[int(match[1])]
            part, leaf = match[2], match[3]
            ours[f"{prefix}.{units + _PARTS[part]}.{_kind(part)}.{leaf}"] = tensor
        elif match := re.fullmatch(r"(_conv_stem|_bn0)\.(\w+)", key):
            ours[f"stem.{_kind(match[1])}.{match[2]}"] = tensor
    return ours


def _kind(part: str) -> str:
    return "norm" if part.startswith("_bn") else "conv"


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    entropy = F.binary_cross_entropy_with_logits(logits, targets)
    mask = torch.sigmoid(logits)
    # The teacher's map is soft: minimum over maximum is 1 only where the two are equal.
    shared = torch.minimum(mask, targets).sum((1, 2, 3)) + 1
    union = torch.maximum(mask, targets).sum((1, 2, 3)) + 1
    return entropy + (1 - shared / union).mean()


def _rate(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / (0.05 * steps + 1))
    return warm * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))


def _batches(
    pairs: Sequence[Pair], batch: int, draw: random.Random
) -> Iterator[tuple[Tensor, Tensor]]:
    order = draw.sample(range(len(pairs)), len(pairs))
    for first in range(0, len(order), batch):
        views = [_augment(pairs[index], draw) for index in order[first : first + batch]]
        yield torch.stack([view[0] for view in views]), torch.stack([view[1] for view in views])


def _augment(pair: Pair, draw: random.Random) -> tuple[Tensor, Tensor]:
    height, width = pair.image.shape[1:]
    # A crop keeps at least 60 % of each side: less, and the teacher would choose another object.
    rows, columns = (max(1, round(side * draw.uniform(0.6, 1))) for side in (height, width))
    top, left = draw.randint(0, height - rows), draw.randint(0, width - columns)
    window = (slice(None), slice(top, top + rows), slice(left, left + columns))
    image, mask = pair.image[window] / 255, pair.map[window] / 255
    if draw.random() < 0.5:
        image, mask = image.flip(-1), mask.flip(-1)
    square = (LITE0_SIDE, LITE0_SIDE)
    image = F.interpolate(image[None], size=square, mode="bilinear", antialias=True)[0]
    mask = F.interpolate(mask[None], size=square, mode="area")[0]
    return _jitter(image, draw), mask


def _jitter(image: Tensor, draw: random.Random) -> Tensor:
    image = image * draw.uniform(0.7, 1.3)
    image = image.mean() + (image - image.mean()) * draw.uniform(0.7, 1.3)
    grey = image.mean(0, keepdim=True)
    return (grey + (image - grey) * draw.uniform(0.5, 1.5)).clamp(0, 1)


def _stem(file: str) -> str:
    return file.rsplit(".", 1)[0]
