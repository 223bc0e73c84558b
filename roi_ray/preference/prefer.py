"""Predict with one call which of two images people prefer: no manifest, no Ray."""

from roi_ray.imaging.load import ImageSource, load_image, load_mask
from roi_ray.preference.explanation import explain_pair
from roi_ray.preference.model.needs import add_needs, check_scoring
from roi_ray.preference.model.preference_model import PreferenceModel, load_preference_model
from roi_ray.preference.pair_preference import PairPreference
from roi_ray.runtime.device import find_device
from roi_ray.scoring.score import load_named, load_scorer
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL, MAX_PIXELS, Settings


def prefer(
    original: ImageSource,
    a: ImageSource,
    b: ImageSource,
    *,
    mask: ImageSource | None = None,
    model: str | PreferenceModel = DEFAULT_PREFERENCE_MODEL,
    settings: Settings | None = None,
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    allow_slow_precision: bool = False,
) -> PairPreference:
    """Predict which of two decoded images of one original people prefer, and say why.

    The networks are loaded by the first call and stay loaded, per settings and device.

    Args:
        original: the original: a path, `file://` or `s3://` URI, the bytes of an image file, an
            array of sRGB values (height, width, 3), uint8 or a `roi_ray.HighBitDepthImage`, or a
            Pillow image.
        a: the first image, of the same size and any bit depth, likewise.
        b: the second image, likewise.
        mask: region of interest, as `roi_ray.score` takes it; None to let the saliency network
            find where people look.
        model: name of the packaged preference model, path or `s3://` URI of a model that
            `roi-ray train` wrote, or the model.
        settings: networks and metrics that decide the scores; None for the defaults. Metrics that
            the model needs are added, and the precision `auto` is that of its training. All else
            must be as in its training.
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` takes a GPU if there is one.
        max_pixels: largest width times height that is decoded.
        allow_slow_precision: see `roi_ray.Scorer`.

    Returns:
        the probability that people prefer `a`, each measurement's share in it, the scores of both
        images, and what the model cannot know. `prefer(x, a, b).probability` is exactly
        `1 - prefer(x, b, a).probability`, and 0.5 for identical images.

    Raises:
        UsageError: the model was trained on scores of other weights or settings.
        WeightsError: the model, or a network of the settings, cannot be loaded.
        ImageError: an image or the mask cannot be used; for the kinds see `roi_ray.score`.
        DeviceError: the device is not available, or the precision is too slow on it.

    Examples:
        >>> import io
        >>> from PIL import Image
        >>> from roi_ray.sweep import photographs
        >>> photo = Image.open(photographs()["chelsea"])
        >>> def jpeg(quality):
        ...     file = io.BytesIO()
        ...     photo.save(file, "JPEG", quality=quality)
        ...     return file.getvalue()
        >>> preference = prefer(photo, jpeg(75), jpeg(50))
        >>> preference  # doctest: +ELLIPSIS
        PairPreference(... % prefer a: logit +... = overall error ..., structure ...)
        >>> preference.probability > 0.6
        True
        >>> preference.probability + prefer(photo, jpeg(50), jpeg(75)).probability
        1.0
    """
    loaded = load_preference_model(model) if isinstance(model, str) else model
    settings = add_needs(loaded, settings or Settings())
    reference = load_named("original", load_image, original, max_pixels)
    region = None if mask is None else load_named("mask", load_mask, mask, max_pixels, reference)
    images = [
        load_named(f"image {name}", load_image, source, max_pixels, reference)
        for name, source in (("a", a), ("b", b))
    ]
    scorer = load_scorer(settings, str(find_device(device)), allow_slow_precision)
    check_scoring(loaded, scorer.settings, scorer.provenance)
    prepared = scorer.prepare(reference, region)
    # One after the other: in a batch, the last digits could depend on the order.
    scores_a, scores_b = (scorer.score(prepared, [image])[0] for image in images)
    return explain_pair(loaded, scores_a, scores_b)
