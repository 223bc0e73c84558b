"""Rank methods or codecs by comparisons: Bradley-Terry scores, intervals, win rates.

The model (Bradley and Terry, Biometrika 39, 1952): the share of people who prefer A to B is
sigmoid(s_A - s_B). A score `s` is in logits, higher is better, and scores are centred to mean 0: a
lead of 1.1 means preferred by three people in four. They are fitted by maximum likelihood (Hunter,
Annals of Statistics 32, 2004; solved by `choix`, Maystre and Grossglauser, NeurIPS 2015).

A row counts as `votes` answers, once where there are none: `p_a` of each for `a`, the rest for `b`.

Each name also has half a win and half a loss against one opponent whom all share, and whose fitted
strength is therefore about average. This weak prior keeps the scores of those who always win or
always lose finite, ties together names that are not linked by comparisons, and pulls a name with
few answers towards the average.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

import choix
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.io.columns import as_type, check_columns, first_flagged_row
from roi_ray.preference.bootstrap import percentiles
from roi_ray.preference.comparisons import drop_gold_and_failed, number_groups
from roi_ray.preference.options import By, Labels

Floats = NDArray[np.float64]

PRIOR = 0.5  # wins, and losses, of each name against the opponent whom all share
RESAMPLES, SEED = 200, 0
EDGES = (0.25, 0.5, 1.0, 2.0)  # bits per pixel, between bands

_NAMES = {"method": (schema.METHOD_A, schema.METHOD_B), "codec": (schema.CODEC_A, schema.CODEC_B)}
_HINTS = {
    **dict.fromkeys(_NAMES["method"], "add it: the encoder and setting that made the image"),
    **dict.fromkeys(_NAMES["codec"], "add it: the encoder that made the image"),
    schema.P_A: "add it: the share of people who prefer `a`",
    schema.P_A_PREFERRED: "predict before you rank: jobs/compare.py adds it",
}


@dataclass(frozen=True)
class Rank:
    """What comparisons say of one name.

    Attributes:
        name: of the method or codec.
        score: Bradley-Terry strength in logits, mean 0; higher is better.
        low, high: the score's 95 % interval; NaN where all that the name took part in is of one
            reference, which says nothing of others.
        comparisons: answers that it took part in.
        win_rate: share of these that preferred it, 0..1, a tie being half; unlike the score, it
            depends on how strong its opponents were.
        bit_rate: its bit rate over that of its opponents, geometric mean over these answers: above
            1, it was given more bits, which its score profits from; None if rates are not known.
    """

    name: str
    score: float
    low: float
    high: float
    comparisons: int
    win_rate: float
    bit_rate: float | None


@dataclass(frozen=True)
class Band:
    """The ranking of images of lower <= bit rate < upper, in bits per pixel."""

    lower: float
    upper: float
    ranks: list[Rank]


@dataclass(frozen=True)
class WinRates:
    """Each name against each other.

    Attributes:
        names: n of them, in alphabetical order.
        share: (n, n), answers that prefer the row to the column, 0..1; NaN where there are none.
        counts: (n, n), how many answers that is of.
    """

    names: list[str]
    share: Floats
    counts: Floats


def select_rankable(table: pa.Table, by: By = "method", labels: Labels = "p_a") -> pa.Table:
    """The rows that say which of two names is better.

    Left out are rows without a label or a name, with the same name twice, control questions
    (`gold`), and rows whose `error` is filled in.

    Args:
        table: comparisons, as `roi_ray.preference.comparisons.read_comparisons` gives them.
        by: rank `method_a` and `method_b`, or `codec_a` and `codec_b`.
        labels: what people said, `p_a`, or what a model predicts, `p_a_preferred`.

    Raises:
        ManifestError: a missing column, or a label that is no number within 0..1.
    """
    a, b = _NAMES[by]
    for column in (a, b, labels):
        if column not in table.column_names:
            _fail(f"no column {column!r}, which ranking {by}s by {labels} needs; {_HINTS[column]}")
    check_columns(table, (schema.GROUP,), _fail)
    for column, kind in ((a, pa.string()), (b, pa.string()), (labels, pa.float64())):
        table = as_type(table, column, kind, _fail)
    label = table[labels]
    outside = pc.invert(pc.and_(pc.greater_equal(label, 0.0), pc.less_equal(label, 1.0)))
    if (row := first_flagged_row(pc.fill_null(outside, fill_value=False))) is not None:
        _fail(f"row {row + 1} has a {labels!r} of {label[row].as_py()}, not within 0..1")
    # Without a name, this is null; null rows are dropped.
    return drop_gold_and_failed(
        table.filter(pc.and_(pc.is_valid(label), pc.not_equal(table[a], table[b])))
    )


def rank(
    table: pa.Table,
    by: By = "method",
    labels: Labels = "p_a",
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Rank]:
    """Score each name, best first.

    Intervals are of the scores of data sets of as many references (`group`) drawn with replacement
    (Efron, Annals of Statistics 7, 1979; see `bootstrap`): answers on one image are
    alike, so that drawing answers would make intervals too narrow. A draw without a name says
    nothing of it.

    Where codecs have different bit rates, their scores compare bit rates too: see `bands`, and
    `Rank.bit_rate` for how much of that is left within a band.

    `table`, `by` and `labels`: see `select_rankable`. References are drawn
    `resamples` times, by `seed`.

    Raises:
        ManifestError: see `select_rankable`; also no usable row, or millions of
            answers without a dissent.
    """
    answers = _answers(select_rankable(table, by, labels), by, labels)
    if (n := len(answers.names)) < 2:
        _fail(f"no row can be used: none has a label, two different {by}s and no error")
    wins = answers.wins()
    played = wins.sum(0) + wins.sum(1)
    scores = _fit(wins)
    groups = int(answers.group.max()) + 1
    draws = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), resamples)
    samples = np.empty((resamples, n))
    for sample, times in zip(samples, draws, strict=True):
        drawn = answers.wins(times)
        there = drawn.sum(0) + drawn.sum(1) > 0
        found = _fit(drawn, scores)
        # Whoever is absent is given the average, which must not move the others.
        sample[:] = np.where(there, found - found[there].mean() + scores[there].mean(), np.nan)
    ranks = []
    for i, name in enumerate(answers.names):
        low = high = np.nan
        seen = samples[~np.isnan(samples[:, i]), i]
        if seen.size:
            its = (answers.a == i) | (answers.b == i)
            low, high = percentiles(seen, np.unique(answers.group[its]).size)
        rate = float(wins[i].sum() / played[i])
        answered = round(float(played[i]))
        bits = answers.bit_rate(i)
        ranks.append(Rank(name, float(scores[i]), low, high, answered, rate, bits))
    return sorted(ranks, key=lambda r: (-r.score, r.name))


def bands(
    table: pa.Table, by: By = "method", labels: Labels = "p_a", resamples: int = RESAMPLES
) -> list[Band]:
    """Rank within bands of bit rate, by the comparisons whose two images both lie in the band.

    Lowest band first, in each the names that it has comparisons of, and no band without any; none
    at all without `bpp_a` and `bpp_b`. Arguments and errors: see `rank`.
    """
    if not {schema.BPP_A, schema.BPP_B} <= set(table.column_names):
        return []
    rows = select_rankable(table, by, labels)
    rates = np.stack([rows[name].to_numpy() for name in (schema.BPP_A, schema.BPP_B)])
    least, most = rates.min(0), rates.max(0)  # not a number, where one is not known
    found = []
    for lower, upper in pairwise((0.0, *EDGES, np.inf)):
        inside = rows.filter(pa.array((least >= lower) & (most < upper)))
        if inside.num_rows:
            found.append(Band(lower, upper, rank(inside, by, labels, resamples)))
    return found


def win_rates(table: pa.Table, by: By = "method", labels: Labels = "p_a") -> WinRates:
    """Who beats whom; arguments and errors: see `select_rankable`."""
    answers = _answers(select_rankable(table, by, labels), by, labels)
    wins = answers.wins()
    counts = wins + wins.T
    share = np.divide(wins, counts, out=np.full_like(wins, np.nan), where=counts > 0)
    return WinRates(answers.names, share, counts)


@dataclass(frozen=True)
class _Answers:
    """Rows as arrays: numbers of the names and the group, share for `a`, weight, lead in bits.

    `lead` is the logarithm of the bit rate of `a` over that of `b`; NaN where one is not known.
    """

    names: list[str]
    a: NDArray[np.intp]
    b: NDArray[np.intp]
    group: NDArray[np.intp]
    share: Floats
    weight: Floats
    lead: Floats

    def bit_rate(self, name: int) -> float | None:
        """See `Rank`."""
        lead = np.where(self.a == name, self.lead, -self.lead)
        its = ((self.a == name) | (self.b == name)) & np.isfinite(lead)
        if not its.any():
            return None
        return float(np.exp(np.average(lead[its], weights=self.weight[its])))

    def wins(self, times: NDArray[np.int64] | None = None) -> Floats:
        """(n, n) answers that prefer the row to the column, each group counted `times` over."""
        n = len(self.names)
        weight = self.weight if times is None else self.weight * times[self.group]
        wins = np.zeros((n, n))
        np.add.at(wins, (self.a, self.b), weight * self.share)
        np.add.at(wins, (self.b, self.a), weight * (1 - self.share))
        return wins


def _answers(rows: pa.Table, by: By, labels: Labels) -> _Answers:
    a, b = (rows[name].to_numpy().astype(str) for name in _NAMES[by])
    names, numbers = np.unique(np.concatenate([a, b]), return_inverse=True)
    group = number_groups(rows)
    weight = np.ones(rows.num_rows)
    if schema.VOTES in rows.column_names:
        # A prediction may be of a pair that nobody was asked about: it still counts once.
        weight = np.fmax(rows[schema.VOTES].cast(pa.float64()).to_numpy(), 1.0)
    a, b = np.split(numbers, 2)
    lead = np.full(rows.num_rows, np.nan)
    if {schema.BPP_A, schema.BPP_B} <= set(rows.column_names):
        with np.errstate(all="ignore"):  # of no bits, it is not finite
            a_bits, b_bits = (np.log(rows[bpp].to_numpy()) for bpp in (schema.BPP_A, schema.BPP_B))
            lead = a_bits - b_bits
    return _Answers(names.tolist(), a, b, group, rows[labels].to_numpy(), weight, lead)


def _fit(wins: Floats, start: Floats | None = None) -> Floats:
    """(n,) scores, mean 0."""
    padded = np.pad(wins, (0, 1), constant_values=PRIOR)
    padded[-1, -1] = 0
    start = None if start is None else np.append(start, 0.0)
    try:
        with np.errstate(all="ignore"):
            strengths = choix.ilsr_pairwise_dense(padded, 0.0, start, max_iter=10_000, tol=1e-6)
    except (RuntimeError, ValueError) as error:
        raise ManifestError(f"comparisons: too one-sided to be ranked: {error}") from error
    return np.asarray(strengths[:-1] - strengths[:-1].mean())


def _fail(text: str) -> NoReturn:
    raise ManifestError(f"comparisons: {text}")
