"""Recipes: which network a preference model has, and how it is trained. Imports nothing heavy."""

from dataclasses import dataclass
from typing import Literal

from roi_ray import schema
from roi_ray.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained.

    Attributes:
        features: features that it is trained on unless others are named.
        network: `mlp`, the paper's, takes the features of both candidates side by side; `utility`
            gives each candidate a number, and the larger one wins.
        logarithms: whether to take the logarithm of all features but PSNR, which is one already,
            and SSIMULACRA2, whose scale is made such that equal differences look equal. In
            differences of logarithms, the scale of the mask and the difficulty of the image cancel
            out.
        weight_decay: factor of half the sum of squared weights, which is added to the loss.
        lr: learning rate of Adam.
        epochs: passes over the comparisons.
        batch_size: comparisons per step.
    """

    features: tuple[str, ...]
    network: Literal["mlp", "utility"]
    logarithms: bool = False
    weight_decay: float = 0.0
    lr: float = 1e-3
    epochs: int = 50
    batch_size: int = 64


_ROI_RAY_FEATURES = (
    *schema.BASIC_FEATURES,
    "mse_y",
    "mse_cb",
    "mse_cr",
    "ssimulacra2",
    *schema.ROI_FEATURES,
    "roi_mse_y",
    "roi_mse_cb",
    "roi_mse_cr",
)

RECIPES = {
    "paper": Recipe(schema.PAPER_FEATURES, "mlp"),
    "roi-ray": Recipe(
        _ROI_RAY_FEATURES,
        "utility",
        logarithms=True,
        weight_decay=1e-2,
        lr=2e-2,
        epochs=40,
        batch_size=256,
    ),
}
"""Recipes by name.

`paper` is the paper's network, loss, optimiser and number of epochs. `roi-ray` has one weight per
feature and predicts people best where comparisons are about tens of references.
"""

DEFAULT_RECIPE = "roi-ray"


def find_recipe(name: str) -> Recipe:
    """Find a recipe by its name.

    Raises:
        UsageError: no recipe has this name.
    """
    if name not in RECIPES:
        raise UsageError(f"unknown recipe {name!r}: choose from {', '.join(RECIPES)}")
    return RECIPES[name]
