"""The outcome of a gate as Markdown, for a comment of a pull request on GitHub or GitLab."""

import re

from roi_ray.decision.gate.gate import Gate
from roi_ray.report.gate.tables import (
    CELLS,
    EXPLANATION,
    NONE,
    NUMBERS,
    count_cells,
    describe_provenance,
    describe_verdict,
    format_numbers,
    is_bad,
    list_sentences,
)

_MARKS = {None: "✅", False: "⚠️", True: "❌"}
_ACTIVE = re.compile(r"[^\w\s.,:;%+=()/-]|(?<![^\W_])_|_(?![^\W_])|//")
"""Characters that may mean something in Markdown, in a table, or to GitHub."""


def to_markdown(gate: Gate) -> str:
    """Write the outcome as Markdown: verdict, table, reasons, and folded details."""
    bad: bool | None = True if not gate.passes else (False if gate.doubts else None)
    lines = [f"### {_MARKS[bad]} roi-ray gate: {escape(describe_verdict(gate))}", ""]
    lines.append(_make_row("codec", "metric", "verdict", *NUMBERS))
    lines.append("|:--|:--|:--|--:|--:|--:|--:|--:|")
    for cell in gate.cells:
        if cell.problem:
            verdict, numbers = f"{_MARKS[True]} incomplete", count_cells(cell)
            codec = _write_code(str(cell.codec))
            lines.append(_make_row(codec, CELLS, verdict, *numbers.values()))
    for check in gate.checks:
        verdict = f"{_MARKS[is_bad(check)]} {check.verdict}"
        names = _write_code(str(check.codec)), _write_code(check.metric)
        lines.append(_make_row(*names, verdict, *format_numbers(check).values()))
    lines.append("")
    lines += [f"- **{kind}**: {escape(text)}" for kind, text in list_sentences(gate)]
    lines += ["", "<details><summary>Details</summary>", "", escape(EXPLANATION), ""]
    lines += [f"{escape(gate.images.describe())}.", ""]
    sides = [describe_provenance(scores) for scores in (gate.baseline, gate.candidate)]
    lines += [_make_row("", "baseline", "candidate"), "|:--|:--|:--|"]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        texts = (_write_code(side[name]) if name in side else "" for side in sides)
        lines.append(_make_row(escape(name), *texts))
    lines += [
        "",
        _make_row("codec", "metric", "median", "mean curves", "why"),
        "|:--|:--|--:|--:|:--|",
    ]
    for check in gate.checks:
        values = (
            NONE if estimate is None else f"{estimate.value:+.2f}"
            for estimate in (check.saving.median, check.saving.curve)
        )
        names = (_write_code(str(check.codec)), _write_code(check.metric))
        lines.append(_make_row(*names, *values, escape(check.reason)))
    lines += ["", "</details>", ""]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Escape text so that it is shown as it is: no markup, no mention of a user, one line."""
    return _ACTIVE.sub(_escape_character, _join_lines(text))


def _escape_character(found: re.Match[str]) -> str:
    characters = found.group()
    if characters in ("@", "#", "//"):
        # GitHub finds users, issues and addresses in the resulting text, but not across elements.
        return f"<span>{characters[0]}</span>{characters[1:]}"
    return f"&#{ord(characters)};"


def _write_code(text: str) -> str:
    """Write a name as code, in which GitHub looks for no users and issues."""
    inner = _ACTIVE.sub(lambda found: "".join(f"&#{ord(c)};" for c in found.group()), text)
    return f"<code>{_join_lines(inner)}</code>" if text else ""


def _join_lines(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _make_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
