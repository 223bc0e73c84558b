"""Short words that stand in a table where a BD-rate is not valid, and what they mean."""

from roi_ray.decision.flags import Flag
from roi_ray.decision.savings import Saving

WORDS = {
    Flag.FEW_POINTS: "points",
    Flag.ZERO_RATE: "zero rate",
    Flag.NOT_MONOTONIC: "not rising",
    Flag.NO_OVERLAP: "no overlap",
    Flag.LITTLE_OVERLAP: "range",
    Flag.TOO_LARGE: "too large",
    Flag.NOT_MEASURED: "no values",
    Flag.OUTSIDE_BAND: "band",
}
"""Words of at most ten characters, as wide as a number with its interval."""

_ADVICE = {
    Flag.FEW_POINTS: "sweep at more qualities",
    Flag.NO_OVERLAP: "sweep at qualities that give similar results",
    Flag.LITTLE_OVERLAP: "sweep the codec at lower or higher qualities",
}
_FLAGS = {str(flag): flag for flag in Flag}


class Reasons:
    """The reasons that a table has met, as words."""

    def __init__(self) -> None:
        self._flags: list[Flag] = []
        self._others: list[str] = []

    def name_mean(self, saving: Saving) -> str:
        """Name the most frequent reason why too few images of a codec have a BD-rate."""
        if not saving.causes:
            return self._number(saving.reason or "no valid BD-rate")
        return self._name(saving.causes[0])

    def name_curve(self, saving: Saving) -> str:
        """Name the reason why the mean curves have no BD-rate."""
        flag = _FLAGS.get(saving.curve_flag or "")
        if flag is None:
            return self._number(saving.curve_flag or "no valid BD-rate of the mean curves")
        return self._name(flag)

    def explain(self) -> list[str]:
        """Explain the words that were used, one line each."""
        lines = [
            f"{WORDS[flag]}: {flag}" + (f"; {_ADVICE[flag]}" if flag in _ADVICE else "")
            for flag in Flag
            if flag in self._flags
        ]
        lines += [f"[{number}] {text}" for number, text in enumerate(self._others, 1)]
        if not lines:
            return []
        return [
            "A word in place of a number says why there is none. For a mean, it is the most "
            "frequent reason why images have no valid BD-rate:",
            *(f"  {line}" for line in lines),
        ]

    def _name(self, flag: Flag) -> str:
        if flag not in self._flags:
            self._flags.append(flag)
        return WORDS[flag]

    def _number(self, text: str) -> str:
        if text not in self._others:
            self._others.append(text)
        return f"[{self._others.index(text) + 1}]"
