"""Rank codecs, or codecs at one setting, by comparisons: scores, intervals, win rates.

The scores are those of the Bradley-Terry model, see `bradley_terry`. A row counts as `votes`
answers (one without `votes`): a share `p_a` of them prefers `a`, the rest `b`.
"""

from dataclasses import dataclass
from itertools import pairwise
from os import PathLike, fspath
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.io.columns import as_type, check_columns
from roi_ray.preference.comparisons.table import (
    Comparisons,
    check_comparisons,
    check_shares,
    drop_gold_and_failed,
    read_comparisons,
)
from roi_ray.preference.ranking.bradley_terry import Answers, Floats, fit_scores, to_answers
from roi_ray.preference.ranking.components import number_blocks, number_groups_of_names
from roi_ray.preference.ranking.options import By, Labels
from roi_ray.preference.ranking.score_intervals import score_intervals

RESAMPLES, SEED = 1000, 0
BAND_EDGES = (0.25, 0.5, 1.0, 2.0)
"""Bits per pixel at which a band of bit rates ends and the next one begins."""

_NAMES = {"method": (schema.METHOD_A, schema.METHOD_B), "codec": (schema.CODEC_A, schema.CODEC_B)}
_HINTS = {
    **dict.fromkeys(_NAMES["method"], "add it: the encoder and setting that made the image"),
    **dict.fromkeys(_NAMES["codec"], "add it: the encoder that made the image"),
    schema.P_A: "add it: the share of people who prefer `a`",
    schema.P_A_PREFERRED: "predict before you rank: `roi-ray compare` adds it",
}


@dataclass(frozen=True)
class Rank:
    """The place of one codec or method in a ranking.

    Attributes:
        name: the codec, or the codec at one setting.
        score: Bradley-Terry score in logits, mean 0 over the names of its group; higher is better.
            A lead of 1.1 over another name means that three people in four prefer it.
        low: lower end of the score's 95 % interval over references, in logits, relative to the
            names of the group whose distances are known (see `score_intervals`); NaN where the
            name's answers are about fewer than `intervals.MIN_REFERENCES` references, or those of
            all other names of the group are.
        high: upper end of the interval.
        answers: number of answers about the name.
        win_rate: share of these answers that prefer the name, 0..1, a tie counting half; unlike
            the score, it depends on how strong the opponents were.
        bit_rate_ratio: the name's bit rate over that of its opponents, geometric mean over these
            answers; above 1, the name had more bits, which raises its score. None where bit
            rates are unknown.
        references: number of references that these answers are about.
        group: number of the group of names that comparisons link, from 1, the most answers first.
            Nothing says which of two names in different groups is better, and their scores cannot
            be compared.
        block: number within the group, from 1, the best first, of the block of names that beat each
            other, directly or through others. All answers between two blocks go the same way: it is
            known which is better, but only the prior says by how much.
    """

    name: str
    score: float
    low: float
    high: float
    answers: int
    win_rate: float
    bit_rate_ratio: float | None
    references: int
    group: int = 1
    block: int = 1


@dataclass(frozen=True)
class Band:
    """The ranking of images with lower <= bit rate < upper, in bits per pixel."""

    lower: float
    upper: float
    ranks: list[Rank]


@dataclass(frozen=True)
class WinRates:
    """Rates at which each name is preferred to each other name.

    Attributes:
        names: n names, in alphabetical order.
        share: share of answers that prefer the row's name to the column's, (n, n), 0..1; NaN
            where there are none.
        counts: number of these answers, (n, n).
    """

    names: list[str]
    share: Floats
    counts: Floats


def rank(
    comparisons: Comparisons | pa.Table | str | PathLike[str],
    by: By = "method",
    labels: Labels = "p_a",
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Rank]:
    """Rank codecs or methods by people's choices, or by a model's predictions.

    Intervals are over references, see `score_intervals`. Names that no chain of comparisons links
    are ranked apart, see `Rank.group`. Where codecs have different bit rates, their scores compare
    bit rates too: see `rank_within_bands`, and `Rank.bit_rate_ratio` for the differences that
    remain within a band.

    Args:
        comparisons: from `read_comparisons`, a table with the same columns, or the path or
            `s3://` URI of one.
        by: unit to rank: `method` reads the columns `method_a` and `method_b`, `codec` reads
            `codec_a` and `codec_b`.
        labels: column with the choices: people's (`p_a`) or a preference model's
            (`p_a_preferred`).
        resamples: number of resamples for the intervals; 0 for none.
        seed: seed of the resamples.

    Returns:
        the names' ranks: group by group, and the best of a group first. Where comparisons link all
        names, there is one group.

    Raises:
        ManifestError: a column is missing, a label is outside 0..1, no row can be used, or the
            answers are too one-sided to be ranked.

    Examples:
        >>> import pyarrow as pa
        >>> images = [f"{number}.png" for number in range(10)]
        >>> choices = pa.table({
        ...     "reference": images,
        ...     "a": [f"{image}.avif" for image in images],
        ...     "b": [f"{image}.jpg" for image in images],
        ...     "p_a": [0.9, 0.8, 0.7, 0.6, 0.8, 0.9, 0.7, 0.4, 0.8, 0.9],
        ...     "codec_a": ["avif"] * 10,
        ...     "codec_b": ["jpeg"] * 10,
        ... })
        >>> for place in rank(choices, by="codec"):
        ...     print(f"{place.name}: {place.score:+.2f} logit, wins {place.win_rate:.0%}")
        avif: +0.52 logit, wins 75%
        jpeg: -0.52 logit, wins 25%
    """
    answers = _answers(_table(comparisons, labels), by, labels)
    if len(answers.names) < 2:
        _fail(f"no row can be used: none has a label, two different {by}s and no error")
    groups = number_groups_of_names(answers.count_wins())
    ranks = []
    for number in range(groups.max() + 1):
        ranks += _rank_group(
            answers.about(np.flatnonzero(groups == number)), number, resamples, seed
        )
    return ranks


