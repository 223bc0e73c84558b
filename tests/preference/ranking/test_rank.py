import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize

from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.table import (
    read_comparisons,
    table_from_rows,
    write_comparisons,
)
from roi_ray.preference.ranking.bradley_terry import PRIOR
from roi_ray.preference.ranking.rank import (
    compute_win_rates,
    rank,
    rank_within_bands,
    select_rankable,
)

STRENGTHS = {"a": 1.5, "b": 0.6, "c": 0.1, "d": -0.7, "e": -1.5}


def row(first: str, second: str, p_a: float | None, reference: str = "r", **more):
    names = {"reference": reference, "a": f"{reference}.{first}", "b": f"{reference}.{second}"}
    return {**names, "p_a": p_a, "method_a": first, "method_b": second, **more}


def table(*rows):
    return table_from_rows(list(rows), "test")


def votes(wins: dict[tuple[str, str], int]):
    """Make a table of hard votes, one reference each, from counts by (winner, loser)."""
    pairs = [pair for pair, count in wins.items() for _ in range(count)]
    return table(*(row(*pair, 1.0, f"r{i}") for i, pair in enumerate(pairs)))


@pytest.fixture
def simulated(rng):
    """Answers that follow the model, 40 references."""
    rows = []
    for _ in range(6000):
        first, second = rng.choice(list(STRENGTHS), 2, replace=False)
        share = 1 / (1 + np.exp(STRENGTHS[second] - STRENGTHS[first]))
        rows.append(row(first, second, float(rng.random() < share), f"r{rng.integers(40)}"))
    return table(*rows)


def scores(ranks):
    return {r.name: r.score for r in ranks}


def fit_with_scipy(comparisons):
    """Maximise the likelihood that the module describes by another method."""
    names = sorted({*comparisons["method_a"].to_pylist(), *comparisons["method_b"].to_pylist()})
    n = len(names)
    wins = np.full((n + 1, n + 1), 0.0)
    wins[:n, n] = wins[n, :n] = PRIOR
    for r in comparisons.to_pylist():
        i, j = names.index(r["method_a"]), names.index(r["method_b"])
        wins[i, j] += r["p_a"]
        wins[j, i] += 1 - r["p_a"]

    def loss(s):
        return (wins * np.logaddexp(0, s[None] - s[:, None])).sum()

    s = minimize(loss, np.zeros(n + 1), tol=1e-10).x[:n]
    return dict(zip(names, s - s.mean(), strict=True))


def test_known_strengths_are_recovered(simulated) -> None:
    ranks = rank(simulated, resamples=0)
    assert [r.name for r in ranks] == list(STRENGTHS)
    assert scores(ranks) == pytest.approx(STRENGTHS, abs=0.1)
    assert sum(scores(ranks).values()) == pytest.approx(0)


@pytest.mark.parametrize("soft", [False, True])
def test_scores_maximise_the_likelihood(simulated, rng, soft) -> None:
    few = simulated.slice(0, 60)
    if soft:
        few = few.set_column(few.column_names.index("p_a"), "p_a", pa.array(rng.random(60)))
    assert scores(rank(few, resamples=0)) == pytest.approx(fit_with_scipy(few), abs=1e-4)


def test_soft_labels_equal_hard_votes() -> None:
    other = [row("y", "z", 1.0), row("z", "x", 0.0), row("z", "y", 1.0)]
    soft = rank(table(*[row("x", "y", 0.7)] * 10, *other))
    hard = rank(table(*[row("x", "y", 1.0)] * 7, *[row("x", "y", 0.0)] * 3, *other))
    voted = rank(table(row("x", "y", 0.7, votes=10), *other))
    for a, b, c in zip(soft, hard, voted, strict=True):
        assert (a.name, a.answers) == (b.name, b.answers) == (c.name, c.answers)
        assert (b.score, b.win_rate) == pytest.approx((a.score, a.win_rate), abs=1e-9)
        assert (c.score, c.win_rate) == pytest.approx((a.score, a.win_rate), abs=1e-9)


def test_tie_is_half_a_win_for_each() -> None:
    ranks = rank(table(row("x", "y", 0.5)))
    assert [(r.name, r.win_rate, r.answers) for r in ranks] == [("x", 0.5, 1), ("y", 0.5, 1)]
    assert [r.score for r in ranks] == pytest.approx([0, 0], abs=1e-9)


