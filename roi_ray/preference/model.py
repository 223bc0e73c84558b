"""A trained preference model: features of two candidates in, P(people prefer a) out."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import ArrayLike
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
    """Predicts which of two decoded images of one original people prefer.

    Attributes:
        features: names of the features that it needs, some of `schema.FEATURES`.
        recipe: the kind of network, and how it was trained.
        scale: the standardisation of the features.
        network: takes standardised features; see `networks.build`.
        provenance: what the model was trained on: comparisons, scoring settings, versions.
        identity: `name` and `sha256` of the file that the model was loaded from; else empty.

    Examples:
        >>> model = load_preference_model()
        >>> model.features[:4]
        ('psnr', 'ms_ssim', 'lpips', 'd_loss')
        >>> a = [[38.1, 0.992, 0.021, 1.04, 52.3, 0.9991, 0.0004, 0.031]]
        >>> b = [[33.5, 0.981, 0.064, 1.31, 47.9, 0.9975, 0.0011, 0.040]]
        >>> model.predict(a, b).round(2)
        array([0.91])
        >>> model.predict(a, b) + model.predict(b, a)
        array([1.])
    """

    features: tuple[str, ...]
    recipe: Recipe
    scale: Scale
    network: nn.Module
    provenance: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)

    def predict(self, a: ArrayLike, b: ArrayLike) -> Floats:
        """Predict the probability that people prefer `a` to `b`.

        The network sees both orders, and the two answers are averaged, so that
        `predict(a, b) == 1 - predict(b, a)` exactly.

        Args:
            a: features of the first candidates, (N, F), in the order of `features` and in their
                own units.
            b: features of the second candidates, (N, F).

        Returns:
            probabilities in [0, 1], (N,); NaN in rows where a feature is NaN.
        """
        x_a, x_b = (self.scale(np.asarray(side, float), self.features) for side in (a, b))
        with torch.inference_mode():
            p_ab, p_ba = (
                self.network(*order).double().sigmoid().mean(0)
                for order in ((x_a, x_b), (x_b, x_a))
            )
        # The mean of p_ab and 1 - p_ba is 0.5 + lead.
        lead: Floats = ((p_ab - p_ba) / 2).numpy()
        return 0.5 + np.round(lead / _GRAIN) * _GRAIN

    def predict_table(self, table: pa.Table, name: str) -> Floats:
        """Predict the probability that people prefer `a`, for each row of comparisons.

        Args:
            table: comparisons with feature columns, as `roi-ray compare` writes them.
            name: name of the comparisons, for error messages.

        Returns:
            probabilities in [0, 1], (N,); NaN in rows where a feature is missing.

        Raises:
            ManifestError: a feature's column is missing, or the features come from other weights
                or settings than those that the model was trained on.
        """
        check_features(table, self.features, name)
        self.check_provenance(scored_with(table, name), name)
        return self.predict(*sides(table, self.features))

    def check_provenance(self, provenance: str | None, name: str) -> None:
        """Check that features come from the weights and settings that the model was trained on.

        Nothing is checked where either is unknown.

        Args:
            provenance: weights and settings behind the features; see `features.scored_with`.
            name: name of the comparisons, for the error message.

        Raises:
            ManifestError: the features come from other weights or settings.
        """
        expected = self.provenance.get(schema.SCORED_WITH)
        if provenance and expected and provenance != expected:
            raise ManifestError(
                f"the features of comparisons {name} come from other weights or settings than "
                f"those that the model was trained on:\n"
                f"  model:       {expected}\n  comparisons: {provenance}\n"
                "score with the model's weights and settings, or train a model on these features"
            )


def save_preference_model(uri: str, model: PreferenceModel) -> None:
    """Write a model as a `.safetensors` file, with all but the tensors as JSON in its metadata."""
    facts = {
        "features": model.features,
        "recipe": asdict(model.recipe),
        "centre": model.scale.centre.tolist(),
        "spread": model.scale.spread.tolist(),
        "provenance": model.provenance,
    }
    tensors = {name: tensor.contiguous() for name, tensor in model.network.state_dict().items()}
    storage.write_bytes(uri, save(tensors, {_METADATA: json.dumps(facts, sort_keys=True)}))


def load_preference_model(source: str = DEFAULT_PREFERENCE_MODEL) -> PreferenceModel:
    """Load a preference model: the packaged one, or one that `roi-ray train` wrote.

    Args:
        source: the name of the packaged model, or the path or `s3://` URI of a `.safetensors` file.

    Returns:
        the model; its `identity` has the name and the SHA-256 of the file.

    Raises:
        WeightsError: the file is missing, or is not a preference model.

    Examples:
        >>> model = load_preference_model()
        >>> model.identity["name"]
        'preference-mucped23.safetensors'
        >>> model.provenance["references"]
        29
    """
    uri = (
        str(loader.WEIGHTS_FOLDER / f"{DEFAULT_PREFERENCE_MODEL}.safetensors")
        if source == DEFAULT_PREFERENCE_MODEL
        else source
    )
    weights = loader.load_weights(uri)
    try:
        facts = json.loads(weights.metadata[_METADATA])
        recipe = Recipe(**facts["recipe"])
        features = tuple(facts["features"])
        network = build(recipe, len(features))
        network.load_state_dict(weights.tensors)
        centre, spread = (np.array(facts[name], float) for name in ("centre", "spread"))
        scale = Scale(centre, spread, recipe.logarithms)
        provenance = dict(facts["provenance"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{uri} is not a preference model: {error}") from error
    if unknown := [name for name in features if name not in schema.FEATURES]:
        raise WeightsError(
            f"{uri} is a preference model of the feature {unknown[0]!r}, which this version of "
            "roi-ray does not measure"
        )
    if not centre.shape == spread.shape == (len(features),):
        raise WeightsError(f"{uri} is not a preference model: its scale does not fit its features")
    return PreferenceModel(features, recipe, scale, network.eval(), provenance, weights.identity)
