"""Verdicts of the gate on builds whose difference is known."""

import pytest

from roi_ray.decision.flags import Flag
from roi_ray.decision.gate.gate import run_gate
from roi_ray.decision.gate.verdict import Verdict
from roi_ray.errors import UsageError
from tests.decision.gate.gate_tables import (
    change,
    draw_factors,
    fail,
    make_rows,
    scale_rates,
    write_table,
)

LIMITS = {"ms_ssim": 0.5, "roi_lpips": 0.5}


@pytest.fixture
def gate(tmp_path):
    """A function that compares rows with those of the sound codec."""

    def compare(candidate, limits=None, baseline=None, **options):
        old = write_table(tmp_path / "old.parquet", baseline or make_rows())
        new = write_table(tmp_path / "new.parquet", candidate)
        return run_gate(old, new, LIMITS if limits is None else limits, **options)

    return compare


def verdicts(gate):
    return {check.metric: check.verdict for check in gate.checks}


def test_codec_against_itself_is_unchanged(gate) -> None:
    result = gate(make_rows(), require_proof=True)
    assert result.passes and not result.doubts
    assert set(verdicts(result).values()) == {Verdict.UNCHANGED}
    assert {check.saving.mean.value for check in result.checks} == {0.0}


def test_order_of_rows_does_not_matter(gate) -> None:
    result = gate(make_rows()[::-1])
    assert set(verdicts(result).values()) == {Verdict.UNCHANGED}


@pytest.mark.parametrize(
    ("limit", "verdict", "passes"), [(0.5, Verdict.WORSE, False), (3.0, Verdict.WITHIN, True)]
)
def test_two_percent_more_bits_are_worse_or_within(gate, limit, verdict, passes) -> None:
    result = gate(make_rows(rate=1.02), {"ms_ssim": limit, "roi_lpips": limit})
    assert result.passes is passes
    assert verdicts(result) == {"ms_ssim": verdict, "roi_lpips": verdict}
    for check in result.checks:
        assert check.saving.mean.value == pytest.approx(2)
        assert check.saving.mean.low == pytest.approx(2)
        assert check.worst_image[1] == pytest.approx(2)


def test_fewer_bits_are_better(gate) -> None:
    result = gate(make_rows(rate=0.97), require_proof=True)
    assert result.passes
    assert set(verdicts(result).values()) == {Verdict.BETTER}


def test_a_band_that_is_worse_puts_a_better_mean_in_doubt(gate) -> None:
    def cross(row):
        row["bpp"] *= 1.2 if row["quality"] >= 80 else 0.7

    result = gate(change(make_rows(), cross), {"psnr": 0.5})
    (check,) = result.checks
    assert result.passes and check.verdict is Verdict.NOT_PROVEN
    assert check.saving.mean.high < 0
    assert "above the limit of +0.5 %: +" in check.reason
    assert check.reason.endswith("bits per pixel")
    assert not gate(change(make_rows(), cross), {"psnr": 0.5}, require_proof=True).passes


def test_each_metric_has_its_own_limit(gate) -> None:
    result = gate(make_rows(rate=1.02), {"ms_ssim": 0.5, "roi_lpips": 3})
    assert verdicts(result) == {"ms_ssim": Verdict.WORSE, "roi_lpips": Verdict.WITHIN}
    assert not result.passes and len(result.failures) == 1


def test_noise_around_the_limit_is_not_proven(gate) -> None:
    noisy = scale_rates(make_rows(), draw_factors(1.004, 0.01, 12))
    result = gate(noisy)
    assert set(verdicts(result).values()) == {Verdict.NOT_PROVEN}
    assert result.passes and len(result.doubts) == 2
    mean = result.checks[0].saving.mean
    assert mean.low < 0.5 < mean.high
    strict = gate(noisy, require_proof=True)
    assert verdicts(strict) == verdicts(result)
    assert not strict.passes and len(strict.failures) == 2


def test_single_catastrophic_image_is_worse_although_the_mean_is_uncertain(gate) -> None:
    result = gate(scale_rates(make_rows(), [2.5] + [1.0] * 11))
    assert result.checks[0].saving.mean.low < 0.5
    assert set(verdicts(result).values()) == {Verdict.WORSE}
    assert "/photos/00.png needs 150.0 % more bits" in result.failures[0]
    allowed = gate(scale_rates(make_rows(), [2.5] + [1.0] * 11), max_image_bd_rate=200)
    assert set(verdicts(allowed).values()) == {Verdict.NOT_PROVEN}


def test_crashes_on_half_of_the_images_fail(gate) -> None:
    result = gate(change(make_rows(), fail, range(0, 12, 2)))
    assert not result.passes
    (cells,) = result.cells
    assert (cells.baseline_cells, cells.candidate_cells, cells.lost) == (60, 30, 30)
    assert "30 rows of the candidate failed (30 CodecError), 0 of the baseline" in cells.problem
    assert set(verdicts(result).values()) == {Verdict.NOT_COMPARABLE}
    assert all(check.fails for check in result.checks)


