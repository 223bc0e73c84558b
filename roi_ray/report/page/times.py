"""The page's table and charts of times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from roi_ray.decision.resampling import Estimate
from roi_ray.decision.times import DIRECTIONS, CodecTimes, Times
from roi_ray.report.page.text import round_number


@dataclass(frozen=True)
class TimeRow:
    """How long a codec takes.

    Attributes:
        codec: the codec.
        cells: for encoding, then decoding: time per megapixel and its interval, or None.
        memory: peak memory of encoding, then decoding, as text; None where it was not measured.
    """

    codec: str
    cells: list[tuple[str, str | None] | None]
    memory: list[str | None]


def build_time_rows(times: Times, codecs: Sequence[str]) -> list[TimeRow]:
    """Build the table of times, in the order of `codecs`."""
    rows = []
    for codec in codecs:
        found = [times.of(direction).get(codec) for direction in DIRECTIONS]
        if any(found):
            rows.append(
                TimeRow(codec, [_cell(each) for each in found], [_memory(each) for each in found])
            )
    return rows


def build_time_data(times: Times, codecs: Sequence[str]) -> dict[str, Any]:
    """Collect the numbers of the charts of BD-rate over time, by direction and metric."""
    data: dict[str, Any] = {direction: {} for direction in DIRECTIONS}
    for (direction, metric), front in times.fronts.items():
        data[direction][metric] = {
            "points": [
                [codecs.index(codec), round_number(seconds), round_number(percent)]
                for codec, (seconds, percent) in front.points.items()
            ],
            "best": [codecs.index(codec) for codec in front.best],
            "excluded": [f"{codec}: {reason}" for codec, reason in front.excluded.items()],
        }
    return data


def _cell(times: CodecTimes | None) -> tuple[str, str | None] | None:
    if times is None:
        return None
    return format_seconds(times.seconds.value), _interval(times.seconds)


def _interval(seconds: Estimate) -> str | None:
    if seconds.low is None or seconds.high is None:
        return None
    return f"{format_seconds(seconds.low)} to {format_seconds(seconds.high)}"


def format_seconds(seconds: float) -> str:
    """Format a time with three digits: `12.3 ms`, `4.56 s`."""
    if seconds < 1:
        return f"{_three_digits(1000 * seconds)} ms"
    return f"{_three_digits(seconds)} s"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _memory(times: CodecTimes | None) -> str | None:
    if times is None or times.memory is None:
        return None
    return f"{times.memory / 2**20:,.0f} MiB"
