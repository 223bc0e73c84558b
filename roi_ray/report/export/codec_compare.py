"""Scores as the JSON that the page of Codec-Compare shows.

The format: README of https://github.com/webmproject/codec-compare, "Plug data at serve time": a
file per batch, which is a codec with its settings, and a list of the files. The names of fields
that the page knows are those of its `src/entry.ts`.

The page takes null for the number 0, so that a field with a null is left out of its batch.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from posixpath import basename
from typing import Any

from roi_ray import schema
from roi_ray.report.export.selection import Selection, describe_nulls, name_files

LIST_NAME = "batches.json"

_NAMED: Mapping[str, tuple[str, str]] = {
    "width": ("width", "Width of the original image in pixels"),
    "height": ("height", "Height of the original image in pixels"),
    "reference_bit_depth": ("depth", "Bits per sample of the original image"),
    schema.QUALITY: ("quality", "Quality parameter of the encoder, on its own scale"),
    schema.BYTES: ("encoded_size", "Size of the encoded file in bytes"),
    schema.BPP: ("bpp", "Size of the encoded file in bits per pixel"),
    schema.ENCODE_SECONDS: ("encoding_time", "Processor time of encoding in seconds"),
    schema.DECODE_SECONDS: ("decoding_time", "Processor time of decoding in seconds"),
    "ms_ssim": ("msssim", "Distortion metric MS-SSIM: multi-scale structural similarity"),
}
"""Columns of scores that the page knows by another name, or that need a description."""

_METRICS = tuple(name for name, meaning in schema.MEANINGS.items() if meaning.better)


def make_batches(selection: Selection) -> tuple[dict[str, bytes], list[str]]:
    """Make the files of an export.

    Args:
        selection: the cells to export.

    Returns:
        content of each file by its name, and what was left out, one sentence each.
    """
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    nulls: dict[str, dict[str, int]] = {}
    names = name_files(selection.codecs, ".json")
    original_names = _name_originals(selection.scores.images)
    for codec in selection.codecs:
        if not len(selection.image_of_cells(codec)):
            left_out.append(f"{codec}: it has no cell with scores")
            continue
        fields, omitted = _read_fields(selection, codec, original_names)
        for column, count in omitted.items():
            nulls.setdefault(column, {})[codec] = count
        constants = _read_constants(selection, codec, omitted)
        files[names[codec]] = _format_batch(constants, fields)
    left_out += describe_nulls(nulls)
    files[LIST_NAME] = (json.dumps([[name] for name in files], indent=2) + "\n").encode()
    return files, left_out


def _name_originals(images: Sequence[str]) -> tuple[str, ...]:
    """Name originals by their files; by the whole path where two files have the same name."""
    names = tuple(basename(image) for image in images)
    return names if len(set(names)) == len(names) else tuple(images)


def _read_fields(
    selection: Selection, codec: str, original_names: Sequence[str]
) -> tuple[list[tuple[str, str, list[Any]]], dict[str, int]]:
    """Read the fields of a batch: name, description and values; and the nulls of those without."""
    originals = [original_names[image] for image in selection.image_of_cells(codec)]
    fields = [
        ("original_name", "File name of the original image", originals),
        ("encoded_name", "Encoded file", selection.read(codec, schema.DISTORTED)),
    ]
    omitted: dict[str, int] = {}
    for column in (*_NAMED, *(name for name in _METRICS if name not in _NAMED)):
        if column not in selection.scores.column_names:
            continue
        values = selection.read(codec, column)
        if nulls := sum(value is None for value in values):
            omitted[column] = nulls
            continue
        name, text = _NAMED.get(column) or (column, _describe(column))
        fields.append((name, text, values))
    if schema.BYTES not in selection.scores.column_names:
        fields += _compute_sizes({name: values for name, _, values in fields})
    return fields, omitted


def _compute_sizes(fields: Mapping[str, list[Any]]) -> list[tuple[str, str, list[Any]]]:
    """Compute the sizes of files, which the page compares first, where only bit rates are known."""
    if not {"bpp", "width", "height"} <= fields.keys():
        return []
    sizes = [
        round(bpp * width * height / 8)
        for bpp, width, height in zip(*(fields[n] for n in ("bpp", "width", "height")), strict=True)
    ]
    return [("encoded_size", "Size of the encoded file in bytes, computed from bpp", sizes)]


def _describe(column: str) -> str:
    meaning = schema.MEANINGS[column]
    unit = f" in {meaning.unit}" if meaning.unit != "1" else ""
    return f"Distortion metric {column}{unit}: {meaning.text} ({meaning.better} is better)"


def _read_constants(
    selection: Selection, codec: str, omitted: Mapping[str, int]
) -> list[tuple[str, str, str]]:
    """Read the constants of a batch: name, description and value, a text."""
    scores = selection.scores
    run = scores.run or {}

    def join(column: str) -> str:
        if column not in scores.column_names:
            return ""
        return ", ".join(sorted({value for value in selection.read(codec, column) if value}))

    config = run.get("config", {})
    weights = {
        network: [f"{file['name']} {file['sha256']}" for file in files]
        for network, files in config.get("weights", {}).items()
    }
    constants = [
        ("name", "Name of this batch", codec),
        ("codec", "Name of the codec used to generate this data", codec),
        (
            "version",
            "Version of the codec used to generate this data",
            join(schema.CODEC_VERSION) or "unknown",
        ),
        ("time", "When scoring began", str(run.get("started", ""))),
        ("settings", "All options of the codec", join(schema.SETTINGS)),
        ("hardware", "Processor that measured the times", join(schema.PROCESSOR)),
        ("manifest", "Manifest that was scored", str(run.get("manifest", {}).get("given", ""))),
        ("scored_with", "Package that computed the metrics", _describe_package(run)),
        ("weights", "Weights of the networks, with SHA-256", json.dumps(weights) * bool(weights)),
        (
            "left_out",
            "Columns of the scores that are null in some cells, whose number is in brackets",
            ", ".join(f"{column} ({count})" for column, count in omitted.items()),
        ),
    ]
    return [constant for constant in constants if constant[2]]


def _describe_package(run: Mapping[str, Any]) -> str:
    if not run:
        return ""
    precision = run.get("config", {}).get("precision", "unknown")
    return (
        f"roi-ray {run.get('roi_ray')}, scoring version {run.get('scoring_version')}, "
        f"precision {precision}"
    )


def _format_batch(
    constants: Iterable[tuple[str, str, str]], fields: Sequence[tuple[str, str, list[Any]]]
) -> bytes:
    constants = list(constants)
    head = json.dumps(
        {
            "constant_descriptions": [{name: text} for name, text, _ in constants],
            "constant_values": [value for _, _, value in constants],
            "field_descriptions": [{name: text} for name, text, _ in fields],
        },
        indent=2,
    )
    rows = zip(*(values for _, _, values in fields), strict=True)
    lines = ",\n".join(f"    {json.dumps(row, allow_nan=False)}" for row in rows)
    return f'{head[:-2]},\n  "field_values": [\n{lines}\n  ]\n}}\n'.encode()
