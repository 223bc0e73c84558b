"""Recipes: which network a preference model has, and how it is trained. Imports nothing heavy."""

from dataclasses import dataclass, replace
from typing import ClassVar

from roi_ray import schema
from roi_ray.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained.

    Attributes:
        network: name of the network, in files of models.
        logarithms: whether the network sees the logarithms of features that compare by their ratio,
            see `schema.Meaning`. In differences of logarithms, the scale of the mask and the
            difficulty of the image cancel out.
        features: features that it is trained on unless others are named.
    """

    network: ClassVar[str]
    logarithms: ClassVar[bool]
    features: tuple[str, ...]


@dataclass(frozen=True)
class UtilityRecipe(Recipe):
    """A logistic regression: a weighted sum of features per candidate, the larger one wins.

    Weights are 0 or more, so that no image is preferred because a measurement of it is worse.

    Attributes:
        weight_decay: factor of half the sum of squared weights, which is added to the mean
            cross-entropy; above 0, so that the weights are finite whatever the answers.
    """

    network = "utility"
    logarithms = True
    weight_decay: float


@dataclass(frozen=True)
class MlpRecipe(Recipe):
    """The paper's network, which takes the features of both candidates side by side.

    Attributes:
        lr: learning rate of Adam.
        batch_size: comparisons per step.
        epochs: passes over the comparisons; with early stopping, the most that are tried.
        early_stopping: whether the number of epochs is chosen on held-out references.
    """

    network = "mlp"
    logarithms = False
    lr: float = 1e-3
    batch_size: int = 64
    epochs: int = 50
    early_stopping: bool = True


_ROI_RAY_FEATURES = (
    *schema.BASIC_FEATURES,
    "mse_y",
    "mse_cb",
    "mse_cr",
    "ssimulacra2",
    "ssimulacra2_y",
    "texture_gained",
    "texture_lost",
    *schema.ROI_FEATURES,
    "roi_mse_y",
    "roi_mse_cb",
    "roi_mse_cr",
)

RECIPES = {
    "paper": MlpRecipe(schema.PAPER_FEATURES),
    "roi-ray": UtilityRecipe(_ROI_RAY_FEATURES, weight_decay=1e-3),
}
"""Recipes by name.

`paper` is the paper's network, loss and optimiser; its 50 epochs are the most, because it overfits
on tens of references. `roi-ray` has one weight per feature and predicts people best there.
"""

DEFAULT_RECIPE = "roi-ray"


def find_recipe(name: str, epochs: int | None = None) -> Recipe:
    """Find a recipe by its name.

    Args:
        name: name in `RECIPES`.
        epochs: number of epochs to train for, without early stopping; None for the recipe's own.

    Raises:
        UsageError: no recipe has this name, or it has no epochs.
    """
    if name not in RECIPES:
        raise UsageError(f"unknown recipe {name!r}: choose from {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    if epochs is None:
        return recipe
    if not isinstance(recipe, MlpRecipe):
        raise UsageError(
            f"the recipe {name!r} has no epochs: it is fitted until it converges; leave out "
            "--epochs, or choose --recipe paper"
        )
    return replace(recipe, epochs=epochs, early_stopping=False)
