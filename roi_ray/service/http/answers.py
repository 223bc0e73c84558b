"""The JSON documents of the service's answers."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import roi_ray
from roi_ray.runtime.logs import escape_line
from roi_ray.schema import Failure, Scores
from roi_ray.scoring.entries import to_entry
from roi_ray.service.backend import ImageFile, Provenance
from roi_ray.service.options import Limits


def provenance_head(provenance: Provenance) -> dict[str, Any]:
    """Return what begins every answer: what made its numbers."""
    return {"roi_ray": roi_ray.__version__, **asdict(provenance)}


def input_head(
    provenance: Provenance, reference: ImageFile, mask: ImageFile | None, *, cached: bool
) -> dict[str, Any]:
    """Return what begins an answer about images: what made its numbers, and of what."""
    return {
        **provenance_head(provenance),
        "reference": {**_identify(reference), "cached": cached},
        "mask": None if mask is None else _identify(mask),
    }


def list_images(
    names: Sequence[str],
    files: Sequence[ImageFile | Failure],
    outcomes: Sequence[Scores | Failure],
) -> list[dict[str, Any]]:
    """Return an entry per image, in the order of the request.

    Args:
        names: their names.
        files: each file, or why it could not be read.
        outcomes: the outcome of each file that could be read.
    """
    remaining = iter(outcomes)
    return [
        _to_entry(name, None, file)
        if isinstance(file, Failure)
        else _to_entry(name, file.sha256, next(remaining))
        for name, file in zip(names, files, strict=True)
    ]


def _to_entry(name: str, sha256: str | None, outcome: Scores | Failure) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        outcome = Failure(outcome.kind, escape_line(outcome.text))
    return {"image": name, "sha256": sha256, **to_entry(outcome)}


def about_body(provenance: Provenance, limits: Limits) -> dict[str, Any]:
    """Return the body of `GET /v1/about`."""
    return {**provenance_head(provenance), "limits": asdict(limits)}


def _identify(file: ImageFile) -> dict[str, str]:
    return {"name": file.name, "sha256": file.sha256}
