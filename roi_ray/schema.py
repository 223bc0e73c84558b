"""Names, types, units and directions of the columns of manifests, scores and comparisons.

All other modules take column names from here. Imports nothing heavy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

# Columns of a manifest and of scores. Other columns of a manifest are copied to the scores.
PAIR_ID = "pair_id"
REFERENCE = "reference"
DISTORTED = "distorted"
MASK = "mask"
ERROR_KIND = "error_kind"
ERROR = "error"
ERRORS = (ERROR_KIND, ERROR)
"""Columns that say why a row has no results. In a manifest: why it failed in an earlier step."""

URIS = (REFERENCE, DISTORTED)
"""Columns that a manifest must have: local paths, or `file://` or `s3://` URIs.

Relative paths start from the folder of the manifest.
"""

# Columns that a sweep adds; `SWEEP_PLAN` and `SWEEP_RESULTS` describe them.
CODEC = "codec"
SETTINGS = "settings"
TARGET_METRIC = "target_metric"
TARGET = "target"
BITSTREAM = "bitstream"
QUALITY = "quality"
REACHED = "reached"
BYTES = "bytes"
BPP = "bpp"
ENCODE_SECONDS = "encode_seconds"
DECODE_SECONDS = "decode_seconds"
ENCODE_MEMORY = "encode_memory_bytes"
DECODE_MEMORY = "decode_memory_bytes"
OTHER_LOAD = "other_load"
PROCESSOR = "processor"
CODEC_VERSION = "codec_version"

# Columns of a comparison: a reference, two candidates, and which candidate people preferred.
A = "a"
B = "b"
P_A = "p_a"
VOTES = "votes"
RATER = "rater"
TIE = "tie"
GROUP = "group"
SPLIT = "split"
DATASET = "dataset"
GOLD = "gold"
BPP_A, BPP_B = "bpp_a", "bpp_b"
CODEC_A, CODEC_B = "codec_a", "codec_b"
METHOD_A, METHOD_B = "method_a", "method_b"
# Columns that `roi-ray compare` adds besides the features: the settings and weights that made the
# features, and the probability, by a preference model, that people prefer `a`.
SCORED_WITH = "scored_with"
P_A_PREFERRED = "p_a_preferred"

COMPARISON_URIS = (REFERENCE, A, B)

COMPARISON = {
    REFERENCE: "string",
    A: "string",
    B: "string",
    P_A: "float64",
    VOTES: "int32",
    RATER: "string",
    TIE: "bool",
    GROUP: "string",
    SPLIT: "string",
    DATASET: "string",
    GOLD: "bool",
    BPP_A: "float64",
    BPP_B: "float64",
    CODEC_A: "string",
    CODEC_B: "string",
    METHOD_A: "string",
    METHOD_B: "string",
}
"""Arrow types of the columns of a comparison; all but the first three are optional.

`p_a` is the share or the probability of people who prefer `a`: 0..1, 0.5 for a tie. Rows of one
`group` are never split between training and test; it is the reference by default. `gold` marks
control questions, which no model is trained on. `codec_a` is an encoder, `method_a` an encoder at
one setting.
"""

# Columns that `roi-ray vote` adds to the comparisons that people answered.
QUESTION = "question"
EXPECTED_P_A = "expected_p_a"
VOTE_ID = "vote_id"
KIND = "kind"
FIRST = "first"
FLIPS = "flips"
MILLISECONDS = "milliseconds"
ANSWERED_AT = "answered_at"
SCREEN_WIDTH, SCREEN_HEIGHT = "screen_width", "screen_height"
PIXEL_RATIO = "pixel_ratio"
BROWSER = "browser"

VOTE = {
    VOTE_ID: "string",
    QUESTION: "string",
    KIND: "string",
    EXPECTED_P_A: "float64",
    FIRST: "string",
    FLIPS: "int32",
    MILLISECONDS: "int64",
    ANSWERED_AT: "timestamp[us, tz=UTC]",
    SCREEN_WIDTH: "int32",
    SCREEN_HEIGHT: "int32",
    PIXEL_RATIO: "float64",
    BROWSER: "string",
}
"""Arrow types of the columns that `roi-ray vote` adds.

