"""Checks of the rows of a sweep's scores, each of which returns what it found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from roi_ray import schema
from roi_ray.decision.sweep_scores import SweepScores

Severity = Literal["error", "warning", "info"]

MIN_FRACTION = 1e-6
"""Mean of a mask below which there is no region of interest."""

ALL_SCALES = 5
MAX_PSNR = 100.0

MAX_EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """Something that a reader of the scores should know.

    Attributes:
        name: short name that does not change, such as `failed_rows`.
        severity: `error`: part of the scores is missing or wrong; `warning`: numbers may not be
            comparable; `info`: worth knowing.
        text: one sentence.
        count: number of cells, images, files or pairs that it is about.
        examples: some of them, as text.
    """

    name: str
    severity: Severity
    text: str
    count: int
    examples: tuple[str, ...] = ()


def count_noun(number: int, noun: str) -> str:
    """Write a number and what it counts: `1 image`, `2 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _frame(scores: SweepScores, *names: str) -> pl.DataFrame:
    return pl.DataFrame([scores.column(name).alias(name) for name in names])


def _has(scores: SweepScores, *names: str) -> bool:
    return set(names) <= set(scores.column_names)


def _examples(names: pl.Series) -> tuple[str, ...]:
    return tuple(str(name) for name in names.head(MAX_EXAMPLES).to_list())


def count_failures(scores: SweepScores) -> dict[tuple[str, str], int]:
    """Count failed rows by codec and kind of error, the most frequent first."""
    if not _has(scores, schema.ERROR):
        return {}
    names = [schema.CODEC, schema.ERROR] + [schema.ERROR_KIND] * _has(scores, schema.ERROR_KIND)
    failed = _frame(scores, *names).filter(pl.col(schema.ERROR).is_not_null())
    if schema.ERROR_KIND not in names:
        failed = failed.with_columns(pl.lit("error").alias(schema.ERROR_KIND))
    counts = failed.group_by(schema.CODEC, schema.ERROR_KIND).len().sort("len", descending=True)
    return {(str(codec), str(kind)): count for codec, kind, count in counts.iter_rows()}


def check_failures(scores: SweepScores, failures: Mapping[tuple[str, str], int]) -> list[Finding]:
    """Find codecs with failed rows.

    Args:
        scores: the scores.
        failures: what `count_failures` returns.
    """
    if not failures:
        return []
    frame = _frame(scores, schema.CODEC, schema.ERROR).filter(pl.col(schema.ERROR).is_not_null())
    findings = []
    for codec in dict.fromkeys(codec for codec, _ in failures):
        kinds = {kind: count for (other, kind), count in failures.items() if other == codec}
        texts = frame.filter(pl.col(schema.CODEC) == codec)[schema.ERROR].unique(
            maintain_order=True
        )
        total = sum(kinds.values())
        scored = codec in scores.codecs
        listed = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
        text = f"{codec}: no scores of {count_noun(total, 'cell')} ({listed})" + (
            "." if scored else ", and none of any other: the codec is not compared."
        )
        severity: Severity = "warning" if scored else "error"
        findings.append(Finding("failed_rows", severity, text, total, _examples(texts)))
    return findings


def check_grid(scores: SweepScores) -> list[Finding]:
    """Find cells, images x points of a codec, that have no row at all, not even a failed one."""
    point = next(
        (
            names
            for names in ((schema.TARGET_METRIC, schema.TARGET), (schema.QUALITY,))
            if _has(scores, *names)
        ),
        None,
    )
    if point is None:
        text = (
            "The rows do not say what was asked for (no target, no quality): points are numbered "
            "by the bit rate of each image, and missing cells cannot be told."
        )
        return [Finding("points_without_names", "info", text, scores.row_count)]
    cells = _frame(scores, schema.CODEC, schema.REFERENCE, *point).unique()
    points = cells.select(schema.CODEC, *point).unique().group_by(schema.CODEC).len("points")
    rows = cells.group_by(schema.CODEC).len("rows").join(points, on=schema.CODEC)
    gaps = rows.with_columns(
        missing=pl.col("points").cast(pl.Int64) * len(scores.images) - pl.col("rows")
    ).filter(pl.col("missing") > 0)
    findings = []
    for codec, missing in gaps.select(schema.CODEC, "missing").sort(schema.CODEC).iter_rows():
        own = cells.filter(pl.col(schema.CODEC) == codec).drop(schema.CODEC)
        grid = (
            own.select(point)
            .unique()
            .join(pl.DataFrame({schema.REFERENCE: scores.images}), how="cross")
        )
        absent = grid.join(own, on=[schema.REFERENCE, *point], how="anti", nulls_equal=True)
        named = absent.sort(schema.REFERENCE, *point).head(MAX_EXAMPLES).iter_rows(named=True)
        examples = tuple(
            f"{row[schema.REFERENCE]} at {'='.join(str(row[name]) for name in point)}"
            for row in named
        )
        text = f"{codec}: {count_noun(missing, 'cell')} missing, of all images at all its points."
        findings.append(Finding("missing_cells", "warning", text, int(missing), examples))
    return findings


def check_bit_depths(scores: SweepScores) -> list[Finding]:
    """Find references of several bit depths, and codecs that lose bits."""
    reference, distorted = "reference_bit_depth", "distorted_bit_depth"
    if not _has(scores, reference, distorted):
        return []
    frame = _frame(scores, schema.CODEC, schema.REFERENCE, reference, distorted).drop_nulls()
    findings = []
    images = frame.unique([schema.REFERENCE, reference]).group_by(reference).len().sort(reference)
    if images.height > 1:
        listed = ", ".join(
            f"{count_noun(count, 'image')} of {depth} bits" for depth, count in images.iter_rows()
        )
        text = f"The references differ in bit depth: {listed}."
        findings.append(Finding("mixed_reference_depths", "info", text, int(images["len"].sum())))
    for (codec,), part in frame.sort(schema.CODEC).group_by(schema.CODEC, maintain_order=True):
        shallow = part.filter(pl.col(distorted) < pl.col(reference))
        if shallow.height:
            text = (
                f"{codec}: fewer bits per sample than the reference in "
                f"{count_noun(shallow.height, 'cell')}, which costs quality."
            )
            examples = _examples(shallow[schema.REFERENCE].unique(maintain_order=True))
            findings.append(Finding("lost_depth", "warning", text, shallow.height, examples))
        # One depth of the reference, several of the codec: something else decides the depth.
        depths = part.group_by(reference).agg(pl.col(distorted).unique().sort())
        several = depths.filter(pl.col(distorted).list.len() > 1).sort(reference)
        for depth, found in several.iter_rows():
            text = (
                f"{codec}: decoded images of {' and '.join(map(str, found))} bits for references "
                f"of {depth} bits."
            )
            findings.append(Finding("mixed_depths", "warning", text, part.height))
    return findings


def check_numbers(scores: SweepScores) -> list[Finding]:
    """Find numbers at the limits of their metric, and images without a region of interest."""
    found = (
        _check_scales(scores),
        _check_regions(scores),
        _check_lossless(scores),
        _check_saturated(scores),
    )
    return [finding for finding in found if finding is not None]


def _check_scales(scores: SweepScores) -> Finding | None:
    images = _find_images(scores, "ms_ssim_scales", ALL_SCALES)
    if not len(images):
        return None
    text = (
        f"{count_noun(len(images), 'image')} too small for five scales of MS-SSIM: ms_ssim is then "
        "not comparable with that of larger images."
    )
    return Finding("few_scales", "warning", text, len(images), _examples(images))


def _check_regions(scores: SweepScores) -> Finding | None:
    images = _find_images(scores, schema.ROI_FRACTION, MIN_FRACTION)
    if not len(images):
        return None
    text = (
        f"{count_noun(len(images), 'image')} without a region of interest: numbers of the region "
        "(roi_*) are of the other images."
    )
    return Finding("no_region", "info", text, len(images), _examples(images))


def _check_lossless(scores: SweepScores) -> Finding | None:
    if not _has(scores, "mse"):
        return None
    cells = _frame(scores, schema.DISTORTED, "mse").filter(pl.col("mse") == 0)
    if not cells.height:
        return None
    text = (
        f"{count_noun(cells.height, 'lossless cell')}: PSNR, which would be infinite, is set to "
        f"{MAX_PSNR:g} dB."
    )
    return Finding("lossless", "info", text, cells.height, _examples(cells[schema.DISTORTED]))


def _check_saturated(scores: SweepScores) -> Finding | None:
    if not _has(scores, "psnr", "mse"):
        return None
    cells = _frame(scores, schema.DISTORTED, "psnr", "mse").filter(
        (pl.col("psnr") >= MAX_PSNR) & (pl.col("mse") > 0)
    )
    if not cells.height:
        return None
    text = (
        f"{count_noun(cells.height, 'cell')} at the limit of PSNR, {MAX_PSNR:g} dB, without being "
        "lossless: differences above it do not show."
    )
    examples = _examples(cells[schema.DISTORTED])
    return Finding("saturated_psnr", "warning", text, cells.height, examples)


def _find_images(scores: SweepScores, column: str, limit: float) -> pl.Series:
    """Find the images with a cell whose number is below a limit."""
    if not _has(scores, column):
        return pl.Series(schema.REFERENCE, [], pl.String)
    frame = _frame(scores, schema.REFERENCE, column)
    low = frame.filter(pl.col(column) < limit)
    return low[schema.REFERENCE].unique(maintain_order=True)


_ONE_PER_CODEC = {
    schema.CODEC_VERSION: ("several_versions", "versions"),
    schema.SETTINGS: ("several_settings", "settings"),
    schema.PROCESSOR: ("several_processors", "processors"),
}


def check_labels(scores: SweepScores) -> list[Finding]:
    """Find codecs whose label stands for several versions or settings, or several processors."""
    findings = []
    for column, (name, noun) in _ONE_PER_CODEC.items():
        if not _has(scores, column):
            continue
        frame = _frame(scores, schema.CODEC, column).drop_nulls().unique()
        several = (
            frame.group_by(schema.CODEC)
            .agg(pl.col(column).sort())
            .filter(pl.col(column).list.len() > 1)
            .sort(schema.CODEC)
        )
        for codec, values in several.iter_rows():
            subject = "times" if column == schema.PROCESSOR else "cells"
            text = f"{codec}: its {subject} are of {len(values)} {noun}."
            examples = tuple(values[:MAX_EXAMPLES])
            findings.append(Finding(name, "warning", text, len(values), examples))
    return findings
