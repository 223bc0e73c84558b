import weakref

import numpy as np
import pyarrow as pa
import pytest
import torch

from roi_ray import schema
from roi_ray.pipeline import score_stage
from roi_ray.pipeline.chunk import Chunk
from roi_ray.pipeline.score_kind import RESULTS
from roi_ray.pipeline.score_stage import ScoringActor
from roi_ray.schema import Failure
from roi_ray.scoring import outcome
from roi_ray.scoring.preparation import Preparation
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from tests.conftest import jpeg


def errors_in(table: pa.Table) -> list[str | None]:
    """Return kind and text of each row's error."""
    return [
        None if row[schema.ERROR] is None else f"{row[schema.ERROR_KIND]}: {row[schema.ERROR]}"
        for row in table.to_pylist()
    ]


@pytest.fixture(scope="module")
def scoring() -> ScoringActor:
    return ScoringActor(Settings(), device="cpu", batch=4, weights_dir=None, threads=1)


def chunk(x, *images, reference="r"):
    built = Chunk(5, reference, x)
    for row, image in enumerate(images):
        failure = None if image is not None else Failure("ImageReadError", f"{row}.png: gone")
        built.add(10 + row, f"p{row}", image, failure)
    return built.to_arrow()


def test_each_row_has_scores_or_its_error(photos, scoring) -> None:
    x = photos["coffee"][:96, :128]
    y, z = jpeg(x, 20), jpeg(x, 80)
    results = scoring(chunk(x, y, None, z))
    assert results.schema.equals(RESULTS)
    assert results["shard"].to_pylist() == [5, 5, 5]
    assert results["row"].to_pylist() == [10, 11, 12]
    assert errors_in(results) == [None, "ImageReadError: 1.png: gone", None]
    scorer = Scorer()
    expected = scorer.score(scorer.prepare(x), [y, z])
    assert results["lpips"].to_pylist() == [expected[0].lpips, None, expected[1].lpips]
    assert results["roi_ms_ssim"].to_pylist()[2] == expected[1].roi_ms_ssim


def test_mask_in_the_chunk_replaces_the_saliency_mask(photos, scoring) -> None:
    x = photos["coffee"][:96, :128]
    built = Chunk(0, "masked", x, np.full(x.shape[:2], 51, np.uint8))
    built.add(0, "p", jpeg(x, 20))
    (row,) = scoring(built.to_arrow()).to_pylist()
    assert row["roi_fraction"] == pytest.approx(0.2, abs=1e-6)


def test_reference_in_several_chunks_is_prepared_once(photos, scoring, monkeypatch) -> None:
    x, other = photos["coffee"][:64, :64], photos["rocket"][:64, :64]
    prepared = []
    prepare = Scorer.prepare_all
    monkeypatch.setattr(Scorer, "prepare_all", lambda *args: prepared.append(1) or prepare(*args))
    for _ in range(3):
        scoring(chunk(x, jpeg(x, 20), reference="one"))
    scoring(chunk(other, jpeg(other, 20), reference="two"))
    assert len(prepared) == 2


def test_unexpected_exception_fails_only_the_rows_of_the_chunk(
    photos, scoring, monkeypatch
) -> None:
    x = photos["coffee"][:64, :64]

    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Scorer, "score_pairs", fail)
    results = scoring(chunk(x, x, None))
    assert errors_in(results) == [
        "RuntimeError: reference r: CUDA error: an illegal memory access was encountered",
        "ImageReadError: 1.png: gone",
    ]
    assert results["mse"].null_count == 2


def test_device_memory_is_free_when_chunks_are_retried(photos, scoring, monkeypatch) -> None:
    x, y = photos["coffee"][:64, :64], photos["rocket"][:64, :64]
    prepare, alive = Preparation.prepare, []

    def run_out_of_memory(self, references, masks):
        if len(references) > 1:
            on_the_device = torch.ones(len(references), 64, 64)
            alive.append(weakref.ref(on_the_device))
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert alive[0]() is None
        return prepare(self, references, masks)

    monkeypatch.setattr(Preparation, "prepare", run_out_of_memory)
    both = pa.concat_tables(
        [chunk(x, jpeg(x, 20), reference="crowd"), chunk(y, jpeg(y, 20), reference="ed")]
    )
    results = scoring(both)
    assert len(alive) == 1
    assert results[schema.ERROR].null_count == len(results) == 2


