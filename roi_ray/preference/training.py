"""Trains a preference model on labelled comparisons, in one process or in many."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.preference.examples import Examples
from roi_ray.preference.model import PreferenceModel, Scale
from roi_ray.preference.networks import build
from roi_ray.preference.recipes import Recipe
from roi_ray.runtime.train_worker import State, average_gradients, rank_and_world_size

TRAINING_VERSION = 1
"""Raised when the same comparisons, recipe and seed would give other weights than before."""

_FOREVER = float("inf")


class PreferenceTraining:
    """A recipe's members, trained side by side; workers share the comparisons of each step.

    Every comparison is also seen swapped. The loss is cross-entropy with the share of people, who
    count by their votes. Member m of several leaves out the references whose number is m modulo
    the members, and ends with the weights of the epoch that predicted them best; with the last
    epoch's where there are no such references.

    Args:
        examples: all of them, on every worker.
        recipe: how.
        scale: of the examples.
        batches: steps an epoch; the same for all workers.
        seed: of the start and the order.
        device: of the network and the comparisons.
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
        # 1 where a member is trained on a comparison, 0 where it leaves it out.
        member = np.arange(recipe.members)[:, None]
        kept = (examples.group % recipe.members != member) | (recipe.members == 1)
        self._kept = torch.from_numpy(kept).float().to(device)
        torch.manual_seed(seed)
        self._network = build(recipe, len(examples.features)).to(device)
        self._optimiser = torch.optim.Adam(self._network.parameters(), lr=recipe.rate)
        self._best = {k: v.clone() for k, v in self._network.state_dict().items()}
        self._best_loss = torch.full((recipe.members,), _FOREVER, device=device)
        self._order = (-1, torch.empty(0))

    def step(self, number: int) -> dict[str, float]:
        """One batch; at the end of an epoch, each member's left-out comparisons are looked at."""
        epoch, index = divmod(number, self._batches)
        count = len(self._p_a)
        batch = self._order_of(epoch)[
            index * count // self._batches : (index + 1) * count // self._batches
        ]
        # A mean over votes: how many there are altogether does not count against the decay.
        votes = (self._kept[:, batch] * self._weight[batch]).sum(1).clamp_min(1e-9)
        rank, workers = rank_and_world_size()
        rows = batch[rank::workers]
        losses = (self._losses(rows) * self._kept[:, rows]).sum(1)
        total = (losses * workers / votes).sum()
        if self._recipe.decay:
            # In the loss, not by the optimiser, so that what is minimised is what is written down.
            squares = [weights.square().sum() for weights in self._network.parameters()]
            total = total + self._recipe.decay / 2 * torch.stack(squares).sum()
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        average_gradients(self._network.parameters())
        self._optimiser.step()
        if index == self._batches - 1 and self._recipe.members > 1:
            self._keep_the_best()
        return {"loss": total.item() / self._recipe.members}

    def state(self) -> State:
        """The network, its best so far, and the optimiser."""
        return {
            "network": self._network.state_dict(),
            "best": self._best,
            "best_loss": self._best_loss,
            "optimiser": self._optimiser.state_dict(),
        }

    def load(self, state: State) -> None:
        """Take on a state."""
        self._network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._best = {k: v.to(self._device) for k, v in state["best"].items()}
        self._best_loss = state["best_loss"].to(self._device)

    def _order_of(self, epoch: int) -> Tensor:
        """The comparisons as an epoch sees them; of the last epoch it is still known."""
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed((1_000_003 * self._seed + epoch) % 2**63)
            order = torch.randperm(len(self._p_a), generator=generator)
            self._order = (epoch, order.to(self._device))
        return self._order[1]

    def _losses(self, rows: Tensor) -> Tensor:
        """Cross-entropy of both orders, (members, rows)."""
        a, b, p_a = self._a[rows], self._b[rows], self._p_a[rows]
        losses = []
        for first, second, target in ((a, b, p_a), (b, a, 1 - p_a)):
            logits = self._network(first, second)
            losses.append(
                F.binary_cross_entropy_with_logits(
                    logits, target.expand_as(logits), reduction="none"
                )
            )
        return torch.stack(losses).mean(0) * self._weight[rows]

    def _keep_the_best(self) -> None:
        with torch.no_grad():
            left_out = 1 - self._kept
            every = torch.arange(len(self._p_a), device=self._device)
            votes = (left_out * self._weight).sum(1)
            losses = (self._losses(every) * left_out).sum(1) / votes.clamp_min(1e-9)
        # Where a member leaves nothing out, nothing says which epoch is best: the last one.
        better = (losses < self._best_loss) | (votes == 0)
        self._best_loss = torch.where(better, losses, self._best_loss)
        for name, tensor in self._network.state_dict().items():
            # The first dimension of every tensor is the member's.
            self._best[name][better] = tensor[better]


def finished(
    state: State,
    features: tuple[str, ...],
    recipe: Recipe,
    scale: Scale,
    provenance: dict[str, Any] | None = None,
) -> PreferenceModel:
    """The model of a training's last state."""
    network = build(recipe, len(features))
    network.load_state_dict(state["best" if recipe.members > 1 else "network"])
    return PreferenceModel(features, recipe, scale, network.eval(), provenance or {})


def train_in_process(examples: Examples, recipe: Recipe, seed: int = 0) -> PreferenceModel:
    """Train in this process: for cross-validation, which trains many models on little data."""
    scale = Scale.of(examples, recipe)
    batches = batches_per_epoch(len(examples), recipe)
    training = PreferenceTraining(examples, recipe, scale, batches, seed)
    for number in range(training.steps):
        training.step(number)
    return finished(training.state(), examples.features, recipe, scale)


def batches_per_epoch(comparisons: int, recipe: Recipe) -> int:
    """Steps an epoch."""
    return max(1, round(comparisons / recipe.batch))
