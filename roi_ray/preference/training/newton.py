"""Fit a logistic regression with a ridge penalty, by Newton's method; on any number of workers.

No weight is negative: a measurement counts in its own direction, or not at all. Where two
measurements are alike, the best fit may give one of them a negative weight; an image would then be
preferred because its blue is wrong.

The loss is convex and has one minimum, which the first ten steps or so find to the last digits. So
there is nothing to choose: no seed, no batch, no learning rate, no number of epochs.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from scipy.optimize import nnls
from torch import Tensor

from roi_ray.errors import RoiRayError
from roi_ray.preference.comparisons.examples import Examples, Floats
from roi_ray.preference.model.recipes import UtilityRecipe
from roi_ray.preference.model.scale import Scale
from roi_ray.runtime.train_worker import State, rank_and_world_size

_MOST_STEPS = 30
_CONVERGED = 1e-9
"""Largest change of a weight in the last step, summed over the workers."""
_HALVINGS = 12
"""Halvings of a whole step down to the shortest that is tried."""
_ROUNDING = 1e-12
"""Losses that differ by less are equal."""


class NewtonTraining:
    """The fit of a `LinearUtility`.

    The loss is the mean over votes of the cross-entropy with the share of people who prefer `a`,
    plus the penalty on the weights, which start at 0 and stay 0 or more. It is the same for both
    orders of a comparison, so that one is enough.

    A step is iteratively reweighted least squares (Hastie, Tibshirani and Friedman, "The Elements
    of Statistical Learning", 2009, 4.4.1), here non-negative (Lawson and Hanson, "Solving Least
    Squares Problems", 1974, chapter 23). A whole step may overshoot far from the minimum, so its
    half, quarter and so on are tried too, and the one with the lowest loss is taken. Each worker
    sums over its share of the comparisons, and all workers solve the same small equations.

    Args:
        examples: all comparisons, on every worker.
        recipe: the penalty.
        scale: standardisation, fitted to the same comparisons.
        device: device of the sums.
    """

    steps = _MOST_STEPS
    """The most steps; once converged, the rest does nothing."""

    def __init__(
        self, examples: Examples, recipe: UtilityRecipe, scale: Scale, device: str = "cpu"
    ) -> None:
        rank, world_size = rank_and_world_size()
        mine = slice(rank, None, world_size)

        def move(values: Floats) -> Tensor:
            return torch.from_numpy(values[mine]).double().to(device)

        a, b = (scale(side[mine], examples.features) for side in (examples.a, examples.b))
        self._x = (a - b).to(device)
        self._p_a = move(examples.p_a)
        self._share = move(examples.weight / examples.weight.sum())
        self._weight_decay = recipe.weight_decay
        self._weights = self._x.new_zeros(len(examples.features))
        self._loss = float("nan")
        self.converged = False

    def step(self, number: int) -> dict[str, float]:
        """Take one step and return the loss in nats, with the penalty; nothing once converged.

        Raises:
            RoiRayError: the last step has not converged.
        """
        if not self.converged:
            self._take_step()
            if not self.converged and number + 1 == self.steps:
                raise RoiRayError(
                    f"the fit has not converged in {self.steps} steps: are there outliers among "
                    "the features?"
                )
        return {"loss": self._loss}

    def state(self) -> State:
        """Return the weights, as the state of the network."""
        return {"network": {"linear": self._weights[None]}}

    def load(self, state: State) -> None:
        """Restore a state that `state` returned."""
        self._weights = state["network"]["linear"][0].to(self._x)

    def _take_step(self) -> None:
        logits = self._x @ self._weights
        p = logits.sigmoid()
        gradient = self._x.T @ (self._share * (p - self._p_a))
        curvature = self._x.T @ (self._x * (self._share * p * (1 - p))[:, None])
        gradient, curvature = _sum_over_workers(gradient, curvature)
        curvature.diagonal().add_(self._weight_decay)
        goal = curvature @ self._weights - gradient - self._weight_decay * self._weights
        direction = _solve_non_negative(curvature, goal) - self._weights
        # All lengths at once, so that no worker needs to know what another one has decided.
        lengths = 0.5 ** torch.arange(_HALVINGS + 1).to(self._x)
        candidates = self._weights + lengths[:, None] * direction
        lines = logits[:, None] + (self._x @ direction)[:, None] * lengths
        target, share = (each[:, None].expand_as(lines) for each in (self._p_a, self._share))
        losses = F.binary_cross_entropy_with_logits(lines, target, share, reduction="none").sum(0)
        # The change too, so that rounding cannot make one worker stop and the others wait for it.
        losses, change = _sum_over_workers(losses, direction.abs().max())
        losses = losses + self._weight_decay / 2 * candidates.square().sum(1)
        best = int((losses <= losses.min() + _ROUNDING).int().argmax())  # the longest of the best
        self._weights, self._loss = candidates[best], losses[best].item()
        self.converged = bool(change < _CONVERGED)


def _solve_non_negative(curvature: Tensor, goal: Tensor) -> Tensor:
    """Minimise `w curvature w / 2 - goal w` over weights `w` of 0 or more, (F,).

    Args:
        curvature: positive definite, float64, (F, F).
        goal: float64, (F,).
    """
    # With curvature = R^T R it is |R w - R^-T goal|^2 / 2, up to a constant.
    root = torch.linalg.cholesky(curvature, upper=True)
    target = torch.linalg.solve_triangular(root.mT, goal[:, None], upper=False)[:, 0]
    weights, _ = nnls(root.cpu().numpy(), target.cpu().numpy())
    weights[weights < _CONVERGED] = 0  # rounding
    return torch.from_numpy(weights).to(goal)


def _sum_over_workers(*sums: Tensor) -> list[Tensor]:
    """Add up the tensors of all workers."""
    if rank_and_world_size()[1] == 1:
        return list(sums)
    flat = torch.cat([each.flatten() for each in sums])
    dist.all_reduce(flat)
    parts = torch.split(flat, [each.numel() for each in sums])
    return [part.view_as(each) for part, each in zip(parts, sums, strict=True)]
