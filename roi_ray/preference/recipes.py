"""Recipes: which network a preference model has and how it is trained. Imports nothing heavy."""

from dataclasses import dataclass, replace
from typing import Literal


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
