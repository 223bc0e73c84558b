"""The JSON documents of the service as types, for its OpenAPI document."""

from dataclasses import fields
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from roi_ray.schema import ERROR, ERROR_KIND, MEANINGS, Scores, optional_metric

_SHA256 = "d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d92b9a0c4bd5f5c1d1f2b6a"


def _example(value: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [value]})


class ErrorBody(BaseModel):
    """Why a request has no other answer."""

    model_config = _example(
        {
            "error_kind": "ImageReadError",
            "error": "reference x.png: not an image of a known format",
        }
    )
    error_kind: str = Field(description="kind of the error; it decides the status")
    error: str = Field(description="one line: what was wrong, and what to do")


class File(BaseModel):
    """A file that was sent or named."""

    name: str = Field(description="its file name or URI", examples=["photo.png"])
    sha256: str = Field(description="SHA-256 of its content", examples=[_SHA256])


class Reference(File):
    """The reference of a request."""

    cached: bool = Field(description="whether an earlier request had it prepared")


class Provenance(BaseModel):
    """What made the numbers."""

    roi_ray: str = Field(description="version of roi-ray", examples=["0.1.0"])
    scoring_version: int = Field(description="raised when a number of the scores changes")
    settings: dict[str, Any] = Field(description="networks and options that decide the numbers")
    weights: dict[str, Any] = Field(description="name and SHA-256 of each network's weights")


class Inputs(Provenance):
    """What made the numbers, and of what."""

    reference: Reference
    mask: File | None = Field(description="the mask that was sent; null: the saliency network's")


def _number_fields() -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for column in fields(Scores):
        meaning = MEANINGS[column.name]
        unit = f", in {meaning.unit}" if meaning.unit not in ("", "1") else ""
        note = "; only if asked for" if optional_metric(column.name) else ""
        text = meaning.text + unit + note
        numbers[column.name] = (float | None, Field(None, description=text))
    return numbers


def _error_fields() -> dict[str, Any]:
    return {
        name: (str | None, Field(description=MEANINGS[name].text)) for name in (ERROR_KIND, ERROR)
    }


ImageEntry = create_model(
    "ImageEntry",
    __doc__="The numbers of an image; without them if it has an error.",
    image=(str, Field(description="its file name or URI", examples=["photo-q50.jpg"])),
    sha256=(str | None, Field(description="SHA-256 of its content; null if it was not read")),
    **_number_fields(),
    **_error_fields(),
)


class ScoreBody(Inputs):
    """The numbers of the images of a request, in its order."""

    images: list[ImageEntry]  # type: ignore[valid-type]


class CompareBody(Inputs):
    """Which of two images people prefer."""

    preference: dict[str, Any] = Field(
        description="`probability` that people prefer `a`; `logit`, and the share of each "
        "measurement in it; `warnings`; `scores` of both",
        examples=[{"probability": 0.71, "logit": 0.9, "warnings": []}],
    )


class ReferenceBody(BaseModel):
    """A reference that is kept."""

    sha256: str = Field(examples=[_SHA256])
    bytes: int = Field(description="size of the file", examples=[614400])


class AboutBody(Provenance):
    """What the service is, and what it accepts."""

    limits: dict[str, float] = Field(description="what is accepted; more is refused")


class StatusBody(BaseModel):
    """That all is well."""

    status: str = Field(examples=["ok"])
