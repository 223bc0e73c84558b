"""The outcome of a gate, for a terminal and as JSON values."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

import roi_ray
from roi_ray import schema
from roi_ray.decision.gate.cells import CellCheck
from roi_ray.decision.gate.gate import Gate
from roi_ray.decision.gate.inputs import CodecPair
from roi_ray.decision.gate.verdict import DOUBTS, MetricCheck, Verdict
from roi_ray.decision.resampling import Estimate
from roi_ray.decision.score_table import SweepScores
from roi_ray.io.json_values import replace_non_finite
from roi_ray.report.text import begin_table
from roi_ray.runtime.logs import escape_line

NONE = "-"
CELLS = "cells"
"""Name of the check that the candidate has all cells of the baseline, beside those of metrics."""

NUMBERS = ("BD-rate %", "95 % interval", "limit", "worst image", "images")
"""Columns of numbers of a check."""

_WIDE = 100

EXPLANATION = (
    "BD-rate: how many more (+) or fewer (-) bits the candidate needs than the baseline for the "
    "same quality, as mean over images with its 95 % bootstrap interval. Verdicts: better: all of "
    "the interval is below 0; within: all of it is at most the limit; worse: all of it is above "
    "the limit, or a single image is broken; not proven: the limit is inside the interval; not "
    "comparable: no valid BD-rate; unchanged: every number is the same."
)


def describe_verdict(gate: Gate) -> str:
    """Say in one line whether the gate passes, and how many checks do not."""
    checks = len(gate.cells) + len(gate.checks)
    parts = []
    if gate.failures:
        parts.append(f"{len(gate.failures)} of {checks} checks failed")
    if gate.doubts:
        parts.append(f"{len(gate.doubts)} of {checks} not proven")
    if not parts:
        parts.append("1 check passed" if checks == 1 else f"all {checks} checks passed")
    return f"{'PASS' if gate.passes else 'FAIL'}: {', '.join(parts)}"


def make_gate_table(gate: Gate, width: int) -> Table:
    """Make a table for a terminal: one row per codec and metric, and one per incomplete codec.

    Args:
        gate: the outcome.
        width: columns of the terminal; narrow ones do not get the worst image.
    """
    table = begin_table()
    table.add_column("codec", overflow="fold", min_width=5)
    table.add_column("metric", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    shown = [name for name in NUMBERS if name != "worst image" or width >= _WIDE]
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for cell in gate.cells:
        if cell.problem:
            verdict, numbers = Text("INCOMPLETE", style=_STYLES[True]), count_cells(cell)
            table.add_row(_name_codec(cell.codec), CELLS, verdict, *(numbers[n] for n in shown))
    for check in gate.checks:
        verdict, numbers = (
            Text(name_verdict(check), style=_STYLES[is_bad(check)]),
            format_numbers(check),
        )
        table.add_row(_name_codec(check.codec), check.metric, verdict, *(numbers[n] for n in shown))
    return table


def _name_codec(codec: CodecPair) -> Text:
    return Text(escape_line(str(codec)))


_STYLES = {None: "green", False: "yellow", True: "red"}


def is_bad(check: MetricCheck) -> bool | None:
    """Return True if a check fails, False if it passes with a warning, None if it is good."""
    if check.fails:
        return True
    return False if check.verdict in DOUBTS else None


def name_verdict(check: MetricCheck) -> str:
    """Name the verdict; in capitals if it fails, so that it is seen without colours."""
    return check.verdict.upper() if check.fails else check.verdict.value


def format_numbers(check: MetricCheck) -> dict[str, str]:
    """Format the numbers of a check; the keys are `NUMBERS`."""
    mean = check.saving.mean
    if check.verdict is Verdict.UNCHANGED and mean is None:
        mean = Estimate(0.0, None, None)
    interval = NONE
    if mean is not None and mean.low is not None:
        interval = f"{mean.low:+.2f} .. {mean.high:+.2f}"
    values = (
        NONE if mean is None else f"{mean.value:+.2f}",
        interval,
        f"{check.limit:+g}",
        NONE if check.worst_image is None else f"{check.worst_image[1]:+.1f}",
        f"{check.saving.valid}/{len(check.saving.per_image)}",
    )
    return dict(zip(NUMBERS, values, strict=True))


def count_cells(cell: CellCheck) -> dict[str, str]:
    """Format the number of cells in the place of the images; the keys are `NUMBERS`."""
    return {
        **dict.fromkeys(NUMBERS, NONE),
        "images": f"{cell.candidate_cells}/{cell.baseline_cells}",
    }


def list_sentences(gate: Gate) -> Iterator[tuple[str, str]]:
    """List what failed, what is not proven and what was not checked: kind, sentence."""
    yield from (("failed", text) for text in gate.failures)
    yield from (("not proven", text) for text in gate.doubts)
    yield from (("note", text) for text in gate.notes)


def describe_provenance(scores: SweepScores) -> dict[str, str]:
    """Describe where scores come from: URI, run, settings, and versions of the codecs."""
    facts = {"scores": scores.uri}
    if (run := scores.run) is not None:
        config = run["config"]
        facts |= {
            "scored": str(run.get("started", "unknown")),
            "roi-ray": str(run.get("roi_ray", "unknown")),
            "scoring version": str(run.get("scoring_version", "unknown")),
        }
        facts |= {
            name: str(config[name]) for name in ("roi_weighting", "precision") if name in config
        }
        for name, files in config.get("weights", {}).items():
            facts[f"weights: {name}"] = ", ".join(
                f"{file['name']} {file['sha256'][:12]}" for file in files
            )
    if schema.CODEC_VERSION in scores.column_names:
        versions = scores.column(schema.CODEC_VERSION).drop_nulls().unique().sort().to_list()
        facts["codec versions"] = ", ".join(map(str, versions))
    return facts


def gate_to_dict(gate: Gate) -> dict[str, Any]:
    """Turn the outcome into JSON values; null stands for numbers that are not valid."""
    result = {
        "roi_ray": roi_ray.__version__,
        "passes": gate.passes,
        "verdict": describe_verdict(gate),
        "require_proof": gate.require_proof,
        "failures": gate.failures,
        "not_proven": gate.doubts,
        "notes": list(gate.notes),
        "images": {
            "compared": len(gate.images),
            "matched_by": gate.images.matched_by,
            "only_baseline": list(gate.images.only_baseline),
            "only_candidate": list(gate.images.only_candidate),
        },
        "cells": [_cell_to_dict(cell) for cell in gate.cells],
        "checks": [_check_to_dict(check, gate) for check in gate.checks],
        "baseline": describe_provenance(gate.baseline),
        "candidate": describe_provenance(gate.candidate),
    }
    cleaned = replace_non_finite(result)
    assert isinstance(cleaned, dict)
    return cleaned


def _cell_to_dict(cell: CellCheck) -> dict[str, Any]:
    return asdict(cell) | {
        "codec": cell.codec.candidate,
        "baseline_codec": cell.codec.baseline,
        "fails": cell.problem is not None,
    }


def _check_to_dict(check: MetricCheck, gate: Gate) -> dict[str, Any]:
    saving = check.saving
    names = [gate.baseline.images[number] for number in gate.images.baseline]
    return {
        "codec": check.codec.candidate,
        "baseline_codec": check.codec.baseline,
        "metric": check.metric,
        "limit": check.limit,
        "verdict": check.verdict.value,
        "fails": check.fails,
        "reason": check.reason,
        "mean": _estimate_to_dict(saving.mean),
        "median": _estimate_to_dict(saving.median),
        "not_valid_because": saving.reason,
        "mean_curves": _estimate_to_dict(saving.curve),
        "mean_curves_not_valid_because": saving.curve_flag,
        "images": saving.valid,
        "images_not_valid": {str(flag): count for flag, count in saving.flags.items()},
        "worst_image": None if check.worst_image is None else list(check.worst_image),
        "per_image": dict(zip(names, saving.per_image.tolist(), strict=True)),
    }


def _estimate_to_dict(estimate: Estimate | None) -> dict[str, float | None] | None:
    return None if estimate is None else asdict(estimate)
