"""Train a patch discriminator D as in a GAN codec: originals against decoded images."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from roi_ray.models.discriminator import PatchDiscriminator, build_patch_layers
from roi_ray.models.discriminator_file import fold_spectral_norm
from roi_ray.runtime.train_worker import (
    ModuleTraining,
    State,
    average_gradients,
    select_local_batch,
)
from roi_ray.training.recipes import DiscriminatorRecipe
from roi_ray.training.restorer import Restorer
from roi_ray.training.windows import Original, draw_windows

TRAINING_VERSION = 3
"""Increase it when the same images and recipe would give other weights than before."""

_DISCRIMINATOR_LR = 2e-3
_GENERATOR_LR = 5e-4
_BETAS = (0.9, 0.99)
_LABEL_SMOOTHING = 0.05


class DiscriminatorTraining(ModuleTraining):
    """Alternating training of D and a generator G (see `Restorer`), from random weights.

    D's loss has two terms. The first is the cross-entropy of each patch, with labels smoothed to
    0.05 and 0.95, which keeps logits within about -3..3. The second compares two images that one
    codec decoded from one original: a ranking loss (RankNet: Burges et al., ICML 2005) gives the
    one with the smaller squared error the higher mean logit. Without it D sees no difference
    between bad images and worse ones, because telling originals from decoded images does not
    require it.

    Full and 1 x 1 convolutions have spectral norm (Miyato et al., ICLR 2018), except for the last
    one, which sets the scale. The depthwise one has none: divided by the norm of all its filters
    together, it would pass on a fifth of its input, and training would start slowly. Adam with a
    cosine schedule. The filters of the first layer start with zero mean, because artefacts are
    small compared to brightness, and D would need hundreds of steps to notice them.

    G's loss is the L1 distance to the original plus the non-saturating softplus(-D(G(y))).

    Args:
        originals: originals to train on, with their decoded images.
        recipe: hyperparameters.
        device: device of both networks.
    """

    def __init__(
        self, originals: Sequence[Original], recipe: DiscriminatorRecipe, device: str = "cpu"
    ) -> None:
        self.steps = recipe.steps
        self._originals, self._recipe, self._device = originals, recipe, device
        torch.manual_seed(recipe.seed)
        self._d = _init_discriminator().to(device)
        self._d_optimiser = torch.optim.Adam(self._d.parameters(), _DISCRIMINATOR_LR, betas=_BETAS)
        self._g = Restorer().to(device)
        self._g_optimiser = torch.optim.Adam(self._g.parameters(), _GENERATOR_LR, betas=_BETAS)

    def step(self, number: int) -> dict[str, float]:
        """Take a step of D, then one of G once it has joined."""
        factor = 0.5 * (1 + math.cos(math.pi * number / self.steps))
        _set_lr(self._d_optimiser, _DISCRIMINATOR_LR * factor)
        _set_lr(self._g_optimiser, _GENERATOR_LR * factor)
        recipe = self._recipe
        seeds = [f"{recipe.seed}/{number}/{item}" for item in range(recipe.batch_size)]
        windows = draw_windows(self._originals, recipe.crops_per_image, select_local_batch(seeds))
        real, better, worse = (
            # Convolutions are faster in this format.
            images.to(self._device, memory_format=torch.channels_last)
            for images in (windows.real, windows.better, windows.worse)
        )
        # Take half from each, so that G sees all qualities.
        decoded = torch.cat([better[::2], worse[1::2]])
        original = torch.cat([real[::2], real[1::2]])
        has_generator = recipe.generator and number >= recipe.generator_start * self.steps
        restored = self._g(decoded) if has_generator else None
        losses = self._step_discriminator(real, better, worse, restored)
        if restored is None:
            return losses
        return losses | self._step_generator(original, restored)

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return both networks and both optimisers by name."""
        return {
            "discriminator": self._d,
            "optimiser": self._d_optimiser,
            "restorer": self._g,
            "restorer_optimiser": self._g_optimiser,
        }

    def _step_discriminator(
        self, real: Tensor, better: Tensor, worse: Tensor, restored: Tensor | None
    ) -> dict[str, float]:
        fakes = [better, worse] if restored is None else [better, worse, restored.detach()]
        # One forward pass for all, because each pass advances spectral norm's power iteration.
        logits = self._d(torch.cat([real, *fakes]))
        real_logits, fake_logits = logits[: len(real)], logits[len(real) :]
        loss = (
            _cross_entropy(real_logits, real=True) + _cross_entropy(fake_logits, real=False)
        ) / 2
        better_logit, worse_logit = (
            part.mean((1, 2, 3)) for part in fake_logits.split(len(real))[:2]
        )
        differs = (better != worse).flatten(1).any(1).float()
        ranking = (F.softplus(worse_logit - better_logit) * differs).mean()
        self._d_optimiser.zero_grad(set_to_none=True)
        (loss + self._recipe.ranking_weight * ranking).backward()  # type: ignore[no-untyped-call]
        average_gradients(self._d.parameters())
        self._d_optimiser.step()
        return {"d": loss.item(), "ranking": ranking.item()}

    def _step_generator(self, original: Tensor, restored: Tensor) -> dict[str, float]:
        # In evaluation mode, a pass does not advance spectral norm's power iteration.
        self._d.requires_grad_(False).eval()
        adversarial = F.softplus(-self._d(restored)).mean()
        l1 = F.l1_loss(restored, original)
        self._g_optimiser.zero_grad(set_to_none=True)
        loss = l1 + self._recipe.adversarial_weight * adversarial
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self._g.parameters())
        self._g_optimiser.step()
        self._d.requires_grad_(True).train()
        return {"l1": l1.item(), "adversarial": adversarial.item()}


def to_safetensors_state(state: State) -> dict[str, Tensor]:
    """Convert a training's state to the tensors of D's file: `model.0.weight`, ..., fp16.

    Spectral norm is folded into the weights.
    """
    layers: dict[str, dict[str, Tensor]] = {}
    tensors: Mapping[str, Tensor] = state["discriminator"]
    for key, tensor in tensors.items():
        _, index, leaf = key.split(".", 2)
        layers.setdefault(index, {})[leaf] = tensor
    return {
        f"model.{index}.{leaf}": tensor.detach().half().contiguous()
        for index, layer in layers.items()
        for leaf, tensor in fold_spectral_norm(layer).items()
    }


def _init_discriminator() -> PatchDiscriminator:
    layers = build_patch_layers()
    *normed, last = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    for layer in (*normed, last):
        nn.init.kaiming_normal_(layer.weight, a=0.2)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        normed[0].weight -= normed[0].weight.mean((2, 3), keepdim=True)
        last.weight *= 0.3
    for layer in normed:
        if layer.groups == 1:
            spectral_norm(layer)
    return PatchDiscriminator(layers).train()


def _cross_entropy(logits: Tensor, *, real: bool) -> Tensor:
    label = 1 - _LABEL_SMOOTHING if real else _LABEL_SMOOTHING
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def _set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = lr
