"""Further columns of the manifest of a sweep's images are in the sweep and in its scores."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ManifestError, OutputError
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.sweep.images import find_images
from roi_ray.sweep.job import make_sweep
from roi_ray.sweep.options import SweepOptions
from tests.conftest import encode, write

LOCAL = SweepOptions(engine="local", shard_size=4)
NAMES = ("coffee", "rocket", "chelsea")


@pytest.fixture
def images(tmp_path, photos) -> Path:
    for name in NAMES:
        write(tmp_path / f"images/{name}.png", encode(photos[name][:60, :80]))
    return tmp_path / "images"


def write_images(folder: Path, **columns: list) -> str:
    table = {"reference": [f"{name}.png" for name in NAMES], **columns}
    rows = len(next(iter(columns.values()), NAMES))
    path = folder / "images.parquet"
    pq.write_table(pa.table({name: values[:rows] for name, values in table.items()}), path)
    return str(path)


def rows_of(uri: str | Path) -> list[dict]:
    return pq.read_table(uri).to_pylist()


def by_image(rows: list[dict], column: str) -> dict:
    values: dict = {}
    for row in rows:
        values.setdefault(Path(row["reference"]).stem, set()).add(row[column])
    assert all(len(each) == 1 for each in values.values())
    return {name: next(iter(each)) for name, each in values.items()}


def test_columns_are_in_the_sweep_and_in_the_scores_when_it_grows(tmp_path, images) -> None:
    taken = datetime(2024, 5, 1, 12)
    manifest = write_images(
        images, content=["food", "machine"], iso=[100, None], taken=[taken, None]
    )
    out = str(tmp_path / "out")
    sweep = make_sweep(manifest, out, ["jpeg:20,80"], options=LOCAL)
    rows = rows_of(sweep.manifest)
    assert len(rows) == 4
    assert by_image(rows, "content") == {"coffee": "food", "rocket": "machine"}
    assert by_image(rows, "iso") == {"coffee": 100, "rocket": None}
    assert by_image(rows, "taken") == {"coffee": taken, "rocket": None}

    options = Options(engine="local", device="cpu", allow_prefixes=(str(images),), shard_size=4)
    first = score_manifest(sweep.manifest, f"{out}/scores", options=options)
    assert (first.rows, first.failed) == (4, 0)
    assert by_image(rows_of(f"{out}/scores"), "content") == {"coffee": "food", "rocket": "machine"}

    manifest = write_images(
        images,
        content=["food", "machine", "animal"],
        iso=[100, None, 400],
        taken=[taken, None, None],
    )
    grown = make_sweep(manifest, out, ["jpeg:20,80", "webp:50"], options=LOCAL)
    assert (grown.rows, grown.encoded) == (9, 5)
    rows = rows_of(grown.manifest)
    assert by_image(rows, "content")["chelsea"] == "animal"
    assert by_image(rows, "iso") == {"coffee": 100, "rocket": None, "chelsea": 400}
    more = score_manifest(sweep.manifest, f"{out}/scores", options=options)
    assert (more.rows, more.failed) == (9, 0)
    assert by_image(rows_of(f"{out}/scores"), "iso")["chelsea"] == 400


def test_images_that_are_named_without_columns_keep_their_values(tmp_path, images) -> None:
    out = str(tmp_path / "out")
    make_sweep(write_images(images, content=["food", "machine"]), out, ["jpeg:20"], options=LOCAL)
    (images / "images.parquet").unlink()
    rows = rows_of(make_sweep(str(images), out, ["jpeg:20,80"], options=LOCAL).manifest)
    assert len(rows) == 6
    assert by_image(rows, "content") == {"coffee": "food", "rocket": "machine", "chelsea": None}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"content": ["food", "car"]}, r"rocket\.png had content 'machine', and has 'car' now"),
        ({"content": [1, 2]}, "column 'content' was of type string, and is int64 now"),
        ({"content": ["food", "machine"], "light": ["day", "night"]}, "without the column 'light'"),
    ],
)
def test_other_columns_or_values_are_refused_and_change_nothing(
    tmp_path, images, columns, message
) -> None:
    out = tmp_path / "out"
    make_sweep(
        write_images(images, content=["food", "machine"]), str(out), ["jpeg:20"], options=LOCAL
    )
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(OutputError, match=message):
        make_sweep(write_images(images, **columns), str(out), ["jpeg:20,80"], options=LOCAL)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_sweep_without_columns_refuses_them_later(tmp_path, images) -> None:
    out = str(tmp_path / "out")
    make_sweep(str(images), out, ["jpeg:20"], options=LOCAL)
    with pytest.raises(OutputError, match="is a sweep without the column 'content'"):
        make_sweep(write_images(images, content=["a", "b", "c"]), out, ["jpeg:20"], options=LOCAL)
    assert len(rows_of(make_sweep(write_images(images), out, ["jpeg:20"], options=LOCAL).manifest))


@pytest.mark.parametrize("name", ["quality", "codec", "PSNR", "error", "pair_id", "roi_fraction"])
def test_columns_that_sweeps_and_scores_write_are_refused(images, name) -> None:
    manifest = write_images(images, **{name: ["a", "b"]})
    with pytest.raises(ManifestError, match=f"column '{name}' is one that sweeps or scores write"):
        find_images(manifest, "/out")


def test_image_has_one_value(images) -> None:
    rows = [
        {"reference": "coffee.png", "content": "food"},
        {"reference": "rocket.png", "content": "machine"},
        {"reference": "./coffee.png", "content": "drink"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), images / "m.parquet")
    with pytest.raises(ManifestError, match=r"row 3 has another content than an earlier row"):
        find_images(str(images / "m.parquet"), "/out")


def test_manifest_of_pairs_gives_what_its_images_have_in_common(images) -> None:
    rows = [
        {"reference": f"{name}.png", "distorted": str(row), "quality": row, "crop": row, "iso": 100}
        for row, name in enumerate([*NAMES, *NAMES])
    ]
    pq.write_table(pa.Table.from_pylist(rows), images / "m.parquet")
    found = find_images(str(images / "m.parquet"), "/out", limit=2)
    assert len(found.uris) == 2
    assert found.columns.to_pydict() == {"iso": [100, 100]}