def test_crashes_on_everything_fail(gate) -> None:
    result = gate(change(make_rows(), fail))
    assert not result.passes
    assert result.checks == ()
    assert "lacks 60 of the 60 scored cells" in result.failures[0]


def test_one_missing_cell_fails(gate) -> None:
    rows = make_rows()
    result = gate(rows[:2] + rows[3:])
    assert not result.passes
    assert (
        "lacks 1 of the 60 scored cells of the baseline, of /photos/00.png" in (result.failures[0])
    )
    assert {check.saving.valid for check in result.checks} == {12}


def test_failures_that_the_baseline_has_too_pass(gate) -> None:
    broken = [change(make_rows(), fail, [0]) for _ in range(2)]
    result = gate(broken[0], baseline=broken[1])
    assert result.passes
    assert result.cells[0].candidate_failed == {"CodecError": 5}


def test_missing_images_fail_unless_allowed(gate) -> None:
    short = make_rows(images=8)
    result = gate(short)
    assert not result.passes
    assert "lacks 4 images of the baseline: /photos/08.png" in result.failures[0]
    assert gate(short, common_images=True).passes


def test_missing_images_that_match_too_few_are_refused(gate) -> None:
    with pytest.raises(UsageError, match="only 5 images of .* match.*sweep more images"):
        gate(make_rows(images=5))


def set_quality(value):
    """Set all metrics to those of an image without any likeness."""

    def alter(row) -> None:
        row |= {"psnr": value, "ms_ssim": 0.01, "roi_lpips": 1.2}

    return alter


@pytest.mark.parametrize("images", [range(12), [3]], ids=["all images", "one image"])
def test_garbage_at_every_quality_fails(gate, images) -> None:
    def spoil(row) -> None:
        row["psnr"] -= 40
        row["ms_ssim"] -= 0.7
        row["roi_lpips"] += 0.8

    result = gate(change(make_rows(), spoil, images))
    assert not result.passes
    assert all(check.fails for check in result.checks)
    assert "its best quality is below the baseline's worst" in result.failures[0]


@pytest.mark.parametrize("images", [range(12), [3]], ids=["all images", "one image"])
def test_garbage_at_one_quality_fails(gate, images) -> None:
    def spoil(row) -> None:
        if row["quality"] == 80:
            set_quality(7.0)(row)

    result = gate(change(make_rows(), spoil, images))
    assert not result.passes
    assert all(check.fails for check in result.checks)
    assert "far below the baseline's worst" in result.failures[0]


def test_quality_that_falls_with_the_bit_rate_fails(gate) -> None:
    """A wrong quantiser at one setting: the quality of a lower one, with more bits."""

    def swap(row) -> None:
        if row["quality"] == 80:
            row["ms_ssim"] = make_rows()[1]["ms_ssim"] - 0.01

    result = gate(change(make_rows(), swap, [5]), {"ms_ssim": 0.5})
    assert verdicts(result) == {"ms_ssim": Verdict.NOT_COMPARABLE}
    assert (
        "quality does not rise with the bit rate, while the baseline's does" in (result.failures[0])
    )


def test_constant_quality_fails(gate) -> None:
    result = gate(change(make_rows(), lambda row: row.update(ms_ssim=0.93)), {"ms_ssim": 0.5})
    assert not result.passes
    assert verdicts(result) == {"ms_ssim": Verdict.NOT_COMPARABLE}


def test_saturated_quality_fails(gate) -> None:
    """As of a decoder that blurs: more bits hardly help."""

    def blur(row) -> None:
        row["psnr"] = 26 + 0.2 * (row["psnr"] - 26)

    result = gate(change(make_rows(), blur), {"psnr": 0.5})
    assert not result.passes and result.checks[0].fails


def test_far_more_bits_than_a_bd_rate_can_say_fail(gate) -> None:
    result = gate(make_rows(rate=20))
    assert not result.passes
    assert "above 1000 %" in result.failures[0]


def test_empty_files_fail(gate) -> None:
    result = gate(change(make_rows(), lambda row: row.update(bpp=0.0)))
    assert not result.passes
    assert "a bit rate of zero" in result.failures[0]


def test_metric_that_neither_can_be_compared_by_is_in_doubt(gate) -> None:
    def wobble(row) -> None:
        if row["quality"] == 40:
            row["roi_lpips"] = 0.2

    old = change(make_rows(), wobble, range(6))
    new = change(make_rows(rate=1.001), wobble, range(6))
    result = gate(new, baseline=old)
    assert verdicts(result) == {
        "ms_ssim": Verdict.WITHIN,
        "roi_lpips": Verdict.NOT_COMPARABLE,
    }
    assert result.passes and "quality does not rise with the bit rate" in result.doubts[0]
    assert not gate(new, baseline=old, require_proof=True).passes


