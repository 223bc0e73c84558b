"""A chunk's pixels, at every bit depth, through Arrow."""

import numpy as np
import pyarrow as pa
import pytest

from roi_ray.imaging.pixels import HighBitDepthImage, bit_depth_of
from roi_ray.pipeline.chunk import Chunk
from roi_ray.pipeline.score_stage import ScoringActor
from roi_ray.schema import Failure
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from tests.conftest import deepen, jpeg

DEPTHS = (8, 10, 12, 16)


def make_chunk(photo, depth: int, reference: str = "r") -> Chunk:
    """Make a chunk of a reference of one depth, images of all depths, and a row that failed."""
    x = photo if depth == 8 else deepen(photo, depth)
    chunk = Chunk(3, reference, x, np.full(photo.shape[:2], 51, np.uint8))
    y = jpeg(photo, 60)
    for row, each in enumerate(DEPTHS):
        chunk.add(row, f"p{row}", y if each == 8 else deepen(y, each))
    chunk.add(9, "p9", None, Failure("ImageReadError", "9.png: gone"))
    return chunk


def through_ipc(table: pa.Table) -> pa.Table:
    """Write a table and read it again, as Ray does between two processes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


@pytest.mark.parametrize("carry", [lambda table: table, through_ipc], ids=["as is", "IPC"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_every_depth_survives_the_table(photos, depth, carry) -> None:
    chunk = make_chunk(photos["coffee"][:31, :33], depth)
    images = list(chunk.images)
    table = carry(chunk.to_arrow())
    assert chunk.images == []
    result = Chunk.from_arrow(table)
    assert result.images[-1] is None
    for got, want in zip(
        [result.pixels, *result.images[:-1]], [chunk.pixels, *images[:-1]], strict=True
    ):
        assert type(got) is type(want)
        assert got.dtype == want.dtype
        assert bit_depth_of(got) == bit_depth_of(want)
        assert np.array_equal(got, want)
    assert isinstance(result.images[2], HighBitDepthImage)
    assert np.array_equal(result.mask, chunk.mask)
    assert (result.rows, result.failures) == (chunk.rows, chunk.failures)


@pytest.mark.parametrize("depth", [8, 16])
def test_large_images_are_not_copied_into_the_table(photos, depth) -> None:
    x = photos["coffee"] if depth == 8 else deepen(photos["coffee"], depth)
    chunk = Chunk(3, "r", x)
    y = x[:, ::-1].copy()
    chunk.add(0, "p", y)
    table = chunk.to_arrow()
    (pixels,), (images,) = table["pixels"].chunks, table["images"].chunks
    assert pixels.buffers()[2].address == chunk.pixels.ctypes.data
    assert images.values.buffers()[2].address == y.ctypes.data


def test_chunk_without_reference_keeps_its_failures() -> None:
    chunk = Chunk(1, "bad")
    chunk.add(7, "p", None, Failure("ImageReadError", "reference bad: gone"))
    result = Chunk.from_arrow(chunk.to_arrow())
    assert (result.pixels, result.images, result.failures) == (None, [None], chunk.failures)


def test_chunks_of_several_depths_are_scored_together(photos) -> None:
    photo = np.ascontiguousarray(photos["rocket"][:64, :81])
    chunks = [make_chunk(photo, depth, str(depth)) for depth in DEPTHS]
    actor = ScoringActor(Settings(), device="cpu", batch=4, weights_dir=None, threads=1)
    images = [list(chunk.images[:4]) for chunk in chunks]
    results = actor(through_ipc(pa.concat_tables([chunk.to_arrow() for chunk in chunks])))
    rows = results.to_pylist()
    assert [row["error_kind"] for row in rows] == [*[None] * 4, "ImageReadError"] * 4
    scored = [row for row in rows if row["error_kind"] is None]
    depths = [(row["reference_bit_depth"], row["distorted_bit_depth"]) for row in scored]
    assert depths == [(a, b) for a in DEPTHS for b in DEPTHS]
    assert rows[4]["reference_bit_depth"] is None
    scorer = Scorer()
    for chunk, distorted, start in zip(chunks, images, range(0, 16, 4), strict=True):
        prepared = scorer.prepare(chunk.pixels, chunk.mask)
        expected = scorer.score(prepared, distorted)
        for row, scores in zip(scored[start : start + 4], expected, strict=True):
            got = {name: row[name] for name in scores.to_dict()}
            assert got == pytest.approx(scores.to_dict(), rel=1e-5, abs=1e-6)
            assert row["mse"] == pytest.approx(scores.mse, rel=1e-12)