def test_error_names_the_reference_that_is_too_small(photos, scoring) -> None:
    x = photos["coffee"][:8, :80]
    (error,) = errors_in(scoring(chunk(x, x, reference="a/tiny.png\n")))
    assert error.startswith("ImageTooSmall: reference a/tiny.png: 80 x 8 is smaller than")


def test_non_finite_scores_are_an_error(photos, scoring, monkeypatch) -> None:
    x = photos["coffee"][:64, :64]
    monkeypatch.setattr(
        outcome, "asdict", lambda _: {"mse": 0.1, "lpips": float("nan"), "d_loss": float("inf")}
    )
    results = scoring(chunk(x, x))
    (row,) = results.to_pylist()
    assert errors_in(results) == ["NonFiniteScore: lpips, d_loss not finite"]
    assert row["mse"] is None


def test_chunks_of_one_size_are_scored_together(photos, scoring, monkeypatch) -> None:
    names = ("coffee", "rocket", "chelsea")
    xs = [photos[name][:64, : 64 + 16 * (name == "chelsea")] for name in names]
    tiny = photos["coffee"][:8, :64]
    tables = [
        chunk(x, jpeg(x, 20), None, reference=name) for name, x in zip(names, xs, strict=True)
    ]
    tables.append(chunk(tiny, tiny, tiny, reference="tiny"))
    calls = []
    score = Scorer.score_pairs
    monkeypatch.setattr(
        Scorer, "score_pairs", lambda self, pairs: calls.append(len(pairs)) or score(self, pairs)
    )
    results = scoring(pa.concat_tables(tables))
    rows, errors = results.to_pylist(), errors_in(results)
    assert calls == [2, 1]
    assert [row["row"] for row in rows] == [10, 11] * 4
    for x, row in zip(xs, rows[:6:2], strict=True):
        (expected,) = Scorer().score(Scorer().prepare(x), [jpeg(x, 20)])
        assert row["lpips"] == pytest.approx(expected.lpips, abs=1e-6)
    assert errors[1:6:2] == ["ImageReadError: 1.png: gone"] * 3
    assert all(error.startswith("ImageTooSmall: reference tiny") for error in errors[6:])


def test_bad_chunk_does_not_fail_the_chunks_scored_with_it(photos, scoring, monkeypatch) -> None:
    x = photos["coffee"][:64, :64]
    prepare = Scorer.prepare_all

    def fail_on_black(self, references, masks):
        if any(reference.max() == 0 for reference in references):
            raise RuntimeError("CUDA error")
        return prepare(self, references, masks)

    monkeypatch.setattr(Scorer, "prepare_all", fail_on_black)
    good, bad = chunk(x, jpeg(x, 20), reference="good"), chunk(0 * x, x, reference="bad")
    results = scoring(pa.concat_tables([good, bad]))
    assert errors_in(results) == [None, "RuntimeError: reference bad: CUDA error"]


def test_chunk_without_images_keeps_its_errors(scoring) -> None:
    built = Chunk(1, "bad")
    built.add(7, "p", None, Failure("ImageReadError", "reference bad: gone"))
    assert errors_in(scoring(built.to_arrow())) == ["ImageReadError: reference bad: gone"]


def test_pairs_with_unavailable_storage_are_not_counted_yet(photos, scoring, monkeypatch) -> None:
    x = photos["coffee"][:64, :64]
    kinds: list[str | None] = []
    monkeypatch.setattr(score_stage.telemetry, "count_pairs", kinds.extend)
    built = Chunk(5, "r", x)
    built.add(0, "p0", x)
    built.add(1, "p1", None, Failure("StorageUnavailable", "b.png: no answer"))
    built.add(2, "p2", None, Failure("ImageReadError", "c.png: empty"))
    results = scoring(built.to_arrow())
    assert kinds == [None, "ImageReadError"]
    assert errors_in(results)[1] == "StorageUnavailable: b.png: no answer"


@pytest.mark.parametrize(
    ("settings", "weights_dir", "reason"),
    [
        (Settings(saliency="/no/such/u2net.pth"), None, "cannot read /no/such/u2net.pth"),
        (Settings(lpips="squeeze"), "ftp://weights", "cannot open ftp://weights"),
    ],
)
def test_rows_of_an_actor_without_weights_get_weights_errors(
    photos, settings, weights_dir, reason
) -> None:
    actor = ScoringActor(settings, device="cpu", batch=4, weights_dir=weights_dir, threads=1)
    x = photos["coffee"][:64, :64]
    errors = errors_in(actor(chunk(x, x, None)))
    assert len(set(errors)) == 1
    assert errors[0].startswith(f"WeightsError: a scoring actor cannot start: {reason}")
