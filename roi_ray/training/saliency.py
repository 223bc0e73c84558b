"""Distil a large saliency network, the teacher, into the small packaged one, N."""

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
from roi_ray.models.saliency import build_lite0
from roi_ray.runtime.train_worker import ModuleTraining, State
from roi_ray.training.imagenet import rename_encoder_tensors
from roi_ray.training.pairs import Pair
from roi_ray.training.recipes import SaliencyRecipe
from roi_ray.training.saliency_augmentation import draw_crop, draw_jitter, jitter_colours

TRAINING_VERSION = 2
"""Increase it when the same images, maps and recipe would give other weights than before."""

# Images and maps at the network's size, and each image's jitter factors.
_Batch = tuple[Tensor, Tensor, Tensor]

_ENCODER_LR = 3e-4
_DECODER_LR = 2e-3
_WEIGHT_DECAY = 1e-4
_WARM_UP = 0.05  # of all steps
# The stem and the first stages detect edges and textures, which ImageNet has taught well. Freezing
# them also saves a third of the time.
_FROZEN_STAGES = 2
_PREFETCHED_BATCHES = 32


class SaliencyTraining(ModuleTraining):
    """Training of N from an ImageNet encoder.

    The loss is binary cross-entropy with the teacher's maps plus soft intersection over union.
    AdamW with warm-up and cosine schedule, and a lower learning rate for the encoder, which is
    trained already. Augmentation: crops, reflections and colour jitter. Convolutions run in
    bfloat16, except depthwise ones on a CPU. The result is an exponential moving average of the
    weights. The training runs on one worker only, so that batch norm sees the whole batch.

    Args:
        pairs: images and maps to train on; about 1 MB of memory per pair of 512 x 512.
        start: published ImageNet tensors of EfficientNet-lite0; None starts from random weights.
        recipe: hyperparameters.
        device: `cpu` or `cuda`.

    Raises:
        ManifestError: there are fewer pairs than a batch has.
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
        # Images differ in size, so a GPU would crop and resize them one by one, in many small
        # kernels. CPU threads prepare the next batches while it trains.
        self._prefetched: dict[int, Future[_Batch]] = {}
        self._pool = (
            ThreadPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,))
            if self._device.type == "cuda"
            else None
        )
        self._steps_per_epoch = len(self._pairs) // recipe.batch_size
        if self._steps_per_epoch == 0:
            raise ManifestError(
                f"{len(self._pairs)} images to train on do not fill a batch of {recipe.batch_size}"
            )
        self.steps = recipe.epochs * self._steps_per_epoch
        torch.manual_seed(recipe.seed)
        self._network = Lite0Saliency()
        if start is not None:
            self._network.load_state_dict(rename_encoder_tensors(start), strict=False)
        # On a CPU, depthwise convolutions are twice as fast in this memory format.
        self._network.to(memory_format=torch.channels_last).train()
        self._saliency = build_lite0(self._network).to(self._device)
        stages = [self._network.stem, *self._network.stages]
        if start is not None:
            for stage in stages[: 1 + _FROZEN_STAGES]:
                stage.eval().requires_grad_(False)
        encoder = [parameter for stage in stages for parameter in stage.parameters()]
        encoder_ids = {id(parameter) for parameter in encoder}
        decoder = [p for p in self._network.parameters() if id(p) not in encoder_ids]
        self._optimiser = torch.optim.AdamW(
            [{"params": encoder}, {"params": decoder}], weight_decay=_WEIGHT_DECAY
        )
        # Averages over about 200 steps, or over a tenth of a run of fewer than 2,000 steps.
        ema_decay = min(0.995, 1 - 10 / (self.steps + 10))
        self._average = AveragedModel(
            self._network,
            multi_avg_fn=get_ema_multi_avg_fn(ema_decay),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )
        if self._device.type == "cpu":
            for module in self._network.modules():
                if isinstance(module, nn.Conv2d) and module.groups > 1:
                    _keep_in_fp32(module)

    def step(self, number: int) -> dict[str, float]:
        """Train on one batch."""
        factor = _lr_factor(number, self.steps)
        learning_rates = (_ENCODER_LR, _DECODER_LR)
        for group, lr in zip(self._optimiser.param_groups, learning_rates, strict=True):
            group["lr"] = lr * factor
        images, targets, factors = (part.to(self._device) for part in self._load_batch(number))
        # Jitter runs here, on the whole batch, and not with the crops: a few kernels on a GPU.
        inputs = self._saliency.preprocess(jitter_colours(images, factors))
        x = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16):
            logits = self._network(x).float()
        loss = compute_loss(logits, F.interpolate(targets, size=logits.shape[-2:], mode="area"))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._average.update_parameters(self._network)
        return {"loss": loss.item()}

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return the network, its moving average and the optimiser by name."""
        return {
            "network": self._network,
            "average": self._average,
            "optimiser": self._optimiser,
        }

    def _load_batch(self, number: int) -> _Batch:
        """Return a step's batch, prefetched if there is a thread pool."""
        if self._pool is None:
            return self._draw_batch(number)
        for index in range(number, min(number + _PREFETCHED_BATCHES, self.steps)):
            if index not in self._prefetched:
                self._prefetched[index] = self._pool.submit(self._draw_batch, index)
        return self._prefetched.pop(number).result()

    def _draw_batch(self, number: int) -> _Batch:
        """Draw a step's batch, which depends on the seed and the step's number only."""
        epoch, index = divmod(number, self._steps_per_epoch)
        count, size = len(self._pairs), self._recipe.batch_size
        order = random.Random(f"{self._recipe.seed}/{epoch}").sample(range(count), count)
        draw = random.Random(f"{self._recipe.seed}/{epoch}/{index}")
        chosen = order[index * size : (index + 1) * size]
        images, maps, factors = zip(
            *((*draw_crop(self._pairs[item], draw), draw_jitter(draw)) for item in chosen),
            strict=True,
        )
        return torch.stack(images), torch.stack(maps), torch.tensor(factors)


