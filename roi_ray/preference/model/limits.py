"""What a preference model was trained on, and what it therefore cannot say, in sentences."""

from roi_ray.preference.model.preference_model import PreferenceModel
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL

PACKAGED_LIMITS = (
    "It was trained on 10,173 answers about the JPEG encoders libjpeg-turbo, mozjpeg and jpegli at "
    "512 x 512 pixels (mucped23). It has not seen other codecs, blur, generated detail, large "
    "images, other viewing distances, or pairs that are far apart; and it hardly sees blue-yellow "
    "errors."
)
"""Limits of the packaged model, as its card states them."""


def describe_limits(model: PreferenceModel) -> str:
    """Say what a model was trained on and what it has not seen; every view of predictions shows it.

    Args:
        model: the packaged model, or one that `roi-ray train` wrote.

    Examples:
        >>> from roi_ray.preference.model.preference_model import load_preference_model
        >>> describe_limits(load_preference_model())[:32]
        'It was trained on 10,173 answers'
    """
    if model.identity.get("name") == f"{DEFAULT_PREFERENCE_MODEL}.safetensors":
        return PACKAGED_LIMITS
    rows = model.provenance.get("comparisons", {}).get("rows")
    references = model.provenance.get("references")
    if rows is None or references is None:
        return "The model does not say what it was trained on."
    return (
        f"It was trained on {rows:,} comparisons of {references:,} originals. It knows codecs and "
        "images like those only."
    )