def test_order_of_a_pair_does_not_change_the_ranking(simulated) -> None:
    rows = simulated.to_pylist()
    swapped = [
        row(r["method_b"], r["method_a"], 1 - r["p_a"], r["reference"]) if i % 2 else r
        for i, r in enumerate(rows)
    ]
    for r, s in zip(rank(simulated), rank(table(*swapped)), strict=True):
        assert (r.name, r.answers) == (s.name, s.answers)
        expected = pytest.approx((r.score, r.low, r.high, r.win_rate), abs=1e-6)
        assert (s.score, s.low, s.high, s.win_rate) == expected


@pytest.mark.parametrize("count", [1, 30, 3000])
def test_score_of_a_name_that_always_wins_is_finite(count) -> None:
    beaten = votes({("x", "y"): 6, ("y", "z"): 5, ("z", "y"): 5})
    always = table(*beaten.to_pylist(), row("x", "y", 1.0, "more", votes=count))
    ranks = rank(always, resamples=20)
    assert (ranks[0].name, ranks[0].win_rate) == ("x", 1)
    assert all(np.isfinite([r.score, r.low, r.high]).all() for r in ranks)


def test_names_that_no_comparison_links_are_ranked_apart() -> None:
    islands = {("a", "b"): 6, ("b", "a"): 2, ("c", "d"): 60, ("d", "c"): 20}
    ranks = rank(votes(islands))
    assert [(r.name, r.group) for r in ranks] == [("c", 1), ("d", 1), ("a", 2), ("b", 2)]
    assert ranks[0].score + ranks[1].score == ranks[2].score + ranks[3].score == pytest.approx(0)
    # Each group is ranked as if the other were not there.
    alone = rank(votes({pair: count for pair, count in islands.items() if "a" in pair}))
    for name in (0, 1):
        together = ranks[name + 2]
        assert (together.name, together.score) == (alone[name].name, alone[name].score)
    bands = rank_within_bands(
        table(
            *(row("a", "b", 0.5, bpp_a=0.3, bpp_b=0.3), row("c", "d", 1.0, bpp_a=0.4, bpp_b=0.4)),
            row("b", "c", 0.5, bpp_a=1.0, bpp_b=0.3),
        )
    )
    assert [[(r.name, r.group) for r in band.ranks] for band in bands] == [
        [("a", 1), ("b", 1), ("c", 2), ("d", 2)]
    ]


def test_one_comparison_links_two_groups() -> None:
    ranks = rank(votes({("a", "b"): 6, ("b", "a"): 2, ("c", "d"): 6, ("d", "c"): 2, ("a", "d"): 1}))
    assert {r.group for r in ranks} == {1}
    assert [sorted(r.name for r in ranks if r.block == block) for block in (1, 2)] == [
        ["a", "b"],
        ["c", "d"],
    ]


def test_blocks_are_ordered_by_the_answers_between_them() -> None:
    """`b` scores above the mean of `a1` and `a2`, but lost its only answer to `a1`."""
    block = {("a1", "a2"): 50, ("a2", "a1"): 1, ("a1", "b"): 1, ("b", "c"): 30}
    blocks = {r.name: r.block for r in rank(votes(block), resamples=0)}
    assert blocks == {"a1": 1, "a2": 1, "b": 2, "c": 3}
    tied = rank(table(row("x", "y", 0.5), row("y", "z", 0.9)), resamples=0)
    assert {r.block for r in tied} == {1}


def test_prior_counts_less_with_more_answers() -> None:
    leads = []
    for times in (1, 10, 100):
        first, second = rank(table(row("x", "y", 0.75, votes=4 * times)))
        leads.append(first.score - second.score)
    assert leads[0] < leads[1] < leads[2] == pytest.approx(np.log(3), abs=0.01)


def test_intervals_contain_the_scores_and_depend_only_on_the_seed(simulated) -> None:
    ranks = rank(simulated, seed=3)
    assert all(r.low < r.score < r.high for r in ranks)
    assert all(0.05 < r.high - r.low < 0.5 for r in ranks)
    assert rank(simulated, seed=3) == ranks
    others = rank(simulated, seed=4)
    assert scores(others) == scores(ranks)
    assert [r.low for r in others] != [r.low for r in ranks]


def test_more_answers_about_the_same_images_do_not_narrow_the_interval(rng) -> None:
    rows = [row("x", "y", float(rng.random() < 0.6), f"r{i}") for i in range(60)]
    once = rank(table(*rows))[0]
    tenfold = rank(table(*rows * 10))[0]
    assert tenfold.high - tenfold.low == pytest.approx(once.high - once.low, rel=0.1)
    share = once.win_rate
    # The lead's standard error, if answers are independent, is 1 / sqrt(n p (1 - p)).
    expected = 1.96 / np.sqrt(60 * share * (1 - share))
    assert once.high - once.low == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("answers", [1, 50])
