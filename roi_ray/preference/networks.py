"""Networks that say which of two images people prefer."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

_PAPER = (192, 64, 64, 32)


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained.

    Attributes:
        network: `mlp`, the paper's, sees the features of both candidates side by side; `utility`
            gives each candidate a number by itself, and the difference decides.
        logarithms: features enter as logarithms (PSNR is one already): the scale of the mask, and
            of an image's difficulty, then drops out of differences.
        members: networks whose probabilities are averaged. More than one: each leaves out its own
            part of the references, and keeps the weights that predicted these best.
        hidden: units of the utility's hidden layer; 0 for a linear one.
        monotone: a better metric cannot hurt.
        decay: of the weights: half their squared sum, times this, is added to the loss.
        rate: the optimiser's.
        epochs: passes over the comparisons.
        batch: comparisons a step.
    """

    network: Literal["mlp", "utility"]
    logarithms: bool = False
    members: int = 1
    hidden: int = 0
    monotone: bool = False
    decay: float = 0.0
    rate: float = 1e-3
    epochs: int = 50
    batch: int = 64


_LINEAR = Recipe("utility", logarithms=True, decay=1e-2, rate=2e-2, epochs=40, batch=256)
RECIPES = {
    "paper": Recipe("mlp"),
    "roi-ray": _LINEAR,
    "monotone": replace(_LINEAR, monotone=True),
    "ensemble": replace(_LINEAR, hidden=16, members=8, decay=1e-3, rate=5e-3, epochs=60),
}
"""By name.

`paper` is the source's network, loss, optimiser and number of epochs. `roi-ray`, a weight for each
metric's logarithm, is what predicts people best where there are tens of references; `monotone` is
the same where no weight may be below zero, and `ensemble` what to try where there are hundreds.
"""

DEFAULT_RECIPE = "roi-ray"


def build(recipe: Recipe, features: int) -> nn.Module:
    """The recipe's network: standardised features of a and of b, (N, F) each -> logits (M, N).

    `sigmoid` of a logit is a member's probability that people prefer a.
    """
    if recipe.network == "mlp":
        return _SideBySide(features)
    return _Utilities(recipe, features)


class _SideBySide(nn.Module):
    """The paper's: 2 F -> 192 -> 64 -> 64 -> 32 -> 2, ReLU between."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        width = 2 * features
        for outside in _PAPER:
            self.layers.extend([nn.Linear(width, outside), nn.ReLU()])
            width = outside
        self.layers.append(nn.Linear(width, 2))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Logit of softmax over the two outputs, (1, N)."""
        outputs: Tensor = self.layers(torch.cat([a, b], 1))
        return (outputs[:, 0] - outputs[:, 1])[None]


class _Utilities(nn.Module):
    """M independent utilities u(x) = w x + v tanh(W x + c); a's logit is u(a) - u(b).

    Exchanging a and b turns the sign, whatever the weights. Features are oriented so that higher is
    better: a monotone utility has no weights below zero.
    """

    def __init__(self, recipe: Recipe, features: int) -> None:
        super().__init__()
        members, hidden = recipe.members, recipe.hidden
        self._monotone = recipe.monotone
        self.linear = nn.Parameter(0.1 + 0.05 * torch.randn(members, features))
        self.inner = nn.Parameter(0.5 * torch.randn(members, features, hidden))
        self.shift = nn.Parameter(torch.randn(members, 1, hidden))
        self.outer = nn.Parameter(0.1 * torch.randn(members, hidden))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Logits of each member, (M, N)."""
        both = torch.cat([a, b])
        linear, inner, outer = (self._weights(w) for w in (self.linear, self.inner, self.outer))
        utility = torch.einsum("nf,mf->mn", both, linear)
        if inner.shape[-1]:
            units = torch.tanh(torch.einsum("nf,mfh->mnh", both, inner) + self.shift)
            utility = utility + torch.einsum("mnh,mh->mn", units, outer)
        return utility[:, : len(a)] - utility[:, len(a) :]

    def _weights(self, weights: Tensor) -> Tensor:
        return weights.relu() if self._monotone else weights
