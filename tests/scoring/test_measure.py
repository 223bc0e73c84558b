"""The numbers that the scorer measures: which columns, under which masks."""

import numpy as np
import pytest

from roi_ray import schema
from roi_ray.errors import UsageError
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from tests.conftest import Photos, jpeg

ROI_NUMBERS = [
    name for name in schema.MEANINGS if name.startswith("roi_") and name != "roi_fraction"
]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(Settings(metrics=schema.OPTIONAL_METRICS))


def test_every_column_is_measured(photos: Photos, scorer) -> None:
    x = photos["coffee"][:170, :180]
    (scores,) = scorer.score(scorer.prepare(x), [jpeg(x, 30)])
    columns = schema.make_scores_schema(schema.OPTIONAL_METRICS)
    errors = {schema.ERROR_KIND, schema.ERROR}
    assert list(scores.to_dict()) == [name for name in columns.names if name not in errors]
    assert all(np.isfinite(value) for value in scores.to_dict().values())


def test_optional_metrics_are_measured_only_on_request(photos: Photos) -> None:
    scorer, x = Scorer(), photos["coffee"][:64, :96]
    (scores,) = scorer.score(scorer.prepare(x), [jpeg(x, 30)])
    errors = {schema.ERROR_KIND, schema.ERROR}
    names = [name for name in schema.make_scores_schema().names if name not in errors]
    assert list(scores.to_dict()) == names
    assert not {*schema.OPTIONAL_METRICS} & {*names}
    with pytest.raises(UsageError, match="no optional metric is called 'vmaf'"):
        Settings(metrics=("vmaf",))
    with pytest.raises(UsageError, match=r"give a tuple of names: \('ssimulacra2',\)"):
        Settings(metrics="ssimulacra2")  # type: ignore[arg-type]


@pytest.mark.parametrize("weighting", ["mean", "normalised"])
def test_empty_mask_gives_no_numbers_of_the_region(photos: Photos, weighting) -> None:
    x = photos["coffee"][:170, :180]
    y = jpeg(x, 30)
    settings = Settings(roi_weighting=weighting, metrics=schema.OPTIONAL_METRICS)
    scorer = Scorer(settings, batch=4)
    mask = np.zeros((170, 180), np.uint8)
    band = mask.copy()
    band[160:] = 255
    references = scorer.prepare_all([x, x], [mask, band])
    empty, some = scorer.score_pairs([(reference, y) for reference in references])
    assert empty.roi_fraction == 0
    assert {getattr(empty, name) for name in ROI_NUMBERS} == {None}
    assert None not in some.to_dict().values()
    whole = [name for name in empty.to_dict() if not name.startswith("roi_")]
    # The last digits depend on the place in the batch.
    expected = [pytest.approx(getattr(some, name), rel=1e-6) for name in whole]
    assert [getattr(empty, name) for name in whole] == expected
    assert "roi_psnr=None" in repr(empty)


@pytest.mark.parametrize("weighting", ["mean", "normalised"])
def test_one_pixel_of_a_mask_is_a_region(photos: Photos, weighting) -> None:
    """At the corner, where SSIM's window hardly sees it, and at coarse scales even less."""
    x = photos["coffee"][:384, :512]
    mask = np.zeros((384, 512), np.uint8)
    mask[-1, -1] = 255
    scorer = Scorer(Settings(roi_weighting=weighting))
    high, low = scorer.score(scorer.prepare(x, mask), [jpeg(x, 95), jpeg(x, 5)])
    assert 0 < low.roi_ms_ssim < high.roi_ms_ssim <= 1


def test_mask_of_ones_gives_the_numbers_of_the_whole_image(photos: Photos, scorer) -> None:
    x = photos["coffee"][:301, :333]
    ones = np.full(x.shape[:2], 255, np.uint8)
    (scores,) = scorer.score(scorer.prepare(x, ones), [jpeg(x, 30)])
    for name in ROI_NUMBERS:
        assert getattr(scores, name) == getattr(scores, name.removeprefix("roi_")), name


def test_reference_of_a_scorer_without_a_metric_is_refused(photos: Photos, scorer) -> None:
    x = photos["coffee"][:64, :96]
    with pytest.raises(UsageError, match="by a scorer without the metric"):
        scorer.score(Scorer().prepare(x), [x])
