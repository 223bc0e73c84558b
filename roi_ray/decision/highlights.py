"""The cells of a sweep that are worth looking at, and why."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["disagreement", "difference", "worst"]


@dataclass(frozen=True)
class Highlight:
    """One or two cells of an image that are worth looking at.

    Attributes:
        kind: `disagreement`: metrics and the preference model, or two metrics, disagree on which
            cell is better. `difference`: the codecs differ much at the same bit rate. `worst`: the
            cell with the worst quality.
        text: one sentence that says why the cells are shown.
        image: the `reference` of the image, as written in the scores.
        rows: row numbers in the scores: of cell A and, except for `worst`, of cell B.
    """

    kind: Kind
    text: str
    image: str
    rows: tuple[int, ...]
