"""How long codecs take, and which of them nobody beats in both time and BD-rate."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy import special

from roi_ray import schema
from roi_ray.decision.pchip import Floats
from roi_ray.decision.resampling import Estimate
from roi_ray.decision.savings import Savings
from roi_ray.decision.score_table import SweepScores
from roi_ray.preference.statistics.intervals import CONFIDENCE, MIN_REFERENCES

Direction = Literal["encode", "decode"]
DIRECTIONS: tuple[Direction, ...] = ("encode", "decode")

SECONDS: Mapping[Direction, str] = {
    "encode": schema.ENCODE_SECONDS,
    "decode": schema.DECODE_SECONDS,
}
MEMORY: Mapping[Direction, str] = {
    "encode": schema.ENCODE_MEMORY,
    "decode": schema.DECODE_MEMORY,
}

MAX_OTHER_LOAD = 0.1
"""Cores busy with other work above which a time is not comparable; see `roi_ray/sweep/README.md`.

Other work fills the caches and slows the clock, so that the same code needs more processor time.
"""


@dataclass(frozen=True)
class CodecTimes:
    """How long one codec takes to encode or to decode, and how much memory it needs.

    Attributes:
        seconds: seconds of processor time (user and system) per megapixel, the median over all
            cells with a time. Its interval is over images, see `median_over_images`.
        cells: number of cells with a time.
        memory: peak memory in bytes, the largest of all cells; None where it was not measured, as
            for codecs that run within the sweep's own process.
    """

    seconds: Estimate
    cells: int
    memory: int | None


@dataclass(frozen=True)
class Front:
    """Which codecs no other codec beats: in time per megapixel, and in the mean BD-rate.

    Attributes:
        direction: whether the time is that of encoding or of decoding.
        metric: metric of the BD-rates.
        points: seconds per megapixel and mean BD-rate in percent of each codec that has both, the
            fastest first. The BD-rate of the anchor is 0.
        best: codecs on the front, the fastest first: no other codec is at least as good in both
            and better in one.
        excluded: codecs without such a point: why, in words.
    """

    direction: Direction
    metric: str
    points: Mapping[str, tuple[float, float]]
    best: tuple[str, ...]
    excluded: Mapping[str, str]


@dataclass(frozen=True)
class Times:
    """How long the codecs of a sweep take.

    Attributes:
        encode: time and memory of encoding by codec; codecs without a time are not in it.
        decode: the same of decoding.
        fronts: Pareto fronts of time and BD-rate, by direction and metric; empty without times.
        notes: why times of different codecs may not be comparable, one sentence each.
        reason: why there are no times at all, in words; None if there are.
    """

    encode: Mapping[str, CodecTimes]
    decode: Mapping[str, CodecTimes]
    fronts: Mapping[tuple[Direction, str], Front]
    notes: tuple[str, ...]
    reason: str | None

    def of(self, direction: Direction) -> Mapping[str, CodecTimes]:
        """Return time and memory of encoding or of decoding, by codec."""
        return self.encode if direction == "encode" else self.decode


def measure_times(
    scores: SweepScores,
    anchor: str,
    metrics: Sequence[str],
    savings: Savings,
    codecs: Sequence[str] | None = None,
) -> Times:
    """Summarize the times of a sweep, and find the Pareto fronts of time and BD-rate.

    Args:
        scores: scores of a sweep; their times are in `encode_seconds` and `decode_seconds`.
        anchor: codec that the BD-rates are against.
        metrics: metrics of the BD-rates.
        savings: BD-rates by codec and metric.
        codecs: codecs to include; all by default.
    """
    names = tuple(scores.codecs if codecs is None else codecs)
    encode, decode = _time_codecs(scores, names, "encode"), _time_codecs(scores, names, "decode")
    if not encode and not decode:
        reason = "the scores have no times: they are not of `roi-ray sweep`"
        if any(column in scores.column_names for column in SECONDS.values()):
            reason = "no cell has a time: the sweep could not measure any"
        return Times({}, {}, {}, (), reason)
    by_direction: dict[Direction, dict[str, CodecTimes]] = {"encode": encode, "decode": decode}
    fronts = {
        (direction, metric): find_front(direction, metric, times, anchor, savings, names)
        for direction, times in by_direction.items()
        for metric in metrics
        if times
    }
    return Times(encode, decode, fronts, _note_conditions(scores, names), None)


def find_front(
    direction: Direction,
    metric: str,
    times: Mapping[str, CodecTimes],
    anchor: str,
    savings: Savings,
    codecs: Sequence[str],
) -> Front:
    """Find the codecs that no other codec beats in both time and mean BD-rate.

    Args:
        direction: whether `times` are of encoding or of decoding.
        metric: metric of the BD-rates.
        times: times by codec.
        anchor: codec that the BD-rates are against; its own is 0.
        savings: BD-rates by codec and metric.
        codecs: codecs to include.
    """
    points: dict[str, tuple[float, float]] = {}
    excluded: dict[str, str] = {}
    for codec in codecs:
        saving = savings.get((codec, metric))
        if codec not in times:
            excluded[codec] = f"no time to {direction} was measured"
        elif codec == anchor:
            points[codec] = (times[codec].seconds.value, 0.0)
        elif saving is None or saving.mean is None:
            reason = saving.reason if saving else None
            excluded[codec] = f"no valid BD-rate of {metric}: {reason or 'it was not computed'}"
        else:
            points[codec] = (times[codec].seconds.value, saving.mean.value)
    order = sorted(points, key=lambda codec: points[codec])
    best = tuple(codec for codec in order if not _is_beaten(points[codec], points.values()))
    return Front(direction, metric, {codec: points[codec] for codec in order}, best, excluded)


def _is_beaten(point: tuple[float, float], others: Collection[tuple[float, float]]) -> bool:
    return any(other[0] <= point[0] and other[1] <= point[1] and other != point for other in others)


def median_over_images(values: Floats) -> Estimate:
    """Estimate a median over cells, with its 95 % interval over images.

    The interval is that of Woodruff (Journal of the American Statistical Association 47, 1952):
    the standard error of the share of cells below the median, with images as clusters, tells
    between which quantiles the median of all images is. It takes Student's t for the number of
    images.

    Args:
        values: a number for each image and point, (images, K); NaN where there is none. At least
            one is a number.

    Returns:
        the median; no interval for fewer than `MIN_REFERENCES` images.
    """
    measured = values[np.isfinite(values).any(axis=1)]
    present = np.isfinite(measured)
    numbers = np.sort(measured[present])
    median = float(np.median(numbers))
    images = len(measured)
    if images < MIN_REFERENCES:
        return Estimate(median, None, None)
    # A cell at the median counts half, so that ties do not move the share away from one half.
    below = np.where(measured < median, 1.0, np.where(measured == median, 0.5, 0.0)) * present
    counts = present.sum(axis=1)
    share = below.sum() / counts.sum()
    scatter = np.square(below.sum(axis=1) - share * counts).sum() * images / (images - 1)
    half = -special.stdtrit(images - 1, (1 - CONFIDENCE) / 2) * np.sqrt(scatter) / counts.sum()
    low, high = np.quantile(numbers, np.clip([0.5 - half, 0.5 + half], 0, 1))
    return Estimate(median, min(float(low), median), max(float(high), median))


def _time_codecs(
    scores: SweepScores, codecs: Sequence[str], direction: Direction
) -> dict[str, CodecTimes]:
    columns = set(scores.column_names)
    size = {"width", "height"}
    if SECONDS[direction] not in columns or not size <= columns:
        return {}
    timed = {}
    for codec in codecs:
        pixels = scores.values(codec, "width") * scores.values(codec, "height")
        seconds = scores.values(codec, SECONDS[direction]) / (pixels / 1e6)
        cells = int(np.isfinite(seconds).sum())
        if cells:
            memory = _find_peak_memory(scores, codec, direction)
            timed[codec] = CodecTimes(median_over_images(seconds), cells, memory)
    return timed


def _find_peak_memory(scores: SweepScores, codec: str, direction: Direction) -> int | None:
    if MEMORY[direction] not in scores.column_names:
        return None
    memory = scores.values(codec, MEMORY[direction])
    return int(np.nanmax(memory)) if np.isfinite(memory).any() else None


def _note_conditions(scores: SweepScores, codecs: Sequence[str]) -> tuple[str, ...]:
    """Say why times may not be comparable: several processors, or other work meanwhile."""
    columns = set(scores.column_names)
    notes = []
    chosen = scores.column(schema.CODEC).is_in(list(codecs))
    if schema.PROCESSOR in columns:
        processors = scores.column(schema.PROCESSOR).filter(chosen).drop_nulls().unique().sort()
        if len(processors) > 1:
            notes.append(
                f"The times are of {len(processors)} processors ({', '.join(processors[:3])}"
                f"{', ...' if len(processors) > 3 else ''}): compare times of one processor only."
            )
    if schema.OTHER_LOAD in columns:
        column = scores.column(schema.OTHER_LOAD).filter(chosen).cast(pl.Float64)
        load = column.drop_nulls().to_numpy()
        high = int((load > MAX_OTHER_LOAD).sum())
        if high:
            notes.append(
                f"In {high} of {len(load)} cells more than {MAX_OTHER_LOAD:g} cores were busy with "
                f"other work meanwhile (median {np.median(load):.2f}): such times are too long. "
                "To compare times, sweep on a quiet machine with `--workers 1`."
            )
    return tuple(notes)
