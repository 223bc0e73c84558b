"""Names, types, units and directions of the columns of manifests, scores and comparisons.

All other modules take column names from here.
"""

from dataclasses import dataclass, fields
from typing import Literal

import pyarrow as pa

# Columns of a manifest and of scores. Other columns of a manifest are copied to the scores.
PAIR_ID = "pair_id"
REFERENCE = "reference"
DISTORTED = "distorted"
MASK = "mask"
ERROR_KIND = "error_kind"
ERROR = "error"

URIS = (REFERENCE, DISTORTED)
"""Columns that a manifest must have: local paths, or `file://` or `s3://` URIs.

Relative paths start from the folder of the manifest.
"""

# Columns that a sweep adds.
CODEC = "codec"
QUALITY = "quality"
BYTES = "bytes"
BPP = "bpp"


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
    REFERENCE: pa.string(),
    A: pa.string(),
    B: pa.string(),
    P_A: pa.float64(),
    VOTES: pa.int32(),
    RATER: pa.string(),
    TIE: pa.bool_(),
    GROUP: pa.string(),
    SPLIT: pa.string(),
    DATASET: pa.string(),
    GOLD: pa.bool_(),
    BPP_A: pa.float64(),
    BPP_B: pa.float64(),
    CODEC_A: pa.string(),
    CODEC_B: pa.string(),
    METHOD_A: pa.string(),
    METHOD_B: pa.string(),
}
"""Types of the columns of a comparison; all but the first three are optional.

`p_a` is the share or the probability of people who prefer `a`: 0..1, 0.5 for a tie. Rows of one
`group` are never split between training and test; it is the reference by default. `gold` marks
control questions, which no model is trained on. `codec_a` is an encoder, `method_a` an encoder at
one setting.
"""


@dataclass(frozen=True, repr=False)
class Scores:
    """The numbers of one pair: a reference and a distorted image.

    Each field is a column of the scores; `MEANINGS` has its unit and direction. Fields that begin
    with `roi_` are numbers under the mask of the region of interest.

    Attributes:
        width: width of both images in pixels.
        height: height of both images in pixels.
        reference_bit_depth: bits per sample of the reference, 8 to 16.
        distorted_bit_depth: bits per sample of the distorted image, 8 to 16.
        mse: mean squared error of sRGB values in [0, 1]; lower is better.
        psnr: -10 log10(mse) in dB, 100 at most; higher is better.
        ms_ssim: multi-scale structural similarity, in [0, 1]; higher is better.
        ms_ssim_scales: number of MS-SSIM scales that fit the image, 1 to 5.
        lpips: learned perceptual image patch similarity, 0 or more; lower is better.
        d_loss: mean softplus(-D) in nats, where D is the discriminator's logit of "real", 0 or
            more; lower is better.
        roi_mse: see `mse`.
        roi_psnr: see `psnr`.
        roi_ms_ssim: see `ms_ssim`.
        roi_lpips: see `lpips`.
        roi_d_loss: see `d_loss`.
        roi_fraction: mean of the mask, in [0, 1].

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

    width: int
    height: int
    reference_bit_depth: int
    distorted_bit_depth: int
    mse: float
    psnr: float
    ms_ssim: float
    ms_ssim_scales: int
    lpips: float
    d_loss: float
    roi_mse: float
    roi_psnr: float
    roi_ms_ssim: float
    roi_lpips: float
    roi_d_loss: float
    roi_fraction: float

    def to_dict(self) -> dict[str, int | float]:
        """Return the numbers by column, in the order of the columns."""
        return dict(vars(self))

    def __repr__(self) -> str:
        numbers = [f"{self.width} x {self.height}"]
        bit_depths = self.reference_bit_depth, self.distorted_bit_depth
        if max(bit_depths) > 8:
            numbers.append(f"{bit_depths[1]}-bit against {bit_depths[0]}-bit")
        for name, value in list(self.to_dict().items())[4:]:
            unit = MEANINGS[name].unit
            numbers.append(f"{name}={value:.4g}" + (f" {unit}" if unit != "1" else ""))
        return f"Scores({', '.join(numbers)})"


@dataclass(frozen=True)
class Failure:
    """The reason why a row has no scores: its columns `error_kind` and `error`.

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


BASIC_FEATURES = ("psnr", "ms_ssim", "lpips", "d_loss")
ROI_FEATURES = ("roi_psnr", "roi_ms_ssim", "roi_lpips", "roi_d_loss")
FEATURES = BASIC_FEATURES + ROI_FEATURES
"""The eight numbers per image that a preference model may see."""

SIDES = ("a", "b")

CROP = ("crop_x", "crop_y", "crop_width", "crop_height")
"""Columns of a comparison in which people saw only a part of the images, in pixels."""


def _feature_columns(side: str) -> list[str]:
    """Return the columns of one side's features: `psnr_a`, ..."""
    return [f"{feature}_{side}" for feature in FEATURES]


PAIR_FEATURES = (*_feature_columns("a"), *_feature_columns("b"))
"""Columns of the sixteen features of a comparison."""

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Meaning:
    """The meaning of the numbers of a column.

    Attributes:
        unit: unit of the numbers; `1` if they have none, empty for text.
        better: direction of better quality; None for columns that do not measure quality.
        text: description in one line.
    """

    unit: str
    better: Direction | None
    text: str


MEANINGS = {
    "width": Meaning("pixels", None, "width of both images"),
    "height": Meaning("pixels", None, "height of both images"),
    "reference_bit_depth": Meaning("bits", None, "bits per sample of the reference, 8 to 16"),
    "distorted_bit_depth": Meaning("bits", None, "bits per sample of the distorted image, 8 to 16"),
    "mse": Meaning("1", "lower", "mean squared error of sRGB values in [0, 1]"),
    "psnr": Meaning("dB", "higher", "-10 log10(mse), at most 100"),
    "ms_ssim": Meaning("1", "higher", "multi-scale structural similarity, in [0, 1]"),
    "ms_ssim_scales": Meaning("1", None, "scales that fit the image, of 5"),
    "lpips": Meaning("1", "lower", "learned perceptual image patch similarity, 0 or more"),
    "d_loss": Meaning("nat", "lower", "mean softplus(-D), D the discriminator's logit of 'real'"),
    "roi_mse": Meaning("1", "lower", "mse under the mask"),
    "roi_psnr": Meaning("dB", "higher", "-10 log10(roi_mse), at most 100"),
    "roi_ms_ssim": Meaning("1", "higher", "ms_ssim under the mask"),
    "roi_lpips": Meaning("1", "lower", "lpips under the mask"),
    "roi_d_loss": Meaning("nat", "lower", "d_loss under the mask"),
    "roi_fraction": Meaning("1", None, "mean of the mask, in [0, 1]"),
    ERROR_KIND: Meaning("", None, "class of the error, such as ImageReadError; null if scored"),
    ERROR: Meaning("", None, "which file, and what is wrong with it; null if scored"),
}

_ARROW = {int: pa.int32(), float: pa.float64()}

SCORES = pa.schema(
    [
        pa.field(
            field.name,
            _ARROW[field.type],  # type: ignore[index]
            metadata={
                "unit": MEANINGS[field.name].unit,
                "better": MEANINGS[field.name].better or "neither",
                "description": MEANINGS[field.name].text,
            },
        )
        for field in fields(Scores)
    ]
    + [
        pa.field(name, pa.string(), metadata={"description": MEANINGS[name].text})
        for name in (ERROR_KIND, ERROR)
    ]
)
"""The columns that scoring adds to those of the manifest."""