`question` is the same for all answers about one pair; `kind` says why it was asked (`training`,
`question`, `gold`, `repeat`: all but `question` are control questions); `expected_p_a` is the right
answer of a control question, if it has one; `first` is the candidate that the page called 1.
"""


Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Meaning:
    """The meaning of the numbers of a column.

    Attributes:
        unit: unit of the numbers; `1` if they have none, empty for text.
        better: direction of better quality; None for columns that do not measure quality.
        text: description in one line.
        compare_by: what means the same along the whole scale: a `ratio` of two numbers, or a
            `difference`, as of PSNR, which is a logarithm, of SSIMULACRA2, whose scale is made so,
            and of texture, which is relative to the reference's.
    """

    unit: str
    better: Direction | None
    text: str
    compare_by: Literal["ratio", "difference"] = "ratio"


_MEANING, _METRIC = "meaning", "metric"


def _column(
    unit: str,
    better: Direction | None,
    text: str,
    *,
    compare_by: Literal["ratio", "difference"] = "ratio",
    optional: str | None = None,
) -> Any:
    """Declare a field of `Scores`.

    Args:
        unit: see `Meaning`.
        better: see `Meaning`.
        text: see `Meaning`.
        compare_by: see `Meaning`.
        optional: name of the metric, `roi_ray/metrics/NAME.py`, if it is measured only on request.
    """
    metadata: dict[str, Any] = {_MEANING: Meaning(unit, better, text, compare_by)}
    if optional is None:
        return field(metadata=metadata)
    return field(default=None, metadata={**metadata, _METRIC: optional})


def _roi_column(name: str, column: Any) -> Any:
    """Declare a field of `Scores` that is the number of another one under the mask, or None.

    Args:
        name: name of the other field.
        column: the other field, whose unit, direction and metric this one has.
    """
    text = f"{name} under the mask; null if there is no region"
    meaning = replace(column.metadata[_MEANING], text=text)
    return field(default=None, metadata={**column.metadata, _MEANING: meaning})


@dataclass(frozen=True, repr=False, kw_only=True)
class Scores:
    """The numbers of one pair: a reference and a distorted image.

    Each field is a column of the scores; `MEANINGS` has its unit and direction. Fields that begin
    with `roi_` are numbers under the mask of the region of interest. They are None where the mask
    has no region: its mean, `roi_fraction`, is below 1e-6. Optional metrics that were not asked for
    are None.

    Attributes:
        width: width of both images in pixels.
        height: height of both images in pixels.
        reference_bit_depth: bits per sample of the reference, 8 to 16.
        distorted_bit_depth: bits per sample of the distorted image, 8 to 16.
        mse: mean squared error of sRGB values in [0, 1]; lower is better.
        psnr: -10 log10(mse) in dB, 100 at most; higher is better.
        mse_y: mean squared error of luma Y' (BT.601, full range) in [0, 1]; lower is better.
        mse_cb: mean squared error of chroma Cb, likewise, in [-0.5, 0.5]; lower is better.
        mse_cr: mean squared error of chroma Cr, likewise, in [-0.5, 0.5]; lower is better.
        ms_ssim: multi-scale structural similarity, in [0, 1]; higher is better.
        ms_ssim_scales: number of MS-SSIM scales that fit the image, 1 to 5.
        texture_gained: local contrast of luma that the reference does not have, relative to its
            own, 0 to 50; lower is better.
        texture_lost: local contrast of luma that the reference alone has, likewise, 0 to 1; lower
            is better.
        lpips: learned perceptual image patch similarity, 0 or more; lower is better.
        d_loss: mean softplus(-D) in nats, where D is the discriminator's logit of "real", 0 or
            more; lower is better.
        roi_mse: see `mse`.
        roi_psnr: see `psnr`.
        roi_mse_y: see `mse_y`.
        roi_mse_cb: see `mse_cb`.
        roi_mse_cr: see `mse_cr`.
        roi_ms_ssim: see `ms_ssim`.
        roi_texture_gained: see `texture_gained`.
        roi_texture_lost: see `texture_lost`.
        roi_lpips: see `lpips`.
        roi_d_loss: see `d_loss`.
        roi_fraction: mean of the mask, in [0, 1].
        ssimulacra2: SSIMULACRA2 2.1, 100 at most, for identical images; may be negative; higher is
            better. Optional.
        ssimulacra2_y: SSIMULACRA2 of luminance: only errors of the channel Y of XYB count, those of
            X and B do not; at most 100; higher is better. Optional, with `ssimulacra2`.
        roi_ssimulacra2: see `ssimulacra2`.
        roi_ssimulacra2_y: see `ssimulacra2_y`.

    Examples:
        >>> import roi_ray
        >>> from roi_ray.sweep import photographs
        >>> photo = roi_ray.load_image(photographs()["chelsea"])
        >>> scores = roi_ray.score(photo, photo)
        >>> scores.psnr, scores.lpips
        (100.0, 0.0)
        >>> list(scores.to_dict())[:4]
        ['width', 'height', 'reference_bit_depth', 'distorted_bit_depth']
    """

    width: int = _column("pixels", None, "width of both images")
    height: int = _column("pixels", None, "height of both images")
    reference_bit_depth: int = _column("bits", None, "bits per sample of the reference, 8 to 16")
    distorted_bit_depth: int = _column(
        "bits", None, "bits per sample of the distorted image, 8 to 16"
    )
    mse: float = _column("1", "lower", "mean squared error of sRGB values in [0, 1]")
    psnr: float = _column("dB", "higher", "-10 log10(mse), at most 100", compare_by="difference")
    mse_y: float = _column("1", "lower", "mean squared error of luma (BT.601 full range) in [0, 1]")
    mse_cb: float = _column("1", "lower", "mean squared error of chroma Cb in [-0.5, 0.5]")
    mse_cr: float = _column("1", "lower", "mean squared error of chroma Cr in [-0.5, 0.5]")
    ms_ssim: float = _column("1", "higher", "multi-scale structural similarity, in [0, 1]")
    ms_ssim_scales: int = _column("1", None, "scales that fit the image, of 5")
    texture_gained: float = _column(
        "1",
        "lower",
        "local contrast of luma that the reference lacks, relative to its own",
        compare_by="difference",
    )
    texture_lost: float = _column(
        "1",
        "lower",
        "local contrast of luma that the reference alone has, relative to its own",
        compare_by="difference",
    )
    lpips: float = _column("1", "lower", "learned perceptual image patch similarity, 0 or more")
    d_loss: float = _column(
        "nat", "lower", "mean softplus(-D), D the discriminator's logit of 'real'"
    )
    roi_mse: float | None = _roi_column("mse", mse)
    roi_psnr: float | None = _roi_column("psnr", psnr)
    roi_mse_y: float | None = _roi_column("mse_y", mse_y)
    roi_mse_cb: float | None = _roi_column("mse_cb", mse_cb)
    roi_mse_cr: float | None = _roi_column("mse_cr", mse_cr)
    roi_ms_ssim: float | None = _roi_column("ms_ssim", ms_ssim)
    roi_texture_gained: float | None = _roi_column("texture_gained", texture_gained)
    roi_texture_lost: float | None = _roi_column("texture_lost", texture_lost)
    roi_lpips: float | None = _roi_column("lpips", lpips)
    roi_d_loss: float | None = _roi_column("d_loss", d_loss)
    roi_fraction: float = _column("1", None, "mean of the mask, in [0, 1]")
    ssimulacra2: float | None = _column(
        "1",
        "higher",
        "SSIMULACRA2 2.1, at most 100",
        compare_by="difference",
        optional="ssimulacra2",
    )
    ssimulacra2_y: float | None = _column(
        "1",
        "higher",
        "SSIMULACRA2 of luminance, the channel Y of XYB, at most 100",
        compare_by="difference",
        optional="ssimulacra2",
    )
    roi_ssimulacra2: float | None = _roi_column("ssimulacra2", ssimulacra2)
    roi_ssimulacra2_y: float | None = _roi_column("ssimulacra2_y", ssimulacra2_y)

    def to_dict(self) -> dict[str, int | float | None]:
        """Return the numbers by column, in the order of the columns.

        Optional metrics that were not asked for are left out.
        """
        # The number of the whole image is always there, so that None means "not asked for".
        return {
            name: value
            for name, value in vars(self).items()
            if not optional_metric(name) or getattr(self, name.removeprefix("roi_")) is not None
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Scores":
        """Make scores from numbers by column, such as those of `to_dict`.

        Args:
            values: numbers by column. Names that are no column are ignored.

        Raises:
            ValueError: a number is missing that every pair has.
        """
        columns = cls.__dataclass_fields__
        for name, column in columns.items():
            if column.default is MISSING and values.get(name) is None:
                raise ValueError(f"the scores have no {name}")
        return cls(**{name: values[name] for name in columns if name in values})

    def __repr__(self) -> str:
        numbers = [f"{self.width} x {self.height}"]
        bit_depths = self.reference_bit_depth, self.distorted_bit_depth
        if max(bit_depths) > 8:
            numbers.append(f"{bit_depths[1]}-bit against {bit_depths[0]}-bit")
        for name, value in list(self.to_dict().items())[4:]:
            unit = MEANINGS[name].unit
            text = "None" if value is None else f"{value:.4g}" + (f" {unit}" if unit != "1" else "")
            numbers.append(f"{name}={text}")
        return f"Scores({', '.join(numbers)})"


MEANINGS: dict[str, Meaning] = {
    **{column.name: column.metadata[_MEANING] for column in fields(Scores)},
    ERROR_KIND: Meaning("", None, "class of the error, such as ImageReadError; or null"),
    ERROR: Meaning("", None, "which file, and what is wrong with it; or null"),
}
"""The meaning of every column that scoring can write."""

OPTIONAL_METRICS = tuple(
    dict.fromkeys(
        column.metadata[_METRIC] for column in fields(Scores) if _METRIC in column.metadata
    )
)
"""Metrics that are measured only if asked for, by `Settings.metrics`."""

QUALITY_COLUMNS = tuple(name for name, meaning in MEANINGS.items() if meaning.better is not None)
"""Columns of scores that measure quality: what a preference model may see of an image."""


def optional_metric(column: str) -> str | None:
    """Return the name of the optional metric that a column of `Scores` belongs to, or None."""
    name: str | None = Scores.__dataclass_fields__[column].metadata.get(_METRIC)
    return name


def list_metrics(columns: Iterable[str]) -> tuple[str, ...]:
    """List the optional metrics that columns of `Scores` belong to, each once."""
    return tuple(dict.fromkeys(filter(None, map(optional_metric, columns))))


_ARROW = {int: "int32", float: "float64", float | None: "float64"}


def make_scores_schema(metrics: Iterable[str] = ()) -> "pa.Schema":
    """Return the columns that scoring adds to those of the manifest.

    Args:
        metrics: names of the optional metrics that are measured.
    """
    import pyarrow as pa  # here, because commands read names before they need tables

    numbers = [
        pa.field(
            column.name,
            _ARROW[column.type],  # type: ignore[index]
            metadata={
                "unit": MEANINGS[column.name].unit,
                "better": MEANINGS[column.name].better or "neither",
                "description": MEANINGS[column.name].text,
            },
        )
        for column in fields(Scores)
        if column.metadata.get(_METRIC) in (None, *metrics)
    ]
    errors = [
        pa.field(name, pa.string(), metadata={"description": MEANINGS[name].text})
        for name in (ERROR_KIND, ERROR)
    ]
    return pa.schema(numbers + errors)


@dataclass(frozen=True)
class Failure:
    """The reason why a row has no results: its columns `error_kind` and `error`.

    Attributes:
        kind: name of the error's class, such as `ImageReadError`; see `roi_ray.errors`.
        text: which file, and what is wrong with it.
    """

    kind: str
    text: str

    @classmethod
    def from_exception(cls, error: Exception, subject: str = "") -> "Failure":
        """Describe an exception.

        Args:
            error: any exception.
            subject: the file or pair that the error is about.
        """
        return cls(type(error).__name__, f"{subject}: {error}" if subject else str(error))

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


SWEEP_PLAN = {
    CODEC: ("string", Meaning("", None, "label of the codec with its options")),
    SETTINGS: ("string", Meaning("", None, "all options of the codec, defaults included")),
    TARGET_METRIC: ("string", Meaning("", None, "what was asked for: quality, bpp or a metric")),
    TARGET: ("float64", Meaning("", None, "its value")),
    BITSTREAM: ("string", Meaning("", None, "URI of the encoded file")),
}
"""Columns of a sweep's plan besides `pair_id`, `reference`, `distorted` and `mask`: Arrow type and
meaning. `distorted` is the encoded file, or the file that the codec's own decoder made."""