def test_20_of_20_wins_do_not_mean_certainty(answers) -> None:
    winner, loser = rank(table(*(row("x", "y", 1.0, f"r{i}", votes=answers) for i in range(20))))
    assert (winner.win_rate, winner.block, loser.block) == (1, 1, 2)
    # Half of the lead of 20 of 20, whose share of wins is 0.83 or more.
    assert 0.5 < winner.low < 1.3 < winner.score < winner.high
    assert (loser.low, loser.high) == pytest.approx((-winner.high, -winner.low), abs=1e-3)


@pytest.mark.parametrize("references", [1, 2, 5, 6])
def test_few_references_give_no_interval(references) -> None:
    rows = [row("x", "y", 0.8, f"r{i % references}", votes=10) for i in range(20)]
    ranks = rank(table(*rows, *(row("z", "x", 1.0, f"s{i}") for i in range(9))))
    references_and_intervals = {
        r.name: (r.references, np.isfinite([r.low, r.high]).all()) for r in ranks
    }
    assert references_and_intervals == {
        "x": (references + 9, True),
        "y": (references, references >= 6),
        "z": (9, True),
    }


def test_one_name_with_enough_references_alone_has_no_interval() -> None:
    """The others have four references each, so that nothing known can be compared with it."""
    opponents = ["x"] * 4 + ["y"] * 4
    rows = [
        row("a", opponent, float(number % 2), f"r{number}")
        for number, opponent in enumerate(opponents)
    ]
    assert all(np.isnan([place.low, place.high]).all() for place in rank(table(*rows)))


def test_score_in_a_chain_of_certain_wins_lies_within_its_interval() -> None:
    chain = [row(f"m{i}", f"m{i + 1}", 1.0, f"r{j}") for i in range(8) for j in range(8)]
    ranks = rank(table(*chain))
    assert [r.block for r in ranks] == list(range(1, 10))
    assert all(r.low <= r.score <= r.high and np.isfinite([r.low, r.high]).all() for r in ranks)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("references", [6, 20])
def test_intervals_of_scores_cover_the_truth(share, references) -> None:
    random = np.random.default_rng(2)
    truth = np.log(share / (1 - share)) / 2
    covering = 0
    for seed in range(100):
        wins = random.random(references) < share
        rows = [row("x", "y", float(win), f"r{i}") for i, win in enumerate(wins)]
        x = next(r for r in rank(table(*rows), resamples=200, seed=seed) if r.name == "x")
        covering += x.low <= truth <= x.high
    # 87 and less are drawn from 95 of 100 once in 700 times.
    assert covering >= 88


def test_rows_without_label_or_names_gold_and_failed_are_left_out() -> None:
    good = [row("x", "y", 0.1 * i, f"r{i}") for i in range(6)]
    bad = [
        row("x", "y", None),
        row("x", "y", 0.0, gold=True),
        row("x", "y", 0.0, method_b=None),
        row("x", "y", 0.0, method_b="x"),
    ]
    everything = table(*good, *bad, row("x", "y", 0.0))
    errors = pa.array([*[None, ""] * 3, *[None] * len(bad), "a.png: no such file"])
    everything = everything.append_column("error", errors)
    assert select_rankable(everything)["reference"].to_pylist() == [f"r{i}" for i in range(6)]
    assert rank(everything) == rank(table(*good))
    nothing_failed = table(*good).append_column("error", pa.nulls(6))
    assert rank(nothing_failed) == rank(table(*good))


def test_predictions_rank_like_equal_answers(simulated) -> None:
    predicted = simulated.rename_columns(
        ["p_a_preferred" if name == "p_a" else name for name in simulated.column_names]
    )
    assert rank(predicted, labels="p_a_preferred") == rank(simulated)
    nobody_asked = predicted.append_column("votes", pa.array([0] * len(predicted)))
    assert rank(nobody_asked, labels="p_a_preferred") == rank(simulated)


def test_codecs_are_ranked_by_comparisons_between_different_codecs() -> None:
    pairs = [("jpeg", "webp"), ("jpeg", "jpeg"), ("webp", "avif")]
    rows = [
        row("m1", "m2", p_a, codec_a=first, codec_b=second)
        for (first, second), p_a in zip(pairs, (0.0, 1.0, 0.0), strict=True)
    ]
    ranks = rank(table(*rows), by="codec")
    assert [(r.name, r.answers) for r in ranks] == [("avif", 1), ("webp", 2), ("jpeg", 1)]


