"""Distils a strong saliency network's maps into the small packaged one."""

import math
import os
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from roi_ray.errors import ManifestError
from roi_ray.models.lite0 import Lite0Saliency, fold_batch_norms
from roi_ray.models.saliency import LITE0_SIDE, build_lite0
from roi_ray.runtime.train_loop import ModuleTraining, State
from roi_ray.training.imagenet import rename_encoder_tensors
from roi_ray.training.pairs import Pair
from roi_ray.training.recipes import SaliencyRecipe

# Images and maps at the network's size, and factors of each image's jitter.
_Batch = tuple[Tensor, Tensor, Tensor]

_ENCODER_RATE = 3e-4
_DECODER_RATE = 2e-3
_DECAY = 1e-4
# Edges and textures, which ImageNet has taught well: the stem and as many stages stay as they are,
# which saves a third of the time as well.
_FROZEN = 2
# Batches that are drawn ahead while a GPU is busy with earlier ones.
_AHEAD = 32


class SaliencyTraining(ModuleTraining):
    """N, from ImageNet's encoder: cross-entropy and soft intersection over union with the maps.

    AdamW with a warm-up and a cosine decay; the encoder, which has seen ImageNet, at a lower rate.
    Flips, crops and colour jitter. Convolutions in bfloat16, but for the depthwise ones. The result
    is the moving average of the weights. One worker: batch norm sees the whole batch.

    Args:
        pairs: to train on; kept in memory, a megabyte for 512 x 512.
        start: tensors of EfficientNet-lite0 as published for ImageNet; None starts at random.
        recipe: how.
        device: `cpu` or `cuda`.

    Raises:
        ManifestError: there are too few pairs.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        start: Mapping[str, Tensor] | None,
        recipe: SaliencyRecipe,
        device: str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self._pairs = pairs
        self._recipe = recipe
        # Images differ in size, so a GPU would cut windows one by one, each in many small kernels.
        # Threads do it on the CPU meanwhile; on a CPU alone there is no meanwhile.
        self._drawn: dict[int, Future[_Batch]] = {}
        self._pool = (
            ThreadPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,))
            if self._device.type == "cuda"
            else None
        )
        self._batches = len(self._pairs) // recipe.batch_size
        if self._batches == 0:
            raise ManifestError(
                f"{len(self._pairs)} images to train on do not fill a batch of {recipe.batch_size}"
            )
        self.steps = recipe.epochs * self._batches
        torch.manual_seed(recipe.seed)
        self._network = Lite0Saliency()
        if start is not None:
            self._network.load_state_dict(rename_encoder_tensors(start), strict=False)
        # Depthwise convolutions are twice as fast this way round on a CPU.
        self._network.to(memory_format=torch.channels_last).train()
        self._whole = build_lite0(self._network).to(self._device)
        parts = [self._network.stem, *self._network.stages]
        if start is not None:
            for part in parts[: 1 + _FROZEN]:
                part.eval().requires_grad_(False)
        encoder = [p for part in parts for p in part.parameters()]
        known = {id(parameter) for parameter in encoder}
        decoder = [p for p in self._network.parameters() if id(p) not in known]
        self._optimiser = torch.optim.AdamW(
            [{"params": encoder}, {"params": decoder}], weight_decay=_DECAY
        )
        # A memory of two hundred steps; of a tenth of the run, where that is less.
        memory = min(0.995, 1 - 10 / (self.steps + 10))
        self._average = AveragedModel(
            self._network,
            multi_avg_fn=get_ema_multi_avg_fn(memory),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )
        if self._device.type == "cpu":
            for module in self._network.modules():
                if isinstance(module, nn.Conv2d) and module.groups > 1:
                    _in_fp32(module)

    def step(self, number: int) -> dict[str, float]:
        """One batch."""
        decay = _rate(number, self.steps)
        rates = (_ENCODER_RATE, _DECODER_RATE)
        for group, rate in zip(self._optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * decay
        images, targets, factors = (part.to(self._device) for part in self._batch(number))
        # All at once: on a GPU a step is many small kernels already.
        inputs = _jitter(images, factors)
        x = self._whole.preprocess(inputs).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16):
            logits = self._network(x).float()
        loss = _loss(logits, F.interpolate(targets, size=logits.shape[-2:], mode="area"))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._average.update_parameters(self._network)
        return {"loss": loss.item()}

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """The network, its moving average and the optimiser."""
        return {
            "network": self._network,
            "average": self._average,
            "optimiser": self._optimiser,
        }

    def _batch(self, number: int) -> _Batch:
        """Of a step. What it sees depends on its number alone, so it can be drawn beforehand."""
        if self._pool is None:
            return self._draw(number)
        for ahead in range(number, min(number + _AHEAD, self.steps)):
            if ahead not in self._drawn:
                self._drawn[ahead] = self._pool.submit(self._draw, ahead)
        return self._drawn.pop(number).result()

    def _draw(self, number: int) -> _Batch:
        epoch, index = divmod(number, self._batches)
        count, size = len(self._pairs), self._recipe.batch_size
        order = random.Random(f"{self._recipe.seed}/{epoch}").sample(range(count), count)
        draw = random.Random(f"{self._recipe.seed}/{epoch}/{index}")
        chosen = order[index * size : (index + 1) * size]
        images, maps, factors = zip(
            *((*_window(self._pairs[item], draw), _factors(draw)) for item in chosen), strict=True
        )
        return torch.stack(images), torch.stack(maps), torch.tensor(factors)


def to_safetensors_state(state: State) -> dict[str, Tensor]:
    """What is written to the packaged file: the average, batch norms folded, fp16."""
    network = Lite0Saliency()
    prefix = "module."
    average: Mapping[str, Tensor] = state["average"]
    network.load_state_dict(
        {k.removeprefix(prefix): v.cpu() for k, v in average.items() if k.startswith(prefix)}
    )
    folded = fold_batch_norms(network.eval())
    return {name: tensor.half().contiguous() for name, tensor in folded.items()}


def _in_fp32(conv: nn.Conv2d) -> None:
    """Keep autocast out: the gradient of depthwise convolutions is slow in bfloat16."""
    forward = conv.forward
    conv.forward = torch.autocast("cpu", enabled=False)(  # type: ignore[method-assign]
        lambda x: forward(x.float())
    )


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


def _window(pair: Pair, draw: random.Random) -> tuple[Tensor, Tensor]:
    """A part of an image and of its map, mirrored or not, at the network's size."""
    height, width = pair.image.shape[1:]
    # Of less than the pair says, the teacher would choose another object.
    rows, columns = (max(1, round(side * draw.uniform(pair.kept, 1))) for side in (height, width))
    top, left = draw.randint(0, height - rows), draw.randint(0, width - columns)
    window = (slice(None), slice(top, top + rows), slice(left, left + columns))
    image, mask = pair.image[window] / 255, pair.map[window] / 255
    if draw.random() < 0.5:
        image, mask = image.flip(-1), mask.flip(-1)
    square = (LITE0_SIDE, LITE0_SIDE)
    image = F.interpolate(image[None], size=square, mode="bilinear", antialias=True)[0]
    mask = F.interpolate(mask[None], size=square, mode="area")[0]
    return image, mask


def _factors(draw: random.Random) -> tuple[float, float, float]:
    """Of brightness, contrast and saturation."""
    return draw.uniform(0.7, 1.3), draw.uniform(0.7, 1.3), draw.uniform(0.5, 1.5)


def _jitter(images: Tensor, factors: Tensor) -> Tensor:
    """Each image, (N, 3, H, W), by its own factors, (N, 3)."""
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    images = images * brightness
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * contrast
    grey = images.mean(1, keepdim=True)
    return (grey + (images - grey) * saturation).clamp(0, 1)