def rank_within_bands(
    table: pa.Table, by: By = "method", labels: Labels = "p_a", resamples: int = RESAMPLES
) -> list[Band]:
    """Rank within bands of bit rate, by the comparisons whose two images both lie in the band.

    For arguments and errors see `rank`.

    Returns:
        bands that have comparisons, lowest bit rate first; empty without `bpp_a` and `bpp_b`.
    """
    if not {schema.BPP_A, schema.BPP_B} <= set(table.column_names):
        return []
    rows = select_rankable(table, by, labels)
    rates = np.stack([rows[name].to_numpy() for name in (schema.BPP_A, schema.BPP_B)])
    least, most = rates.min(0), rates.max(0)  # NaN where a rate is unknown
    bands = []
    for lower, upper in pairwise((0.0, *BAND_EDGES, np.inf)):
        inside = rows.filter(pa.array((least >= lower) & (most < upper)))
        if inside.num_rows:
            bands.append(Band(lower, upper, rank(inside, by, labels, resamples=resamples)))
    return bands


def compute_win_rates(table: pa.Table, by: By = "method", labels: Labels = "p_a") -> WinRates:
    """Compute how often each name is preferred to each other; for arguments see `rank`."""
    answers = _answers(table, by, labels)
    wins = answers.count_wins()
    counts = wins + wins.T
    share = np.divide(wins, counts, out=np.full_like(wins, np.nan), where=counts > 0)
    return WinRates(answers.names, share, counts)


def select_rankable(table: pa.Table, by: By = "method", labels: Labels = "p_a") -> pa.Table:
    """Select the rows that say which of two names is better.

    Left out are rows without a label or without a name, rows with the same name on both sides,
    control questions (`gold`), and rows whose `error` is filled in.

    Args:
        table: comparisons, checked by `check_comparisons`.
        by: see `rank`.
        labels: see `rank`.

    Raises:
        ManifestError: a column is missing, or a label is not a number within 0..1.
    """
    a, b = _NAMES[by]
    for column in (a, b, labels):
        if column not in table.column_names:
            _fail(f"no column {column!r}, which ranking {by}s by {labels} needs; {_HINTS[column]}")
    check_columns(table, (schema.GROUP,), _fail)
    for column, kind in ((a, pa.string()), (b, pa.string()), (labels, pa.float64())):
        table = as_type(table, column, kind, _fail)
    check_shares(table, labels, _fail)
    # Comparing a missing name gives null, and `filter` drops null rows.
    named = pc.and_(pc.is_valid(table[labels]), pc.not_equal(table[a], table[b]))
    return drop_gold_and_failed(table.filter(named))


def _table(comparisons: Comparisons | pa.Table | str | PathLike[str], labels: Labels) -> pa.Table:
    if isinstance(comparisons, str | PathLike):
        comparisons = read_comparisons(fspath(comparisons), labels=labels == schema.P_A)
    if isinstance(comparisons, Comparisons):
        return comparisons.table
    if schema.GROUP in comparisons.column_names:
        return comparisons
    return check_comparisons(comparisons, "to rank", labels=labels == schema.P_A)


def _rank_group(answers: Answers, group: int, resamples: int, seed: int) -> list[Rank]:
    """Rank names that comparisons link; `group` is the number of the group, from 0."""
    wins = answers.count_wins()
    played = wins.sum(0) + wins.sum(1)
    scores = fit_scores(wins)
    low, high = score_intervals(answers, scores, resamples, seed)
    blocks = number_blocks(wins)
    ranks = [
        Rank(
            name=name,
            score=float(scores[i]),
            low=float(low[i]),
            high=float(high[i]),
            answers=round(float(played[i])),
            win_rate=float(wins[i].sum() / played[i]),
            bit_rate_ratio=answers.bit_rate_ratio(i),
            references=np.unique(answers.group[answers.takes_part(i)]).size,
            group=group + 1,
            block=int(blocks[i]) + 1,
        )
        for i, name in enumerate(answers.names)
    ]
    return sorted(ranks, key=lambda place: (-place.score, place.name))


def _answers(table: pa.Table, by: By, labels: Labels) -> Answers:
    return to_answers(select_rankable(table, by, labels), _NAMES[by], labels)


def _fail(text: str) -> NoReturn:
    raise ManifestError(f"comparisons: {text}")
