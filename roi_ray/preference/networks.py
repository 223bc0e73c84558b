"""Networks that say which of two images people prefer."""

import torch
from torch import Tensor, nn

from roi_ray.preference.recipes import Recipe

_PAPER = (192, 64, 64, 32)


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
