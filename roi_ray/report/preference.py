"""Reports of an evaluation of preference models as text: headlines, tables and verdicts."""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from roi_ray.preference.evaluation.encoder_bias import FamilyBias
from roi_ray.preference.evaluation.evaluate import PAPER_ACCURACY, Evaluation, ModelResult
from roi_ray.preference.statistics.intervals import MIN_REFERENCES
from roi_ray.preference.statistics.measures import Interval, PairedDifference

WIDTH = 100
"""Columns of the terminal that reports are written for."""

_KEPT_SPACE = "\N{NO-BREAK SPACE}"
_FAMILIES_PER_TABLE = 4
_NOT_SIGNIFICANT = "not significant"


def select_main(evaluation: Evaluation) -> list[ModelResult]:
    """Select what is evaluated: recipes with all features, and trained models."""
    return [
        each
        for each in evaluation.results
        if each.kind == "model" or (each.kind == "recipe" and each.name.startswith("ROI "))
    ]


def write_headline(result: ModelResult) -> str:
    """Write one sentence about a model, the most important number first."""
    known = not math.isnan(result.log_loss.low)
    ends = f"{format_ends(result.log_loss, 3)}; " if known else ""
    text = (
        f"{result.name}: log-loss {result.log_loss.value:.4f} ({ends}guessing has 0.693), "
        f"predicts {100 * result.accuracy.value:.1f} % of the answers, "
        f"calibration error {result.calibration_error:.3f}"
    )
    if result.ranking.pearson is not None:
        text += f", ranks methods as people do with r = {result.ranking.pearson:.3f}"
    return f"{text}; {_describe_bias(result)}."


def to_table(evaluation: Evaluation) -> Table:
    """Build a terminal table of every contender, 100 columns wide: how well it predicts people."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("", overflow="fold")  # a long path is folded, so that numbers are never cut
    for name in ("log-loss↓", "95 %", "acc. %↑", "95 %", "ECE↓", "r↑", "tau↑", "maj. %↑"):
        table.add_column(name, justify="right", no_wrap=True)
    for index, result in enumerate(evaluation.results):
        if result.kind == "metric" and evaluation.results[index - 1].kind != "metric":
            table.add_row(Text("one metric alone:", style="dim"))
        majority = result.majority_accuracy
        table.add_row(
            Text(result.name),  # Text, because a path may look like rich's markup
            f"{result.log_loss.value:.4f}",
            format_ends(result.log_loss, 3),
            f"{100 * result.accuracy.value:.1f}",
            format_interval(result.accuracy),
            f"{result.calibration_error:.3f}",
            _format(result.ranking.pearson),
            _format(result.ranking.kendall),
            "-" if majority is None else f"{100 * majority.value:.1f}",
        )
    return table


def explain_table(evaluation: Evaluation) -> list[str]:
    """Explain the columns of the table, and why some have no numbers."""
    lines = [
        "95 %: interval over references. ECE: expected calibration error. r, tau: Pearson's and "
        "Kendall's correlation of the scores of methods with people's. maj.: majorities of "
        "repeated questions that are named."
    ]
    reason = evaluation.results[0].ranking.reason
    if reason is not None:
        lines.append(f"No correlation of rankings: {reason}.")
    return lines


def to_bias_tables(evaluation: Evaluation) -> list[Table]:
    """Build terminal tables of biases by encoder family, of all but single metrics."""
    shown = [each for each in evaluation.results if each.kind != "metric" and each.bias.families]
    if not shown:
        return []
    families = list(shown[0].bias.families)
    tables = []
    for start in range(0, len(families), _FAMILIES_PER_TABLE):
        part = families[start : start + _FAMILIES_PER_TABLE]
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("bias [logit], 0 is best", overflow="fold")
        for name in part:
            table.add_column(Text(name), justify="right", overflow="fold")
        for result in shown:
            biases = (result.bias.families[name] for name in part)
            table.add_row(Text(result.name), *map(_format_bias, biases))
        tables.append(table)
    return tables


def explain_bias(evaluation: Evaluation) -> list[str]:
    """Say in words which biases are significant, or why there are none."""
    reason = evaluation.results[0].bias.reason
    if reason is not None:
        return [f"No bias by encoder family: {reason}."]
    lines = [
        "Predicted minus human score of a family's methods, ± its 95 % interval over references; "
        f"* significant: the interval leaves out 0; others are {_NOT_SIGNIFICANT}."
    ]
    return lines + [f"{each.name}: {_describe_bias(each)}." for each in select_main(evaluation)]


def write_ceilings(evaluation: Evaluation) -> list[str]:
    """Write what people themselves and the methods' names reach."""
    lines = []
    if (ceiling := evaluation.ceiling) is not None:
        lines.append(
            f"Two people who answer the same question agree {100 * ceiling.agreement:.1f} % of the "
            f"time ({ceiling.questions} questions): always naming the majority would give an "
            f"accuracy of {100 * ceiling.implied_accuracy:.1f} % on these."
        )
    else:
        lines.append("No question was asked twice, so that people's own agreement is not known.")
    if (repeated := evaluation.repeated) is not None:
        majorities = ", ".join(
            f"{each.name} {100 * each.majority_accuracy.value:.1f} % "
            f"({format_interval(each.majority_accuracy)})"
            for each in select_main(evaluation)
            if each.majority_accuracy is not None
        )
        lines.append(
            f"Majorities named, of {repeated.majorities} repeated questions that have one "
            f"({repeated.ties} ties are left out): {majorities}."
        )
    lines += [
        f"By the methods' names alone, held-out references have a log-loss of "
        f"{each.log_loss.value:.4f} and an accuracy of {100 * each.accuracy.value:.1f} %."
        for each in evaluation.results
        if each.kind == "method name"
    ]
    paper = ", ".join(f"{name} {100 * value:.2f} %" for name, value in PAPER_ACCURACY.items())
    return [*lines, f"Accuracy in the paper, on other data (CLIC), not comparable: {paper}."]