def test_win_rates_count_ties_as_half() -> None:
    rates = compute_win_rates(
        table(row("y", "x", 1.0), row("x", "y", 0.5), row("z", "y", 0.1), row("z", "y", 0.1))
    )
    assert rates.names == ["x", "y", "z"]
    nan = np.nan
    expected = [[nan, 0.25, nan], [0.75, nan, 0.9], [nan, 0.1, nan]]
    np.testing.assert_allclose(rates.share, expected)
    np.testing.assert_array_equal(rates.counts, [[0, 2, 0], [2, 0, 2], [0, 2, 0]])


def test_bands_need_both_images_in_the_band() -> None:
    rates = [(0.1, 0.2), (0.2, 0.3), (0.5, 0.9), (1.0, 1.5), (2.0, 9.0), (None, 0.1)]
    rates += [(np.nan, 0.1), (0.1, np.nan)]
    rows = [
        row(f"x{i}", f"y{i}", 1.0, bpp_a=low, bpp_b=high) for i, (low, high) in enumerate(rates)
    ]
    bands = rank_within_bands(table(*rows))
    assert [(band.lower, band.upper) for band in bands] == [
        (0, 0.25),
        (0.5, 1),
        (1, 2),
        (2, np.inf),
    ]
    names = [[r.name for r in band.ranks] for band in bands]
    assert names == [["x0", "y0"], ["x2", "y2"], ["x3", "y3"], ["x4", "y4"]]


def test_missing_column_is_named() -> None:
    comparisons = table(row("x", "y", 1.0))
    assert rank_within_bands(comparisons) == []
    with pytest.raises(ManifestError, match="no column 'codec_a', which ranking codecs by p_a"):
        rank(comparisons, "codec")
    with pytest.raises(ManifestError, match="no column 'p_a_preferred'.*predict before you rank"):
        compute_win_rates(comparisons, labels="p_a_preferred")


def test_comparisons_without_usable_labels_are_refused() -> None:
    with pytest.raises(ManifestError, match="no row can be used"):
        rank(table(row("x", "y", 1.0, method_b="x"), row("x", "y", None)))
    predicted = table(row("x", "y", 1.0), row("x", "y", 1.0))
    for values, text in [
        ([0.5, 1.5], "row 2 has a 'p_a_preferred' of 1.5"),
        (["-", "-"], "double"),
    ]:
        with pytest.raises(ManifestError, match=text):
            rank(predicted.append_column("p_a_preferred", pa.array(values)), labels="p_a_preferred")


def test_extremely_one_sided_votes_are_refused() -> None:
    ladder = [row(f"m{i:03}", f"m{i + 1:03}", 1.0, votes=10**6) for i in range(100)]
    with pytest.raises(ManifestError, match="too one-sided"):
        rank(table(*ladder), resamples=0)


def test_name_that_is_absent_from_a_draw_does_not_shift_the_others(rng) -> None:
    """`r`, which is far better, appears in two of twenty references, so in few draws."""
    rows = []
    for reference in range(20):
        pairs = [("a", "b", 0.4), ("b", "c", 0.4), ("a", "c", 0.3)]
        if reference < 2:
            pairs += [("r", name, 0.9) for name in "abc"]
        for first, second, share in pairs:
            rows += [row(first, second, float(rng.random() < share), f"r{reference}", votes=20)]
    ranks = {r.name: r for r in rank(table(*rows))}
    alone = {r.name: r for r in rank(table(*(r for r in rows if r["method_a"] != "r")))}
    for name in "abc":
        width, width_alone = (each[name].high - each[name].low for each in (ranks, alone))
        assert width < 1.6 * width_alone


def test_bit_rate_ratio_is_relative_to_opponents() -> None:
    rates = [(1.0, 0.5), (2.0, 1.0), (1.0, None)]
    rows = [row("x", "y", 1.0, f"r{i}", bpp_a=a, bpp_b=b) for i, (a, b) in enumerate(rates)]
    ratios = {r.name: r.bit_rate_ratio for r in rank(table(*rows))}
    assert ratios == {"x": pytest.approx(2.0), "y": pytest.approx(0.5)}
    assert {r.bit_rate_ratio for r in rank(table(row("x", "y", 1.0)))} == {None}


def test_rank_takes_a_path_comparisons_and_a_plain_table(tmp_path) -> None:
    rows = [row("x", "y", share, f"r{i}") for i, share in enumerate((0.9, 0.6, 0.2) * 2)]
    comparisons = table(*rows)
    path = tmp_path / "c.parquet"
    write_comparisons(str(path), comparisons)
    expected = rank(comparisons)
    assert rank(path) == rank(str(path)) == rank(read_comparisons(str(path))) == expected
    assert rank(comparisons.drop_columns(["group"])) == expected
