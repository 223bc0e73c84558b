"""The networks of preference models: standardised features of two candidates -> a logit."""

import torch
from torch import Tensor, nn

from roi_ray.preference.model.recipes import Recipe

_MLP_WIDTHS = (192, 64, 64, 32)

FAR = 5.0
"""Spreads of the training beyond which two images are far apart, or one is far from the training's.
In the training of the packaged model, 0.5 % of the pairs are further apart in a weighted column."""


def build(recipe: Recipe, features: int) -> nn.Module:
    """Build a recipe's network, untrained: `mlp` with random weights, `utility` with zeros.

    The network takes standardised features of `a` and of `b`, (N, F) each, and returns logits,
    (N,), whose sigmoid is the probability that people prefer `a`.

    Args:
        recipe: recipe that names the network.
        features: number of features per candidate, F.
    """
    return PairMlp(features) if recipe.network == "mlp" else LinearUtility(features)


class PairMlp(nn.Module):
    """The paper's network: 2 F -> 192 -> 64 -> 64 -> 32 -> 2, with ReLU.

    Args:
        features: number of features per candidate, F.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        width = 2 * features
        for out_features in _MLP_WIDTHS:
            self.layers.extend([nn.Linear(width, out_features), nn.ReLU()])
            width = out_features
        self.layers.append(nn.Linear(width, 2))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the logit of the softmax over the two outputs, (N,)."""
        outputs: Tensor = self.layers(torch.cat([a, b], 1))
        return outputs[:, 0] - outputs[:, 1]


class LinearUtility(nn.Module):
    """A weight per feature: the logit is w (x_a - x_b), so that swapping a and b flips its sign.

    A feature without a weight counts too where the images differ in it by more than those of the
    training did: one logit per spread beyond `FAR` of them. Such a difference was never judged. To
    take it for nothing would prefer images whose colour is gone, if no image of the training had
    lost it.

    Args:
        features: number of features per candidate, F.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = nn.Parameter(torch.zeros(1, features))

    def contributions(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the terms of the logit, (N, F), of which it is the sum."""
        difference = a - b
        beyond = difference - difference.clamp(-FAR, FAR)
        return torch.where(self.linear == 0, beyond, difference * self.linear)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the difference of the two utilities, (N,)."""
        return self.contributions(a, b).sum(1)
