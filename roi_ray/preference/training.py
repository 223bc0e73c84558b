"""Train a preference model on labelled comparisons, in this process or on many workers."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roi_ray.preference.examples import Examples
from roi_ray.preference.model import PreferenceModel
from roi_ray.preference.networks import build
from roi_ray.preference.recipes import Recipe
from roi_ray.preference.scale import Scale
from roi_ray.runtime.train_worker import (
    ModuleTraining,
    State,
    average_gradients,
    rank_and_world_size,
)

TRAINING_VERSION = 1
"""Increase it when the same comparisons, recipe and seed would give other weights than before."""


class PreferenceTraining(ModuleTraining):
    """The training of one network; workers share the comparisons of each step.

    The loss is the cross-entropy with the share of people who prefer `a`, weighted by votes.
    Every comparison is seen in both orders.

    Args:
        examples: all comparisons, on every worker.
        recipe: the network and how to train it.
        scale: standardisation, fitted to the same comparisons.
        batches: steps per epoch; the same for all workers.
        seed: seed of the initial weights and of the order of the comparisons.
        device: device of the network and the comparisons.
    """

    def __init__(
        self,
        examples: Examples,
        recipe: Recipe,
        scale: Scale,
        batches: int,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.steps = recipe.epochs * batches
        self._recipe, self._batches, self._seed = recipe, batches, seed
        self._device = device
        self._a, self._b = (
            scale(side, examples.features).to(device) for side in (examples.a, examples.b)
        )
        self._p_a = torch.from_numpy(examples.p_a).float().to(device)
        self._weight = torch.from_numpy(examples.weight).float().to(device)
        torch.manual_seed(seed)
        self._network = build(recipe, len(examples.features)).to(device)
        self._optimiser = torch.optim.Adam(self._network.parameters(), lr=recipe.lr)
        self._shuffled = (-1, torch.empty(0))

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return the network and its optimiser."""
        return {"network": self._network, "optimiser": self._optimiser}

    def step(self, number: int) -> dict[str, float]:
        """Train on one batch and return its loss in nats, with the term of the weight decay."""
        epoch, index = divmod(number, self._batches)
        count = len(self._p_a)
        start, stop = (i * count // self._batches for i in (index, index + 1))
        batch = self._shuffle(epoch)[start:stop]
        # The mean is over votes, so that their number does not change the weight decay's share.
        votes = self._weight[batch].sum().clamp_min(1e-9)
        rank, world_size = rank_and_world_size()
        loss = self._losses(batch[rank::world_size]).sum() * world_size / votes
        if self._recipe.weight_decay:
            # A term of the loss has a defined minimum; Adam's weight decay scales with its steps.
            squares = [weights.square().sum() for weights in self._network.parameters()]
            loss = loss + self._recipe.weight_decay / 2 * torch.stack(squares).sum()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self._network.parameters())
        self._optimiser.step()
        return {"loss": loss.item()}

    def _shuffle(self, epoch: int) -> Tensor:
        """Return the order of an epoch's comparisons, (N,); that of the last call is cached."""
        if self._shuffled[0] != epoch:
            generator = torch.Generator().manual_seed((1_000_003 * self._seed + epoch) % 2**63)
            order = torch.randperm(len(self._p_a), generator=generator)
            self._shuffled = (epoch, order.to(self._device))
        return self._shuffled[1]

    def _losses(self, rows: Tensor) -> Tensor:
        """Return the votes times the cross-entropy, mean of both orders, (rows,)."""
        a, b, p_a = self._a[rows], self._b[rows], self._p_a[rows]
        losses = [
            F.binary_cross_entropy_with_logits(
                self._network(first, second), target, reduction="none"
            )
            for first, second, target in ((a, b, p_a), (b, a, 1 - p_a))
        ]
        return torch.stack(losses).mean(0) * self._weight[rows]


def build_trained_model(
    state: State,
    features: tuple[str, ...],
    recipe: Recipe,
    scale: Scale,
    provenance: dict[str, Any] | None = None,
) -> PreferenceModel:
    """Build the model of a training's last state.

    Args:
        state: state of a `PreferenceTraining`.
        features: names of the features that it was trained on.
        recipe: recipe that it was trained by.
        scale: standardisation that it was trained with.
        provenance: provenance to record with the model.
    """
    network = build(recipe, len(features))
    network.load_state_dict(state["network"])
    return PreferenceModel(features, recipe, scale, network.eval(), provenance or {})


def train_in_process(examples: Examples, recipe: Recipe, seed: int = 0) -> PreferenceModel:
    """Train in this process: for cross-validation, which trains many models on little data."""
    scale = Scale.fit(examples, recipe)
    batches = batches_per_epoch(len(examples), recipe)
    training = PreferenceTraining(examples, recipe, scale, batches, seed)
    for number in range(training.steps):
        training.step(number)
    return build_trained_model(training.state(), examples.features, recipe, scale)


def batches_per_epoch(comparisons: int, recipe: Recipe) -> int:
    """Compute the number of steps per epoch for a number of comparisons; at least one."""
    return max(1, round(comparisons / recipe.batch_size))