SWEEP_RESULTS = {
    QUALITY: ("float64", Meaning("", None, "quality on the codec's own scale")),
    REACHED: ("float64", Meaning("", None, "what the file has of target_metric")),
    BYTES: ("int64", Meaning("bytes", None, "size of the encoded file")),
    BPP: ("float64", Meaning("bits per pixel", None, "size of the encoded file")),
    ENCODE_SECONDS: ("float64", Meaning("s", None, "user and system time of encoding")),
    DECODE_SECONDS: ("float64", Meaning("s", None, "user and system time of decoding")),
    ENCODE_MEMORY: ("int64", Meaning("bytes", None, "peak memory of an external encoder")),
    DECODE_MEMORY: ("int64", Meaning("bytes", None, "peak memory of an external decoder")),
    OTHER_LOAD: ("float64", Meaning("cores", None, "cores busy with other work meanwhile")),
    PROCESSOR: ("string", Meaning("", None, "processor that measured the times")),
    CODEC_VERSION: ("string", Meaning("", None, "name and version of the encoder")),
    ERROR_KIND: ("string", MEANINGS[ERROR_KIND]),
    ERROR: ("string", MEANINGS[ERROR]),
}
"""Columns that encoding adds to the plan of a sweep: Arrow type and meaning."""

BASIC_FEATURES = ("psnr", "ms_ssim", "lpips", "d_loss")
ROI_FEATURES = ("roi_psnr", "roi_ms_ssim", "roi_lpips", "roi_d_loss")
PAPER_FEATURES = BASIC_FEATURES + ROI_FEATURES
"""The eight numbers per image that the paper's model sees."""

SIDES = ("a", "b")

CROP = ("crop_x", "crop_y", "crop_width", "crop_height")
"""Columns of a comparison in which people saw only a part of the images, in pixels."""


def pair_columns(features: Iterable[str]) -> list[str]:
    """Return the columns of the features of both sides of a comparison: `psnr_a`, ..."""
    features = list(features)
    return [f"{feature}_{side}" for side in SIDES for feature in features]


ROI_FRACTION = "roi_fraction"
PAIR_FRACTIONS = tuple(f"{ROI_FRACTION}_{side}" for side in SIDES)
"""Columns of a comparison with the mean of each side's mask: why features under it are null."""
