"""Preference models: from the features of two candidates to the probability of a preference."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import ArrayLike
from safetensors.torch import save
from torch import nn

from roi_ray import schema
from roi_ray.errors import UsageError, WeightsError
from roi_ray.io import storage
from roi_ray.models import loader
from roi_ray.preference.comparisons.examples import Floats
from roi_ray.preference.comparisons.features import check_features
from roi_ray.preference.comparisons.provenance import check_same_provenance, features_provenance
from roi_ray.preference.comparisons.regions import feature_arrays, scores_features
from roi_ray.preference.model.networks import LinearUtility, build
from roi_ray.preference.model.recipes import MlpRecipe, Recipe, UtilityRecipe
from roi_ray.preference.model.scale import Scale
from roi_ray.schema import Scores
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL

_METADATA = "roi_ray"
# Probabilities are multiples of this, so that those of the two orders add up to exactly 1.
_GRAIN = 2.0**-40


@dataclass(frozen=True)
class PreferenceModel:
    """Model that predicts which of two decoded images of one original people prefer.

    Attributes:
        features: names of the features that the model needs, from `schema.QUALITY_COLUMNS`.
        recipe: the kind of network, and how it was trained, on `features`.
        scale: the standardisation of the features.
        network: network of standardised features; see `networks.build`.
        provenance: comparisons, scoring settings and versions of the training.
        identity: `name` and `sha256` of the file that the model was loaded from; empty if there is
            none.

    Examples:
        >>> model = load_preference_model()
        >>> model.features[:2]
        ('psnr', 'ms_ssim')
        >>> equal = [[1.0] * len(model.features)]
        >>> model.predict(equal, equal)
        array([0.5])
    """

    features: tuple[str, ...]
    recipe: Recipe
    scale: Scale
    network: nn.Module
    provenance: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)

    def predict(self, a: ArrayLike | Sequence[Scores], b: ArrayLike | Sequence[Scores]) -> Floats:
        """Predict the probability that people prefer `a` to `b`.

        The network sees both orders, and the two answers are averaged, so that
        `predict(a, b) == 1 - predict(b, a)` exactly.

        Scores must come from the weights and settings that the model was trained on. Only
        `predict_table` checks this.

        Where the mask is empty, scores have no numbers under it (None): the basic metric takes
        their place, for both candidates.

        Args:
            a: scores of N first candidates, from `roi_ray.score`; or their features, (N, F), in the
                order of `features` and in their own units.
            b: the same of the N second candidates: scores or features, as in `a`.

        Returns:
            probabilities in [0, 1], (N,); NaN in rows where a feature is NaN.
        """
        x_a, x_b = (self.scale(side, self.features).float() for side in self._to_arrays(a, b))
        with torch.inference_mode():
            p_ab, p_ba = (
                self.network(*order).double().sigmoid() for order in ((x_a, x_b), (x_b, x_a))
            )
        # The mean of p_ab and 1 - p_ba is 0.5 + lead.
        lead: Floats = ((p_ab - p_ba) / 2).numpy()
        return 0.5 + np.round(lead / _GRAIN) * _GRAIN

    @property
    def is_additive(self) -> bool:
        """Whether the logit is a sum over the features, so that `explain` can take it apart."""
        return isinstance(self.network, LinearUtility)

    def explain(self, a: ArrayLike | Sequence[Scores], b: ArrayLike | Sequence[Scores]) -> Floats:
        """Say how much each feature contributes to the logit of the probability.

        Args:
            a: see `predict`.
            b: see `predict`.

        Returns:
            contributions in logits, (N, F), in the order of `features`: above 0 where a feature
            speaks for `a`. The sum of a row is the logit, log(p / (1 - p)), of `predict`'s
            probability. `explain(a, b) == -explain(b, a)` exactly.

        Raises:
            UsageError: the model is not additive; see `is_additive`.
        """
        if not isinstance(self.network, LinearUtility):
            raise UsageError(
                f"a model of the network {self.recipe.network!r} is not a sum over its features, "
                "so that their shares are not known"
            )
        x_a, x_b = (self.scale(side, self.features).double() for side in self._to_arrays(a, b))
        with torch.inference_mode():
            contributions: Floats = self.network.contributions(x_a, x_b).numpy()
        return contributions

    def _to_arrays(
        self, a: ArrayLike | Sequence[Scores], b: ArrayLike | Sequence[Scores]
    ) -> tuple[Floats, Floats]:
        if isinstance(a, Scores) or isinstance(b, Scores):
            raise UsageError("predict takes sequences of scores, such as [scores_a] and [scores_b]")
        if _are_scores(a) and _are_scores(b):
            return scores_features(a, b, self.features)
        if _are_scores(a) or _are_scores(b):
            raise UsageError("predict takes scores of both candidates, or features of both")
        return np.asarray(a, np.float64), np.asarray(b, np.float64)

    def predict_table(self, table: pa.Table, name: str) -> Floats:
        """Predict the probability that people prefer `a`, for each row of comparisons.

        Args:
            table: comparisons with feature columns, as `roi-ray compare` writes them.
            name: name of the comparisons, for error messages.

        Returns:
            probabilities in [0, 1], (N,); NaN in rows where a feature is missing. In rows without
            a region of interest, basic features take the place of the `roi_` features.

        Raises:
            ManifestError: a feature's column is missing, or the features have another scoring
                version, other weights or other settings than those of the training.
        """
        check_features(table, self.features, name)
        self.check_provenance(features_provenance(table, name), name)
        return self.predict(*feature_arrays(table, self.features))

    def check_provenance(self, provenance: str | None, name: str) -> None:
        """Check that features have the scoring version, weights and settings of the training.

        Nothing is checked if either is unknown.

        Args:
            provenance: provenance of the features; see `features_provenance`.
            name: name of the comparisons, for the error message.

        Raises:
            ManifestError: the features have another scoring version, other weights or settings.
        """
        expected = self.provenance.get(schema.SCORED_WITH)
        if provenance and expected:
            check_same_provenance(provenance, expected, name)


def _are_scores(side: ArrayLike | Sequence[Scores]) -> TypeGuard[Sequence[Scores]]:
    return isinstance(side, Sequence) and len(side) > 0 and isinstance(side[0], Scores)


def save_preference_model(uri: str, model: PreferenceModel) -> None:
    """Write a model as a `.safetensors` file, with all but the tensors as JSON in its metadata."""
    recipe = asdict(model.recipe)
    del recipe["features"]
    facts = {
        "features": model.features,
        "recipe": {"network": model.recipe.network, **recipe},
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
        36
    """
    uri = (
        str(loader.WEIGHTS_FOLDER / f"{DEFAULT_PREFERENCE_MODEL}.safetensors")
        if source == DEFAULT_PREFERENCE_MODEL
        else source
    )
    if not uri.endswith(".safetensors"):
        raise WeightsError(
            f"{uri} is not a preference model: give the .safetensors file that `roi-ray train` "
            f"wrote, or {DEFAULT_PREFERENCE_MODEL}"
        )
    weights = loader.load_weights(uri)
    try:
        facts = json.loads(weights.metadata[_METADATA])
        features = tuple(facts["features"])
        recipe = _read_recipe(facts["recipe"], features, uri)
        network = build(recipe, len(features))
        network.load_state_dict(weights.tensors)
        scale = _read_scale(facts, recipe)
        provenance = dict(facts["provenance"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{uri} is not a preference model: {error}") from error
    if unknown := [name for name in features if name not in schema.QUALITY_COLUMNS]:
        raise WeightsError(
            f"{uri} is a preference model of the feature {unknown[0]!r}, which this version of "
            "roi-ray does not measure"
        )
    return PreferenceModel(features, recipe, scale, network.eval(), provenance, weights.identity)


def _read_scale(saved: dict[str, Any], recipe: Recipe) -> Scale:
    centre, spread = (np.array(saved[name], float) for name in ("centre", "spread"))
    if not centre.shape == spread.shape == (len(saved["features"]),):
        raise ValueError("its scale does not fit its features")
    return Scale(centre, spread, recipe.logarithms)


def _read_recipe(saved: dict[str, Any], features: tuple[str, ...], uri: str) -> Recipe:
    kinds = {kind.network: kind for kind in (UtilityRecipe, MlpRecipe)}
    kind = kinds[saved["network"]]
    options = {name: value for name, value in saved.items() if name != "network"}
    if {"features", *options} != {field.name for field in fields(kind)}:
        raise WeightsError(
            f"{uri} was trained by an older version of roi-ray: train it again with `roi-ray train`"
        )
    return kind(features=features, **options)