def write_differences(evaluation: Evaluation) -> Iterator[str]:
    """Write each paired difference in words, log-loss first."""
    best = next((each.name for each in evaluation.results if each.kind == "metric"), None)
    for each in evaluation.differences:
        remark = ", the best metric alone" if each.second == best else ""
        yield f"{each.first} against {each.second}{remark}:"
        yield f"  log-loss {format_difference(each.log_loss, better='lower')}"
        yield f"  accuracy {format_difference(each.accuracy, better='higher', percent=True)}"


def wrap(line: str) -> list[str]:
    """Break a line at `WIDTH`, never between a number and its unit or sign."""
    # textwrap breaks at a plain space only.
    kept = re.sub(r" (?=[%=±]|[+-]\d)|(?<=[=±]) |(?<=[+-]\d\.\d\d) (?=logit)", _KEPT_SPACE, line)
    indent = " " * (len(line) - len(line.lstrip()))
    lines = textwrap.wrap(kept, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
    return [each.replace(_KEPT_SPACE, " ") for each in lines]


def format_interval(interval: Interval, digits: int = 1) -> str:
    """Write the ends of an interval of a share in percent; "-" where there is none."""
    return format_ends(Interval(0, 100 * interval.low, 100 * interval.high), digits)


def format_ends(interval: Interval, digits: int) -> str:
    """Write the ends of an interval; "-" where there is none."""
    if math.isnan(interval.low):
        return "-"
    return f"{interval.low:.{digits}f}..{interval.high:.{digits}f}"


def format_difference(test: PairedDifference, *, better: str, percent: bool = False) -> str:
    """Write a difference, its interval and p-value, and the verdict in words.

    Args:
        test: the difference of the first minus the second.
        better: `lower` or `higher`.
        percent: whether to write percentage points.
    """
    d = test.difference
    factor, digits, unit = (100, 2, " points") if percent else (1, 4, "")
    text = f"{factor * d.value:+.{digits}f}{unit}"
    if math.isnan(test.p):
        return f"{text}, no interval and no p with fewer than {MIN_REFERENCES} references"
    if math.isnan(d.low):
        return f"{text}, the same for every answer"
    p = "< 0.001" if test.p < 0.001 else f"= {test.p:.3f}"
    ends = f"{factor * d.low:+.{digits}f} .. {factor * d.high:+.{digits}f}"
    if d.low <= 0 <= d.high:
        verdict = _NOT_SIGNIFICANT
    else:
        verdict = "better" if (d.value < 0) == (better == "lower") else "worse"
    return f"{text} ({ends}), p {p}: {verdict}"


def to_parts_table(evaluation: Evaluation, names: Sequence[str]) -> Table:
    """Build a terminal table of accuracy by bit rate, by pair of codecs, and by closeness.

    Args:
        evaluation: the evaluation.
        names: names of the contenders to show.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("accuracy %", overflow="fold")
    for name in ("answers", *names):
        table.add_column(Text(name), justify="right", overflow="fold")
    results = {result.name: result for result in evaluation.results}
    for part, size in evaluation.part_sizes.items():
        cells = (f"{100 * results[name].accuracy_by_part[part]:.1f}" for name in names)
        table.add_row(Text(part), str(size), *cells)
    return table


def _describe_bias(result: ModelResult) -> str:
    families = result.bias.families
    if not families:
        return "its bias by encoder family is not known"
    known = {name: each for name, each in families.items() if each.significant is not None}
    significant = [f"{name} {each.value:+z.2f}" for name, each in known.items() if each.significant]
    others = [f"{name} {each.value:+z.2f}" for name, each in known.items() if not each.significant]
    parts = []
    if significant:
        parts.append(f"biased by {', '.join(significant)} logit")
    if others:
        parts.append(f"bias {_NOT_SIGNIFICANT}: {', '.join(others)}")
    if len(known) < len(families):
        few = [f"{name} {each.value:+z.2f}" for name, each in families.items() if name not in known]
        parts.append(
            f"bias without an interval, with fewer than {MIN_REFERENCES} references: "
            f"{', '.join(few)}"
        )
    return "; ".join(parts)


def _format_bias(bias: FamilyBias) -> str:
    if bias.significant is None:
        return f"{bias.value:+z.2f}         "
    mark = "*" if bias.significant else " "
    return f"{bias.value:+z.2f} ± {bias.high - bias.value:.2f} {mark}"


def _format(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