def test_codec_that_no_metric_can_be_compared_by_fails(gate) -> None:
    def wobble(row) -> None:
        if row["quality"] == 40:
            row["roi_lpips"] = 0.2

    old, new = (change(make_rows(rate=rate), wobble) for rate in (1, 1.001))
    result = gate(new, {"roi_lpips": 0.5}, baseline=old)
    assert not result.passes
    assert "no metric of this codec could be compared" in result.failures[0]


def test_too_few_points_of_both_fail(gate) -> None:
    few = [[r for r in make_rows(rate=x) if r["quality"] < 70] for x in (1, 1.001)]
    result = gate(few[0], baseline=few[1])
    assert not result.passes
    assert "fewer than 4 points" in result.failures[0]


def test_few_valid_images_fail_if_they_are_above_the_limit(gate) -> None:
    def hide(row) -> None:
        row["roi_lpips"] = None

    tables = [change(make_rows(rate=rate), hide, range(4, 12)) for rate in (1, 1.3, 1.001)]
    worse = gate(tables[1], {"roi_lpips": 0.5, "ms_ssim": 99}, baseline=tables[0])
    assert verdicts(worse)["roi_lpips"] == Verdict.WORSE
    assert "only 4 images with a valid BD-rate" in worse.failures[0]
    unsure = gate(tables[2], {"roi_lpips": 0.5, "ms_ssim": 99}, baseline=tables[0])
    assert verdicts(unsure)["roi_lpips"] == Verdict.NOT_COMPARABLE
    assert unsure.passes


def test_numbers_that_only_the_candidate_lacks_fail(gate) -> None:
    result = gate(change(make_rows(), lambda row: row.update(roi_lpips=None), [2]))
    check = result.checks[1]
    assert (check.metric, check.verdict) == ("roi_lpips", Verdict.NOT_COMPARABLE)
    assert check.fails


def test_moved_range_of_quality_fails_and_says_what_to_do(gate) -> None:
    """No point is worse, but the ranges hardly overlap: nothing can be said."""

    def move(row) -> None:
        row["psnr"] += 12
        row["bpp"] *= 2

    result = gate(change(make_rows(), move), {"psnr": 0.5})
    assert not result.passes
    assert "sweep both with more qualities" in result.failures[0]


def test_lost_images_below_significance_are_not_proven(gate) -> None:
    def move(row) -> None:
        row["psnr"] += 6

    result = gate(change(make_rows(rate=1.001), move, [1, 2]), {"psnr": 0.5})
    (check,) = result.checks
    assert (check.verdict, check.fails) == (Verdict.NOT_PROVEN, False)
    assert f"2 images that cannot be compared: {Flag.LITTLE_OVERLAP}" in check.reason


def test_image_that_is_spoiled_at_every_quality_fails(gate) -> None:
    """As by swapped colours or a shift of one pixel: half the range at the same bit rates."""

    def spoil(row) -> None:
        row["psnr"] = 25 + (row["psnr"] - 25) / 2

    (check,) = gate(change(make_rows(), spoil, [4]), {"psnr": 0.5}).checks
    assert (check.verdict, check.fails) == (Verdict.NOT_COMPARABLE, True)
    assert "broken on /photos/04.png: its best quality needs " in check.reason
    (check,) = gate(change(make_rows(), spoil, [4]), {"psnr": 0.5}, max_image_bd_rate=1000).checks
    assert (check.verdict, check.fails) == (Verdict.NOT_PROVEN, False)


def test_single_lost_image_of_many_does_not_count(gate) -> None:
    def move(row) -> None:
        row["psnr"] += 6

    old, new = make_rows(images=24), change(make_rows(images=24, rate=1.001), move, [1])
    (check,) = gate(new, {"psnr": 0.5}, baseline=old).checks
    assert (check.verdict, check.saving.valid) == (Verdict.WITHIN, 23)


def test_noisy_metric_of_one_image_does_not_fail(gate) -> None:
    """The baseline, too, has images whose quality does not rise with the bit rate."""

    def spoil(row) -> None:
        if row["quality"] == 60:
            row["psnr"] -= 25

    old, new = make_rows(), make_rows(rate=1.001)
    result = gate(change(new, spoil, [3, 7]), {"psnr": 0.5}, baseline=change(old, spoil, [2, 7]))
    (check,) = result.checks
    assert (check.verdict, check.fails) == (Verdict.WITHIN, False)
    assert not gate(new, {"psnr": 0.5}).passes


def test_same_seed_gives_the_same_interval(gate) -> None:
    noisy = scale_rates(make_rows(), draw_factors(1.004, 0.01, 12))
    first, second, other = (gate(noisy, seed=s).checks[0].saving.mean for s in (1, 1, 2))
    assert first == second != other
