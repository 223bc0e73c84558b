"""The predicted preference between two images, for a terminal."""

import textwrap

from roi_ray.preference.pair_preference import PairPreference, format_percent
from roi_ray.runtime.logs import escape_line

_HALF = 12
"""Characters of the longest bar."""
_NO_REGION = (
    "The mask has no region of interest: numbers of the whole image stand in for those under it."
)
_MEANING = (
    "Shares are in logits: their sum is the logit of the probability, and those above 0 speak for "
    "A. Whole image and region of interest are added up; --json has every column."
)


def format_preference(preference: PairPreference, a: str, b: str, width: int) -> str:
    """Format a predicted preference, and what decides it by how much.

    Args:
        preference: the prediction.
        a: name of the first image.
        b: name of the second image.
        width: characters of a line; only the names of images may be longer.
    """

    def wrap(*notes: str) -> list[str]:
        return [line for note in notes for line in textwrap.wrap(note, width)]

    lines = [_headline(preference), f"  A: {escape_line(a)}", f"  B: {escape_line(b)}"]
    lines += wrap(*(f"Caution: {warning}" for warning in preference.warnings))
    if preference.groups is None:
        lines += wrap(str(preference.unexplained))
    else:
        lines += ["", *_shares(preference), "", *wrap(_MEANING)]
    if preference.without_region:
        lines += wrap(_NO_REGION)
    name = preference.model.get("name", "without a name")
    lines += wrap(f"Predicted by the model {name}, not asked of people. {preference.limits}")
    return "\n".join(lines)


def _headline(preference: PairPreference) -> str:
    p = preference.probability
    if format_percent(p) == format_percent(1 - p):
        return "People prefer neither A nor B: the probability is 50 %."
    better, worse, p = ("A", "B", p) if p > 0.5 else ("B", "A", 1 - p)
    return f"People prefer {better} to {worse} with a probability of {format_percent(p)}."


def _shares(preference: PairPreference) -> list[str]:
    """Write one line per group: its columns, its share and a bar; then the sum."""
    groups = preference.groups or ()
    names = [group.group + _columns(group.columns) for group in groups]
    name_width = max(map(len, names))
    largest = max(abs(group.logit) for group in groups) or 1.0
    lines = [f"{'':{name_width}}   share  {'for B':>{_HALF}} for A"]
    for name, group in zip(names, groups, strict=True):
        bar = "#" * round(abs(group.logit) / largest * _HALF)
        left, right = ("", bar) if group.logit > 0 else (bar, "")
        lines.append(f"{name:{name_width}}  {group.logit:+6.2f}  {left:>{_HALF}}|{right}")
    lines.append(f"{'sum':{name_width}}  {preference.logit:+6.2f}")
    return lines


def _columns(columns: tuple[str, ...]) -> str:
    names = sorted({column.removeprefix("roi_") for column in columns})
    return f" ({', '.join(names)})" if names else ""
