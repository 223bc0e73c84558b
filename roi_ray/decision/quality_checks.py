"""Checks of the rows of a sweep's scores, each of which returns what it found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from roi_ray import schema
from roi_ray.decision.score_columns import MAX_EXAMPLES, ScoreColumns
from roi_ray.runtime.words import count_noun
from roi_ray.settings import EMPTY_MEAN, PSNR_CAP

Severity = Literal["error", "warning", "info"]

ALL_SCALES = 5


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


def _list_examples(names: pl.Series) -> tuple[str, ...]:
    return tuple(str(name) for name in names.head(MAX_EXAMPLES).to_list())


def count_failures(columns: ScoreColumns) -> dict[tuple[str, str], int]:
    """Count failed rows by codec and kind of error, the most frequent first."""
    failed = _read_failed(columns)
    counts = (
        failed.group_by(schema.CODEC, schema.ERROR_KIND)
        .len()
        .sort("len", schema.CODEC, descending=[True, False])
    )
    return {(str(codec), str(kind)): count for codec, kind, count in counts.iter_rows()}


def check_failures(columns: ScoreColumns, failures: Mapping[tuple[str, str], int]) -> list[Finding]:
    """Find codecs with failed rows.

    Args:
        columns: the scores.
        failures: what `count_failures` returns.
    """
    failed = _read_failed(columns)
    findings = []
    for codec in dict.fromkeys(codec for codec, _ in failures):
        kinds = {kind: count for (other, kind), count in failures.items() if other == codec}
        own = failed.filter(pl.col(schema.CODEC) == codec)
        total = sum(kinds.values())
        scored = codec in columns.scores.codecs
        listed = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
        text = f"{codec}: no scores of {count_noun(total, 'cell')} ({listed})" + (
            "." if scored else ", and none of any other: the codec is not compared."
        )
        severity: Severity = "warning" if scored else "error"
        examples = _list_examples(own[schema.ERROR].unique(maintain_order=True))
        findings.append(Finding("failed_rows", severity, text, total, examples))
    return findings


def _read_failed(columns: ScoreColumns) -> pl.DataFrame:
    """Read codec, error and kind of error of the failed rows."""
    if not columns.has(schema.ERROR):
        empty = (schema.CODEC, schema.ERROR, schema.ERROR_KIND)
        return pl.DataFrame(schema=dict.fromkeys(empty, pl.String))
    kind = [schema.ERROR_KIND] * columns.has(schema.ERROR_KIND)
    failed = columns.read(schema.CODEC, schema.ERROR, *kind).filter(
        pl.col(schema.ERROR).is_not_null()
    )
    if not kind:
        failed = failed.with_columns(pl.lit("error").alias(schema.ERROR_KIND))
    return columns.decode(failed)


_POINT_COLUMNS = ((schema.TARGET_METRIC, schema.TARGET), (schema.QUALITY,))


def check_grid(columns: ScoreColumns) -> list[Finding]:
    """Find cells, images x points of a codec, that have no row at all, not even a failed one."""
    point = next((names for names in _POINT_COLUMNS if columns.has(*names)), None)
    if point is None:
        text = (
            "The rows do not say what was asked for (no target, no quality): points are numbered "
            "by the bit rate of each image, and missing cells cannot be told."
        )
        return [Finding("points_without_names", "info", text, columns.scores.row_count)]
    rows = columns.read(schema.CODEC, schema.REFERENCE, *point).drop_nulls(schema.REFERENCE)
    images = len(columns.scores.images)
    findings = []
    # Codec by codec, because all cells together take much memory.
    for codec in rows[schema.CODEC].drop_nulls().unique().to_list():
        cells = rows.filter(pl.col(schema.CODEC) == codec).unique()
        if cells.drop_nulls(point).height < cells.height:
            continue  # rows that name no point may be any cell
        missing = cells.select(point).n_unique() * images - cells.height
        if missing <= 0:
            continue
        name = str(columns.decode(cells.head(1))[schema.CODEC][0])
        examples = tuple(
            f"{row[schema.REFERENCE]} at {'='.join(str(row[name]) for name in point)}"
            for row in columns.decode(_find_absent(cells, images, point)).iter_rows(named=True)
        )
        text = f"{name}: {count_noun(missing, 'cell')} missing, of all images at all its points."
        findings.append(Finding("missing_cells", "warning", text, missing, examples))
    return sorted(findings, key=lambda finding: finding.text)


def _find_absent(cells: pl.DataFrame, images: int, point: tuple[str, ...]) -> pl.DataFrame:
    """Find the first few cells that a codec lacks."""
    numbers = pl.DataFrame({schema.REFERENCE: pl.Series(range(images), dtype=pl.Int32)})
    grid = numbers.join(cells.select(point).unique(), how="cross")
    absent = grid.join(cells, on=[schema.REFERENCE, *point], how="anti", nulls_equal=True)
    return absent.sort(schema.REFERENCE, *point).head(MAX_EXAMPLES)


def check_bit_depths(columns: ScoreColumns) -> list[Finding]:
    """Find references of several bit depths, and codecs that lose bits."""
    reference, distorted = "reference_bit_depth", "distorted_bit_depth"
    if not columns.has(reference, distorted):
        return []
    rows = columns.read(schema.CODEC, schema.REFERENCE, reference, distorted).drop_nulls()
    findings = []
    images = rows.unique([schema.REFERENCE, reference]).group_by(reference).len().sort(reference)
    if images.height > 1:
        listed = ", ".join(
            f"{count_noun(count, 'image')} of {depth} bits" for depth, count in images.iter_rows()
        )
        text = f"The references differ in bit depth: {listed}."
        findings.append(Finding("mixed_reference_depths", "info", text, int(images["len"].sum())))
    shallow = rows.filter(pl.col(distorted) < pl.col(reference)).group_by(schema.CODEC)
    lost = shallow.agg(pl.len(), pl.col(schema.REFERENCE).unique().sort().head(MAX_EXAMPLES))
    for codec, count, numbers in columns.decode(lost).sort(schema.CODEC).iter_rows():
        text = (
            f"{codec}: fewer bits per sample than the reference in {count_noun(count, 'cell')}, "
            "which costs quality."
        )
        examples = tuple(columns.scores.images[number] for number in numbers)
        findings.append(Finding("lost_depth", "warning", text, count, examples))
    # One depth of the reference, several of the codec: something else decides the depth.
    depths = rows.group_by(schema.CODEC, reference).agg(pl.col(distorted).unique().sort(), pl.len())
    several = columns.decode(depths.filter(pl.col(distorted).list.len() > 1))
    for codec, depth, found, count in several.sort(schema.CODEC, reference).iter_rows():
        text = (
            f"{codec}: decoded images of {' and '.join(map(str, found))} bits for references of "
            f"{depth} bits."
        )
        findings.append(Finding("mixed_depths", "warning", text, count))
    return findings


def check_numbers(columns: ScoreColumns) -> list[Finding]:
    """Find numbers at the limits of their metric, and images without a region of interest."""
    found = (
        _check_bit_rates(columns),
        _check_scales(columns),
        _check_regions(columns),
        _check_lossless(columns),
        _check_saturated(columns),
    )
    return [finding for finding in found if finding is not None]


def _check_bit_rates(columns: ScoreColumns) -> Finding | None:
    if not columns.has(schema.BPP):
        return None
    rate = pl.col(schema.BPP).cast(pl.Float64, strict=False)  # may be text, as in CSV
    # NaN is above 0 in polars, and not finite.
    impossible = ~((rate > 0) & rate.is_finite())
    names = [name for name in (schema.BPP, schema.ERROR) if columns.has(name)]
    if schema.ERROR in names:
        impossible &= pl.col(schema.ERROR).is_null()
    rows = columns.read(*names).select(pl.arg_where(impossible)).to_series()
    if not len(rows):
        return None
    text = (
        f"{count_noun(len(rows), 'cell')} with a bit rate that is zero, negative or not finite, "
        "which is no point of a curve: correct the column bpp."
    )
    return Finding("bit_rates", "error", text, len(rows), columns.name_cells(rows))


def _check_scales(columns: ScoreColumns) -> Finding | None:
    images = _find_images(columns, "ms_ssim_scales", ALL_SCALES)
    if not images:
        return None
    text = (
        f"Too small for five scales of MS-SSIM: {count_noun(len(images), 'image')}. Their "
        "ms_ssim is not comparable with that of larger images."
    )
    return Finding("few_scales", "warning", text, len(images), tuple(images[:MAX_EXAMPLES]))


def _check_regions(columns: ScoreColumns) -> Finding | None:
    images = _find_images(columns, schema.ROI_FRACTION, EMPTY_MEAN)
    if not images:
        return None
    text = (
        f"{count_noun(len(images), 'image')} without a region of interest: numbers of the region "
        "(roi_*) are of the other images."
    )
    return Finding("no_region", "info", text, len(images), tuple(images[:MAX_EXAMPLES]))


def _find_images(columns: ScoreColumns, column: str, limit: float) -> list[str]:
    """Find the images with a cell whose number is below a limit."""
    if not columns.has(column):
        return []
    low = columns.read(schema.REFERENCE, column).filter(pl.col(column) < limit)
    numbers = low[schema.REFERENCE].drop_nulls().unique().sort()
    return [columns.scores.images[number] for number in numbers.to_list()]


def _check_lossless(columns: ScoreColumns) -> Finding | None:
    if not columns.has("mse"):
        return None
    rows = columns.read("mse").select(pl.arg_where(pl.col("mse") == 0)).to_series()
    if not len(rows):
        return None
    text = (
        f"{count_noun(len(rows), 'lossless cell')}: PSNR, which would be infinite, is set to "
        f"{PSNR_CAP:g} dB."
    )
    return Finding("lossless", "info", text, len(rows), columns.name_cells(rows))


def _check_saturated(columns: ScoreColumns) -> Finding | None:
    if not columns.has("psnr", "mse"):
        return None
    is_saturated = (pl.col("psnr") >= PSNR_CAP) & (pl.col("mse") > 0)
    rows = columns.read("psnr", "mse").select(pl.arg_where(is_saturated)).to_series()
    if not len(rows):
        return None
    text = (
        f"{count_noun(len(rows), 'cell')} at the limit of PSNR, {PSNR_CAP:g} dB, without being "
        "lossless: differences above it do not show."
    )
    return Finding("saturated_psnr", "warning", text, len(rows), columns.name_cells(rows))


_ONE_PER_CODEC = {
    schema.CODEC_VERSION: ("several_versions", "versions"),
    schema.SETTINGS: ("several_settings", "settings"),
    schema.PROCESSOR: ("several_processors", "processors"),
}


def check_labels(columns: ScoreColumns) -> list[Finding]:
    """Find codecs whose label stands for several versions or settings, or several processors."""
    findings = []
    for column, (name, noun) in _ONE_PER_CODEC.items():
        if not columns.has(column):
            continue
        values = columns.decode(columns.read(schema.CODEC, column).drop_nulls().unique())
        several = (
            values.group_by(schema.CODEC)
            .agg(pl.col(column).sort())
            .filter(pl.col(column).list.len() > 1)
            .sort(schema.CODEC)
        )
        for codec, names in several.iter_rows():
            subject = "times" if column == schema.PROCESSOR else "cells"
            text = f"{codec}: its {subject} are of {len(names)} {noun}."
            examples = tuple(names[:MAX_EXAMPLES])
            findings.append(Finding(name, "warning", text, len(names), examples))
    return findings
