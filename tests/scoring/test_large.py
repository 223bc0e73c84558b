"""Images that are read in strips get the numbers of whole images."""

import numpy as np
import pytest

from roi_ray import schema
from roi_ray.errors import OutOfMemory
from roi_ray.metrics import strips
from roi_ray.scoring import preparation
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from tests.conftest import deepen, jpeg

TOLERANCE = {"psnr": 1e-4, "roi_psnr": 1e-4, "ssimulacra2": 1e-3, "roi_ssimulacra2": 1e-3}
TOLERANCE |= {"ssimulacra2_y": 1e-3, "roi_ssimulacra2_y": 1e-3}


@pytest.fixture
def in_strips(monkeypatch):
    """Read all images in strips of a number of rows; forget what was prepared of references."""

    def read(width: int, rows: int = 64, kept_bytes: int = 0) -> None:
        monkeypatch.setattr(strips, "WHOLE_PIXELS", 0)
        monkeypatch.setattr(strips, "STRIP_PIXELS", {"cpu": rows * width})
        monkeypatch.setattr(preparation, "KEPT_BYTES", kept_bytes)

    return read


@pytest.fixture(scope="module", params=["mean", "normalised"])
def scorer(request) -> Scorer:
    metrics = schema.OPTIONAL_METRICS if request.param == "normalised" else ()
    return Scorer(Settings(roi_weighting=request.param, metrics=metrics))


def assert_equal(scores, expected) -> None:
    for ours, whole in zip(scores, expected, strict=True):
        for name, value in whole.to_dict().items():
            tolerance = TOLERANCE.get(name, 1e-5)
            assert getattr(ours, name) == pytest.approx(value, abs=tolerance), name


@pytest.mark.parametrize(
    ("name", "height", "width", "rows", "given_mask"),
    [
        ("astronaut", 220, 188, 64, False),
        ("coffee", 299, 220, 96, True),
        ("chelsea", 257, 201, 128, False),  # one row more than two strips
        ("chelsea", 257, 201, 128, True),
        ("rocket", 327, 139, 32, True),
        ("astronaut", 203, 20, 64, False),  # narrower than the networks' smallest side
        ("astronaut", 203, 20, 64, True),
    ],
)
def test_strips_give_the_numbers_of_whole_images(
    photos, scorer, in_strips, name, height, width, rows, given_mask
) -> None:
    x = photos[name][:height, :width]
    several = [jpeg(x, 8), jpeg(x, 75), deepen(jpeg(x, 40), 12)]
    mask = None
    if given_mask:
        mask = np.zeros((height, width), np.uint8)
        mask[-23:, width // 2 :] = 255
        mask[: height // 3, : width // 3] = 100
    expected = scorer.score(scorer.prepare(x, mask), several)
    in_strips(width, rows)
    prepared = scorer.prepare(x, mask)
    assert len(prepared.images.strips) == height // rows
    assert prepared.rows is None
    assert_equal(scorer.score(prepared, several), expected)


def test_kept_and_forgotten_rows_of_a_reference_give_the_same_numbers(
    photos, scorer, in_strips
) -> None:
    x = photos["coffee"][:299, :350]
    several = [jpeg(x, 8), jpeg(x, 75)]
    in_strips(350)
    forgotten = scorer.score(scorer.prepare(x), several)
    in_strips(350, kept_bytes=1 << 30)
    prepared = scorer.prepare(x)
    assert prepared.rows is not None and len(prepared.rows) == len(prepared.images.strips)
    assert scorer.score(prepared, several) == forgotten


def test_pairs_of_several_references_are_scored_in_their_order(photos, scorer, in_strips) -> None:
    names = ("coffee", "chelsea", "astronaut")
    images = [photos[name][:299, :301] for name in names]
    images[1] = deepen(images[1], 10)
    pairs = [(0, 10), (1, 20), (0, 30), (2, 40), (2, 50), (1, 60)]
    distorted = [jpeg(photos[names[number]][:299, :301], quality) for number, quality in pairs]

    def score():
        prepared = scorer.prepare_all(images, [None] * 3)
        order = [prepared[number] for number, _ in pairs]
        return scorer.score_pairs(list(zip(order, distorted, strict=True)))

    expected = score()
    in_strips(301)
    assert_equal(score(), expected)


def test_more_images_than_are_scored_together(photos, in_strips) -> None:
    x, scorer = photos["coffee"][:131, :200], Scorer()
    several = [jpeg(x, quality) for quality in range(5, 95, 8)]
    expected = scorer.score(scorer.prepare(x), several)
    in_strips(200)
    assert_equal(scorer.score(scorer.prepare(x), several), expected)


def test_reference_that_the_caller_changes_later_keeps_its_numbers(photos, in_strips) -> None:
    x, scorer = photos["coffee"][:131, :200].copy(), Scorer()
    distorted = jpeg(x, 30)
    in_strips(200)
    prepared = scorer.prepare(x)
    expected = scorer.score(prepared, [distorted])
    x[:] = 0
    assert scorer.score(prepared, [distorted]) == expected


def test_strips_too_large_for_the_memory_are_halved(photos, in_strips, monkeypatch) -> None:
    x, scorer = photos["coffee"][:299, :301], Scorer()
    several = [jpeg(x, 10), jpeg(x, 50), jpeg(x, 90)]
    expected = scorer.score(scorer.prepare(x), several)
    in_strips(301, rows=128)
    prepared = scorer.prepare(x)
    heights: list[int] = []
    limit = 1000
    metric = scorer._batches._metrics[0]
    average_maps = metric.average_maps

    def average_if_it_fits(rows, pair, get_weights):
        heights.append(pair.distorted.samples.shape[-2])
        if heights[-1] > limit:
            raise MemoryError("std::bad_alloc")
        return average_maps(rows, pair, get_weights)

    monkeypatch.setattr(metric, "average_maps", average_if_it_fits)
    assert_equal(scorer.score(prepared, several), expected)
    assert heights == [128, 128, 128, 171, 171, 171]
    limit = 110
    heights.clear()
    assert_equal(scorer.score(prepared, several), expected)
    # Three images, two, one, then one in strips of half the height; each of the others likewise.
    assert heights == [128, 128, 128, 64, 64, 64, 107, 128, 64, 64, 64, 107, 128, 64, 64, 64, 107]
    limit = 10
    with pytest.raises(OutOfMemory, match="301 x 299 needs more memory than there is"):
        scorer.score(prepared, several)


def test_reference_whose_strips_do_not_fit_is_prepared_in_lower_ones(
    photos, in_strips, monkeypatch
) -> None:
    x, scorer = photos["coffee"][:299, :301], Scorer()
    several = [jpeg(x, 10), jpeg(x, 90)]
    expected = scorer.score(scorer.prepare(x), several)
    in_strips(301, rows=128, kept_bytes=1 << 30)
    (metric,) = [metric for metric in scorer._batches._metrics if metric.name == "lpips"]
    extract_features = metric._network.extract_features
    heights: list[int] = []

    def extract_if_it_fits(images, *arguments):
        heights.append(images.shape[-2])
        if heights[-1] > 110:
            raise MemoryError("std::bad_alloc")
        return extract_features(images, *arguments)

    monkeypatch.setattr(metric._network, "extract_features", extract_if_it_fits)
    prepared = scorer.prepare(x)
    assert (heights, prepared.rows) == ([128], None)
    assert_equal(scorer.score(prepared, several), expected)
    assert set(heights[1:]) == {128, 64, 107}
