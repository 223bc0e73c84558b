"""Trains a patch discriminator as in a GAN codec: originals against decoded and restored images."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from roi_ray.models.discriminator import PatchDiscriminator, build_patch_layers, fold_spectral_norm
from roi_ray.runtime.train_loop import ModuleTraining, State, average_gradients, select_local_batch
from roi_ray.training.recipes import DiscriminatorRecipe
from roi_ray.training.restorer import Restorer
from roi_ray.training.windows import Original, draw_windows

WIDTH = 32
_RATE = 2e-3
_RESTORER_RATE = 5e-4
_BETAS = (0.9, 0.99)
_SMOOTHING = 0.05


class DiscriminatorTraining(ModuleTraining):
    """D and the restorer G, alternating, from random weights.

    D's loss: cross-entropy of every patch, labels smoothed to 0.05 and 0.95, so that the logits
    stay within about +-3; plus, between two images that one codec decoded from one original, a
    ranking loss (RankNet: Burges et al., ICML 2005) that gives the one nearer to the original the
    higher mean logit. The task of a discriminator asks nothing of the order of bad and worse, and
    without this loss D's finds no difference between bad images and worse ones. Spectral norm
    (Miyato et al., ICLR 2018) on all layers but the last, which sets the scale. Adam with cosine
    decay. The first layer's filters start without a mean: artefacts are small beside the
    brightness of things, and from an ordinary start hundreds of steps go by before D notices them.

    G's loss: L1 distance to the original, plus the non-saturating softplus(-D(G(y))).

    Args:
        originals: all of them are trained on: hold out beforehand.
        recipe: how.
        device: of the networks.
    """

    def __init__(
        self, originals: Sequence[Original], recipe: DiscriminatorRecipe, device: str = "cpu"
    ) -> None:
        self.steps = recipe.steps
        self._originals, self._recipe, self._device = originals, recipe, device
        torch.manual_seed(recipe.seed)
        self._d = _fresh_discriminator().to(device)
        self._optimiser = torch.optim.Adam(self._d.parameters(), _RATE, betas=_BETAS)
        self._g = Restorer().to(device)
        self._g_optimiser = torch.optim.Adam(self._g.parameters(), _RESTORER_RATE, betas=_BETAS)

    def step(self, number: int) -> dict[str, float]:
        """One step of D, then one of G."""
        decay = 0.5 * (1 + math.cos(math.pi * number / self.steps))
        _set_rate(self._optimiser, _RATE * decay)
        _set_rate(self._g_optimiser, _RESTORER_RATE * decay)
        recipe = self._recipe
        seeds = select_local_batch(
            [f"{recipe.seed}/{number}/{item}" for item in range(recipe.batch_size)]
        )
        windows = draw_windows(self._originals, recipe.crops_per_image, seeds)
        real, better, worse = (
            side.to(self._device) for side in (windows.real, windows.better, windows.worse)
        )
        # Half the batch each, so that G sees every quality.
        decoded = torch.cat([better[::2], worse[1::2]])
        original = torch.cat([real[::2], real[1::2]])
        joined = recipe.generator and number >= recipe.generator_start * self.steps
        restored = self._g(decoded) if joined else None
        losses = self._step_d(real, better, worse, restored)
        if restored is None:
            return losses
        return losses | self._step_g(original, restored)

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Both networks and both optimisers."""
        return {
            "discriminator": self._d,
            "optimiser": self._optimiser,
            "restorer": self._g,
            "restorer_optimiser": self._g_optimiser,
        }

    def _step_d(
        self, real: Tensor, better: Tensor, worse: Tensor, restored: Tensor | None
    ) -> dict[str, float]:
        fakes = [better, worse] if restored is None else [better, worse, restored.detach()]
        # One pass: each pass would move spectral norm's power iteration once more.
        logits = self._d(torch.cat([real, *fakes]))
        logits_real, logits_fake = logits[: len(real)], logits[len(real) :]
        loss = (_entropy(logits_real, real=True) + _entropy(logits_fake, real=False)) / 2
        good, bad = (side.mean((1, 2, 3)) for side in logits_fake.split(len(real))[:2])
        different = (better != worse).flatten(1).any(1).float()
        order = (F.softplus(bad - good) * different).mean()
        self._optimiser.zero_grad(set_to_none=True)
        (loss + self._recipe.ranking_weight * order).backward()  # type: ignore[no-untyped-call]
        average_gradients(self._d.parameters())
        self._optimiser.step()
        return {"d": loss.item(), "order": order.item()}

    def _step_g(self, original: Tensor, restored: Tensor) -> dict[str, float]:
        self._d.requires_grad_(False).eval()  # in evaluation mode spectral norm stands still
        fool = F.softplus(-self._d(restored)).mean()
        distance = F.l1_loss(restored, original)
        self._g_optimiser.zero_grad(set_to_none=True)
        (distance + self._recipe.adversarial_weight * fool).backward()  # type: ignore[no-untyped-call]
        average_gradients(self._g.parameters())
        self._g_optimiser.step()
        self._d.requires_grad_(True).train()
        return {"l1": distance.item(), "fool": fool.item()}


def to_safetensors_state(state: State) -> dict[str, Tensor]:
    """What is written to the file: fp16, spectral norm worked in; `model.0.weight`, ..."""
    modules: dict[str, dict[str, Tensor]] = {}
    tensors: Mapping[str, Tensor] = state["discriminator"]
    for key, tensor in tensors.items():
        _, index, leaf = key.split(".", 2)
        modules.setdefault(index, {})[leaf] = tensor
    return {
        f"model.{index}.{leaf}": tensor.detach().half().contiguous()
        for index, module in modules.items()
        for leaf, tensor in fold_spectral_norm(module).items()
    }


def _fresh_discriminator() -> PatchDiscriminator:
    layers = build_patch_layers(WIDTH)
    *normed, last = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    for layer in (*normed, last):
        nn.init.kaiming_normal_(layer.weight, a=0.2)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        normed[0].weight -= normed[0].weight.mean((2, 3), keepdim=True)
        last.weight *= 0.3
    for layer in normed:
        spectral_norm(layer)
    return PatchDiscriminator(layers).train()


def _entropy(logits: Tensor, *, real: bool) -> Tensor:
    label = 1 - _SMOOTHING if real else _SMOOTHING
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
