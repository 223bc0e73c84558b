"""The ranking so far, and whether more votes are needed.

With the answers of mucped23 (31 methods), where the expected tau first reaches 0.8, 0.85 and 0.9,
the real one is 0.82, 0.87 and 0.91 in random order, 0.79, 0.85 and 0.90 in active order (means of
ten simulations). With few names it may be too high: for its three encoders, the real one is 0.56
where 0.8 is expected first. So look at the intervals too.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.preference.comparisons.table import count_votes
from roi_ray.preference.ranking.bradley_terry import Answers, to_answers
from roi_ray.preference.ranking.rank import RESAMPLES, Rank, rank, select_rankable
from roi_ray.preference.statistics.intervals import MIN_REFERENCES
from roi_ray.runtime.words import count_noun
from roi_ray.votes.asking.expected_tau import expect_tau
from roi_ray.votes.asking.ranking_posterior import fit_ranking
from roi_ray.votes.asking.subjects import NAME_COLUMNS
from roi_ray.votes.options import VoteOptions

Decision = Literal["go on", "stop", "not known"]


@dataclass(frozen=True)
class RankingSoFar:
    """What the votes say now.

    Attributes:
        ranks: the names that votes are about, group by group, the best of a group first, with
            intervals over references; see `roi_ray.rank`.
        votes: number of votes that count.
        groups: number of groups of names that no chain of votes links.
        expected_tau: the Kendall's tau that this ranking is expected to have with the one that
            endless votes about the same originals would give, -1..1; None if `decision` is
            `not known`.
        decision: whether more votes are needed.
        advice: the decision and its reason, a sentence or two.
    """

    ranks: list[Rank]
    votes: int
    groups: int
    expected_tau: float | None
    decision: Decision
    advice: str


def rank_so_far(
    comparisons: pa.Table,
    options: VoteOptions,
    names: Collection[str] = (),
    resamples: int = RESAMPLES,
) -> RankingSoFar:
    """Rank by the votes so far, and advise whether to go on.

    The expected tau comes from the posterior of the scores, see `expected_tau`. It takes votes for
    independent. That they are not quite, because some are about one original, is left to the
    intervals.

    Args:
        comparisons: the study's votes, as it exports them.
        options: what is ranked, and the expected tau at which to stop.
        names: all names that the study is about, if some may have no votes yet.
        resamples: resamples of the intervals.

    Examples:
        >>> rows = [("o1", "x", "y", 1.0), ("o2", "x", "y", 1.0)]
        >>> columns = ("reference", "method_a", "method_b", "p_a")
        >>> table = pa.table(dict(zip(columns, map(list, zip(*rows)))))
        >>> table = table.append_column("group", table["reference"])
        >>> print(rank_so_far(table, VoteOptions()).advice)
        Not known yet: there are votes about 2 originals, and other originals may rank the methods \
differently; ask about 6 or more.
    """
    columns = NAME_COLUMNS[options.by]
    if missing := [name for name in (*columns, schema.P_A) if name not in comparisons.column_names]:
        return _unknown(f"the votes have no column {missing[0]!r}, which a ranking needs")
    # No rows at all are an error elsewhere; here, people have not voted yet.
    rows = select_rankable(comparisons, options.by) if comparisons.num_rows else comparisons
    if not rows.num_rows:
        return _unknown(f"there are no votes about two different {options.by}s that count")
    answers = to_answers(rows, columns, schema.P_A)
    ranks = rank(comparisons, options.by, resamples=resamples)
    votes = round(float(count_votes(rows).sum()))
    groups = max(place.group for place in ranks)
    tau = _expect_tau(answers, ranks) if groups == 1 else None
    decision, advice = _advise(ranks, groups, tau, set(names), answers, options)
    return RankingSoFar(
        ranks, votes, groups, None if decision == "not known" else tau, decision, advice
    )


def _expect_tau(answers: Answers, ranks: list[Rank]) -> float | None:
    belief = fit_ranking(answers.count_wins())
    if belief is None:
        return None
    scores = {place.name: place.score for place in ranks}
    return expect_tau(np.array([scores[name] for name in answers.names]), belief)


def _advise(
    ranks: list[Rank],
    groups: int,
    tau: float | None,
    names: set[str],
    answers: Answers,
    options: VoteOptions,
) -> tuple[Decision, str]:
    things = f"{options.by}s"
    if unseen := sorted(names - {place.name for place in ranks}):
        more = f" and {len(unseen) - 1} more" if len(unseen) > 1 else ""
        return _say_unknown(f"there are no votes about {unseen[0]}{more}; ask about all {things}")
    if groups > 1:
        return _say_unknown(
            f"no votes link {groups} groups of {things}, so that nothing says which of two in "
            "different groups is better; ask about pairs across them"
        )
    references = len(np.unique(answers.group))
    if references < MIN_REFERENCES:
        return _say_unknown(
            f"there are votes about {count_noun(references, 'original')}, and other originals may "
            f"rank the {things} differently; ask about {MIN_REFERENCES} or more"
        )
    if tau is None:
        return _say_unknown("what the votes tell about the scores could not be computed")
    facts = (
        f"the ranking is expected to agree with that of endless votes about these originals to a "
        f"Kendall's tau of {tau:.3f}"
    )
    if tau >= options.stop_at:
        return "stop", f"Stop: {facts}; {options.stop_at:g} is enough."
    return "go on", f"Go on: {facts}; {options.stop_at:g} is asked for."


def _say_unknown(reason: str) -> tuple[Decision, str]:
    return "not known", f"Not known yet: {reason}."


def _unknown(reason: str) -> RankingSoFar:
    return RankingSoFar([], 0, 0, None, *_say_unknown(reason))
