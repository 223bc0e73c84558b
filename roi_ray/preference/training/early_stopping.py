"""Early stopping: choose a number of epochs on held-out references.

The choice is made once; then the model is trained on all comparisons for that many epochs
(Goodfellow, Bengio and Courville, "Deep Learning", 2016, algorithm 7.2).
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.examples import Examples
from roi_ray.preference.model.preference_model import PreferenceModel
from roi_ray.preference.model.recipes import MlpRecipe
from roi_ray.preference.model.scale import Scale
from roi_ray.preference.statistics.measures import log_loss
from roi_ray.preference.training.adam import AdamTraining

MIN_TRAINED_ON = 3
"""The fewest references to train on, of which one is held out."""
_HELD_OUT = 0.2
_PATIENCE = 10
"""Epochs without a new best one, after which no more are tried."""


@dataclass(frozen=True)
class EpochChoice:
    """A number of epochs, and how it was chosen.

    Attributes:
        epochs: the number, counted from 1.
        log_loss: log-loss on the held-out references after that epoch, in nats; the lowest.
        held_out: number of references held out.
        references: number of all references.
    """

    epochs: int
    log_loss: float
    held_out: int
    references: int

    def describe(self) -> str:
        """Describe the choice in a line for people."""
        return (
            f"early stopping: {self.epochs} epochs, at the lowest log-loss ({self.log_loss:.3f}) "
            f"on {self.held_out} of {self.references} references; now trains on all of them"
        )

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values, for a model's provenance."""
        return asdict(self)


def choose_epochs(examples: Examples, recipe: MlpRecipe, seed: int = 0) -> EpochChoice:
    """Choose the number of epochs that fits a fifth of the references best, trained on the others.

    Args:
        examples: labelled comparisons of at least 3 references.
        recipe: how to train; `epochs` is the most that are tried.
        seed: seed of the choice of references and of the training.

    Raises:
        ManifestError: there are fewer than 3 references, too few to hold one out.
    """
    references = np.unique(examples.group)
    if len(references) < MIN_TRAINED_ON:
        raise ManifestError(
            f"early stopping holds out references, and there are only {len(references)} to train "
            f"on, fewer than {MIN_TRAINED_ON}: give the number of epochs (`--epochs 50` is the "
            "paper's), or choose `--recipe roi-ray`"
        )
    held_out = np.random.default_rng(seed).permutation(references)
    held_out = held_out[: max(1, round(_HELD_OUT * len(references)))]
    is_held_out = np.isin(examples.group, held_out)
    training_examples, others = examples.take(~is_held_out), examples.take(is_held_out)
    scale = Scale.fit(training_examples, recipe)
    training = AdamTraining(training_examples, recipe, scale, seed)
    model = PreferenceModel(examples.features, recipe, scale, training.network)
    best, losses = 0, list[float]()
    while len(losses) < min(recipe.epochs, best + 1 + _PATIENCE):
        first = len(losses) * training.steps_per_epoch
        for number in range(first, first + training.steps_per_epoch):
            training.step(number)
        predicted = model.predict(others.a, others.b)
        loss = np.average(log_loss(predicted, others.p_a), weights=others.weight)
        losses.append(float(loss))
        best = int(np.argmin(losses))
    return EpochChoice(best + 1, losses[best], len(held_out), len(references))


def fix_epochs(recipe: MlpRecipe, choice: EpochChoice) -> MlpRecipe:
    """Return the recipe of the final training: the chosen number of epochs."""
    return replace(recipe, epochs=choice.epochs, early_stopping=False)
