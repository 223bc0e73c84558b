"""Train the paper's network by Adam; workers share the comparisons of each step."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roi_ray.preference.comparisons.examples import Examples
from roi_ray.preference.model.networks import build
from roi_ray.preference.model.recipes import MlpRecipe
from roi_ray.preference.model.scale import Scale
from roi_ray.runtime.train_worker import ModuleTraining, average_gradients, rank_and_world_size


class AdamTraining(ModuleTraining):
    """The training of a `PairMlp`, for the recipe's number of epochs.

    The loss is the cross-entropy with the share of people who prefer `a`, weighted by votes.
    Every comparison is seen in both orders.

    Args:
        examples: all comparisons, on every worker.
        recipe: how to train the network.
        scale: standardisation, fitted to the same comparisons.
        seed: seed of the initial weights and of the order of the comparisons.
        device: device of the network and the comparisons.
    """

    def __init__(
        self,
        examples: Examples,
        recipe: MlpRecipe,
        scale: Scale,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.steps_per_epoch = count_steps_per_epoch(recipe, len(examples))
        self.steps = recipe.epochs * self.steps_per_epoch
        self._seed, self._device = seed, device
        self._a, self._b = (
            scale(side, examples.features).float().to(device) for side in (examples.a, examples.b)
        )
        self._p_a = torch.from_numpy(examples.p_a).float().to(device)
        self._weight = torch.from_numpy(examples.weight).float().to(device)
        torch.manual_seed(seed)
        self.network = build(recipe, len(examples.features)).to(device)
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=recipe.lr, fused=True)
        self._shuffled = (-1, torch.empty(0))

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return the network and its optimiser."""
        return {"network": self.network, "optimiser": self._optimiser}

    def step(self, number: int) -> dict[str, float]:
        """Train on one batch and return its loss in nats."""
        epoch, index = divmod(number, self.steps_per_epoch)
        count = len(self._p_a)
        start, stop = (i * count // self.steps_per_epoch for i in (index, index + 1))
        batch = self._shuffle(epoch)[start:stop]
        votes = self._weight[batch].sum().clamp_min(1e-9)
        rank, world_size = rank_and_world_size()
        loss = self._sum_losses(batch[rank::world_size]) * world_size / votes
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self.network.parameters())
        self._optimiser.step()
        return {"loss": loss.item()}

    def _shuffle(self, epoch: int) -> Tensor:
        """Return the order of an epoch's comparisons, (N,); that of the last call is cached."""
        if self._shuffled[0] != epoch:
            generator = torch.Generator().manual_seed((1_000_003 * self._seed + epoch) % 2**63)
            order = torch.randperm(len(self._p_a), generator=generator)
            self._shuffled = (epoch, order.to(self._device))
        return self._shuffled[1]

    def _sum_losses(self, rows: Tensor) -> Tensor:
        """Return the sum of votes times the cross-entropy, mean of both orders."""
        a, b, p_a, weight = self._a[rows], self._b[rows], self._p_a[rows], self._weight[rows]
        logits = self.network(torch.cat([a, b]), torch.cat([b, a]))
        target, weight = torch.cat([p_a, 1 - p_a]), torch.cat([weight, weight])
        return F.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum") / 2


def count_steps_per_epoch(recipe: MlpRecipe, comparisons: int) -> int:
    """Compute the number of steps per epoch for a number of comparisons; at least one."""
    return max(1, round(comparisons / recipe.batch_size))
