"""A trained preference model: features of two candidates in, P(people prefer a) out."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import save
from torch import Tensor, nn

from roi_ray import schema
from roi_ray.errors import ManifestError, WeightsError
from roi_ray.io import storage
from roi_ray.models import loader
from roi_ray.preference.examples import Examples, Floats, sides
from roi_ray.preference.features import check_features, scored_with
from roi_ray.preference.networks import build
from roi_ray.preference.recipes import Recipe
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL

"""The packaged model; its model card is `roi_ray/weights/README.md`."""

_METADATA = "roi_ray"
_TINY = 1e-6
# Probabilities are multiples of this, so that those of the two orders add up to exactly 1.
_GRAIN = 2.0**-40


@dataclass(frozen=True)
class Scale:
    """How features are standardised; it travels with the model.

    Attributes:
        centre: subtracted, (F,).
        spread: divided by, (F,); negative where lower is better, so that higher is; 1 or -1 of a
            feature that is the same in all comparisons, which says nothing.
        logarithms: taken first.
    """

    centre: Floats
    spread: Floats
    logarithms: bool

    @classmethod
    def of(cls, examples: Examples, recipe: Recipe) -> "Scale":
        """From training comparisons: means and deviations; of differences, for utilities."""
        a, b = (
            _entered(side, examples.features, recipe.logarithms)
            for side in (examples.a, examples.b)
        )
        both = np.concatenate([a, b])
        # About zero: each comparison is seen in both orders, and either may be the one written.
        differ = np.sqrt(np.square(a - b).mean(0))
        spread = differ if recipe.network == "utility" else both.std(0)
        varies = spread > _TINY * np.abs(both).max(0)
        better = [schema.MEANINGS[feature].better for feature in examples.features]
        sign = np.where([direction == "lower" for direction in better], -1.0, 1.0)
        return cls(both.mean(0), sign * np.where(varies, spread, 1.0), recipe.logarithms)

    def __call__(self, values: Floats, features: tuple[str, ...]) -> Tensor:
        """Standardised features, float32 (N, F)."""
        values = _entered(values, features, self.logarithms)
        return torch.from_numpy(((values - self.centre) / self.spread).astype(np.float32))


def _entered(values: Floats, features: tuple[str, ...], logarithms: bool) -> Floats:
    """Features as they enter: natural logarithms, if wanted; PSNR, in dB, is one already."""
    if not logarithms:
        return values
    decibels = np.array([schema.MEANINGS[feature].unit == "dB" for feature in features])
    return np.where(decibels, values, np.log(np.maximum(values, _TINY)))


@dataclass(frozen=True)
class PreferenceModel:
    """A network with all that is needed to use it.

    Attributes:
        features: names, in the order of the network's inputs.
        recipe: of the network.
        scale: of the features.
        network: from `networks.build`.
        provenance: what it was trained on, and with; JSON.
    """

    features: tuple[str, ...]
    recipe: Recipe
    scale: Scale
    network: nn.Module
    provenance: dict[str, Any] = field(default_factory=dict)

    def predict(self, a: Floats, b: Floats) -> Floats:
        """Probability that people prefer a.

        Args:
            a: features of the one candidate, (N, F), in the order of `features`.
            b: of the other.

        Returns:
            (N,), in [0, 1]; `predict(a, b) == 1 - predict(b, a)` exactly. NaN where a feature is.
        """
        of_a, of_b = self.scale(a, self.features), self.scale(b, self.features)
        with torch.inference_mode():
            there, back = (
                self.network(*order).double().sigmoid().mean(0)
                for order in ((of_a, of_b), (of_b, of_a))
            )
        # Both orders are averaged: p = (there + 1 - back) / 2.
        lead: Floats = ((there - back) / 2).numpy()
        return 0.5 + np.round(lead / _GRAIN) * _GRAIN

    def predict_table(self, table: pa.Table, name: str) -> Floats:
        """The same for comparisons with feature columns.

        Raises:
            ManifestError: a feature's column is missing, or the features were made by other
                weights or settings than those that the model was trained on.
        """
        check_features(table, self.features, name)
        self.check_make(scored_with(table, name), name)
        return self.predict(*sides(table, self.features))

    def check_make(self, made_by: str | None, name: str) -> None:
        """Check that features are such as the model was trained on, as far as that is known.

        Args:
            made_by: weights and settings that made the features; see `features.scored_with`.
            name: of the comparisons, for the error.

        Raises:
            ManifestError: they were made by others.
        """
        known = self.provenance.get(schema.SCORED_WITH)
        if made_by and known and made_by != known:
            raise ManifestError(
                f"the model was trained on features of another make than those of {name}:\n"
                f"  model:       {known}\n  comparisons: {made_by}\n"
                "score with the model's weights and settings, or without a model, and train one "
                "on these"
            )


def save_model(uri: str, model: PreferenceModel) -> None:
    """Write a model: safetensors, with JSON in its metadata."""
    facts = {
        "features": model.features,
        "recipe": asdict(model.recipe),
        "centre": model.scale.centre.tolist(),
        "spread": model.scale.spread.tolist(),
        "provenance": model.provenance,
    }
    tensors = {name: tensor.contiguous() for name, tensor in model.network.state_dict().items()}
    storage.write_bytes(uri, save(tensors, {_METADATA: json.dumps(facts, sort_keys=True)}))


def load_model(source: str = DEFAULT_PREFERENCE_MODEL) -> tuple[PreferenceModel, dict[str, str]]:
    """A model, and the identity of its file.

    Args:
        source: `DEFAULT_PREFERENCE_MODEL`, or the path or `s3://` URI of what `save_model` wrote.

    Raises:
        WeightsError: no such file, or not a preference model.
    """
    uri = (
        str(loader.WEIGHTS_FOLDER / f"{DEFAULT_PREFERENCE_MODEL}.safetensors")
        if source == DEFAULT_PREFERENCE_MODEL
        else source
    )
    found = loader.load_weights(uri)
    try:
        facts = json.loads(found.metadata[_METADATA])
        recipe = Recipe(**facts["recipe"])
        features = tuple(facts["features"])
        network = build(recipe, len(features))
        network.load_state_dict(found.tensors)
        centre, spread = (np.array(facts[name], float) for name in ("centre", "spread"))
        scale = Scale(centre, spread, recipe.logarithms)
        model = PreferenceModel(features, recipe, scale, network.eval(), dict(facts["provenance"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{uri} is no preference model: {error}") from error
    if unknown := [name for name in features if name not in schema.FEATURES]:
        raise WeightsError(
            f"{uri} is a preference model of {unknown[0]!r}, which is no feature of this version's"
        )
    if not centre.shape == spread.shape == (len(features),):
        raise WeightsError(f"{uri} is no preference model: its scale is not of its features")
    return model, found.identity