def compute_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute binary cross-entropy plus one minus the soft intersection over union.

    Args:
        logits: logits of the masks, (N, 1, H, W).
        targets: maps of the teacher, (N, 1, H, W), in [0, 1].
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets)
    mask = torch.sigmoid(logits)
    # The targets are soft. Minimum over maximum is 1 only where mask and target are equal.
    intersection = torch.minimum(mask, targets).sum((1, 2, 3)) + 1
    union = torch.maximum(mask, targets).sum((1, 2, 3)) + 1
    return cross_entropy + (1 - intersection / union).mean()


def to_safetensors_state(state: State) -> dict[str, Tensor]:
    """Convert a training's state to the tensors of N's file: averaged weights, fp16.

    Batch norms are folded into the convolutions before them.
    """
    network = Lite0Saliency()
    prefix = "module."
    average: Mapping[str, Tensor] = state["average"]
    network.load_state_dict(
        {k.removeprefix(prefix): v.cpu() for k, v in average.items() if k.startswith(prefix)}
    )
    folded = fold_batch_norms(network.eval())
    return {name: tensor.half().contiguous() for name, tensor in folded.items()}


def _keep_in_fp32(conv: nn.Conv2d) -> None:
    """Exclude a depthwise convolution from autocast: its gradient is slow in bfloat16 on a CPU."""
    forward = conv.forward
    conv.forward = torch.autocast("cpu", enabled=False)(  # type: ignore[method-assign]
        lambda x: forward(x.float())
    )


def _lr_factor(step: int, steps: int) -> float:
    """Compute the factor of the learning rates, 0..1: linear warm-up times cosine schedule."""
    warm_up = min(1.0, (step + 1) / (_WARM_UP * steps + 1))
    return warm_up * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))
