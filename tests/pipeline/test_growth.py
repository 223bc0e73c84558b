"""Outputs that grow: a job comes with more rows than the jobs before it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import OutputError
from roi_ray.io.manifest import read_manifest
from roi_ray.pipeline.retry import write_failed, write_missing
from roi_ray.pipeline.status import read_status
from tests.pipeline.counting import CountingEngine, count, make_rows


def write(path: Path, rows: list[dict]) -> str:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def read_output(folder: Path) -> pa.Table:
    return pq.read_table(folder).sort_by("pair_id")


def record(folder: Path) -> dict:
    return json.loads((folder / "_run/run.json").read_text())


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.glob("*.parquet")}


@pytest.fixture
def manifest(tmp_path):
    """Function: rows -> URI of a manifest with them."""
    return lambda rows: write(tmp_path / "manifest.parquet", rows)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "output"


def assert_complete(output: Path, rows: list[dict]) -> None:
    """Every row once, with its result, and every reader sees a complete output."""
    expected = sorted(rows, key=lambda row: row["pair_id"])
    table = read_output(output)
    names = list(rows[0])
    assert table.select(names).to_pylist() == expected
    for row in table.to_pylist():
        letters = None if row["error"] else len(row["distorted"] + row["codec"])
        assert row["letters"] == letters
    status = read_status(str(output))
    assert (status.done, status.missing, status.foreign) == (len(rows), 0, [])
    assert status.failed == sum("bad" in row["distorted"] for row in rows)


@pytest.mark.parametrize("part_rows", [1000, 5])
def test_added_codec_and_images_are_all_that_is_computed(manifest, output, part_rows) -> None:
    before = make_rows(5)
    assert len(count(manifest(before), str(output)).computed) == 10
    kept = snapshot(output)
    # A new codec, new images, and another order of rows and columns.
    after = [
        dict(reversed(row.items())) for row in reversed(make_rows(7, ("avif", "jpeg", "webp")))
    ]
    grown = count(manifest(after), str(output), part_rows=part_rows)
    new = {row["pair_id"] for row in after} - {row["pair_id"] for row in before}
    assert sorted(grown.computed) == sorted(new)
    assert grown.completion.computed == 11
    assert {path: path.read_bytes() for path in kept} == kept
    assert_complete(output, after)
    schemas = [pq.read_schema(path) for path in output.glob("*.parquet")]
    assert all(other.equals(schemas[0]) for other in schemas)

    again = count(manifest(after), str(output), part_rows=part_rows)
    assert not again.has_engine and again.completion.failed == 0


def test_output_grows_several_times_and_its_shards_name_their_manifest(manifest, output) -> None:
    sizes = (2, 3, 6)
    for references in sizes:
        count(manifest(make_rows(references)), str(output))
    assert_complete(output, make_rows(6))
    run = record(output)
    entries = [*run["earlier_manifests"], run["config"]["manifest"]]
    assert [entry["rows"] for entry in entries] == [4, 6, 12]
    assert [entry.get("first_shard", 0) for entry in entries] == [0, 2, 3]
    assert [entry.get("shards") for entry in entries] == [[[0, 1]], [[2, 2]], None]
    for number, expected in enumerate((0, 0, 1, 2, 2, 2)):
        metadata = pq.read_schema(output / f"shard-{number:06}.parquet").metadata
        of_shard = json.loads(metadata[b"roi_ray"])["config"]["manifest"]
        names = {"rows", "sha256", "first_shard"} & entries[expected].keys()
        named = {name: entries[expected][name] for name in names}
        assert of_shard == named


def test_interrupted_run_that_grows_leaves_gaps(manifest, output) -> None:
    before = make_rows(9)
    count(manifest(before), str(output))
    for number in (0, 2, 5):
        (output / f"shard-{number:06}.parquet").unlink()
    after = make_rows(10)
    grown = count(manifest(after), str(output))
    assert len(grown.computed) == 8
    assert record(output)["earlier_manifests"][0]["shards"] == [[1, 1], [3, 4], [6, 8]]
    numbers = sorted(int(path.stem[6:]) for path in output.glob("*.parquet"))
    assert numbers[:6] == [1, 3, 4, 6, 7, 8] and numbers[6] == 9
    assert_complete(output, after)


KILLED_AFTER = (1, 4, 8)


@pytest.mark.parametrize("kill_after", KILLED_AFTER)
def test_growing_job_that_is_killed_is_resumed_by_the_same_command(
    manifest, output, kill_after
) -> None:
    count(manifest(make_rows(4)), str(output))
    after = manifest(make_rows(10))
    command = [sys.executable, "-m", "tests.pipeline.counting", after, str(output)]
    killed = subprocess.run([*command, str(kill_after)], check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    status = read_status(str(output))
    committed = status.done - 8
    assert 0 <= committed <= kill_after
    assert (status.rows, status.missing) == (20, 12 - committed)
    resumed = count(after, str(output))
    assert len(resumed.computed) == 12 - committed
    assert_complete(output, make_rows(10))


@pytest.mark.parametrize("number", [1, 4])
def test_rows_of_a_torn_earlier_shard_are_computed_anew_in_new_shards(
    manifest, output, number
) -> None:
    count(manifest(make_rows(4)), str(output))
    after = manifest(make_rows(9))
    count(after, str(output))
    (output / "shard-000007.parquet").unlink()
    torn = output / f"shard-{number:06}.parquet"
    torn.write_bytes(torn.read_bytes()[:-30])
    status = read_status(str(output))
    assert status.missing == status.rows - status.done == 4
    assert len(status.foreign) == 1
    missing = write_missing(status, str(output.parent / "again/missing.parquet"))
    again = count(after, str(output))
    assert sorted(again.computed) == sorted(read_manifest(missing.uri).table["pair_id"].to_pylist())
    assert_complete(output, make_rows(9))
    assert not count(after, str(output)).has_engine


def test_second_job_on_an_output_that_grows_is_refused(
    manifest, output, tmp_path, fast_lock
) -> None:
    count(manifest(make_rows(3)), str(output))
    more, most = (write(tmp_path / f"{n}.parquet", make_rows(n)) for n in (5, 7))
    refusals = []

    class StartingSecondJob(CountingEngine):
        def run(self, items, *, isolate=False):
            with pytest.raises(OutputError, match="is writing there") as refused:
                count(most, str(output))
            refusals.append(refused.value)
            yield from super().run(items, isolate=isolate)

    count(more, str(output), engine=StartingSecondJob())
    assert len(refusals) == 1
    assert_complete(output, make_rows(5))
    assert len(count(most, str(output)).computed) == 4
    assert_complete(output, make_rows(7))


def test_growth_after_which_nothing_is_new_is_recorded(manifest, output) -> None:
    """A manifest of the rows that happen to be complete: the rest was never committed."""
    count(manifest(make_rows(6)), str(output))
    (output / "shard-000003.parquet").unlink()
    rows = [
        row for row in make_rows(6) if row["pair_id"] in read_output(output)["pair_id"].to_pylist()
    ]
    assert count(manifest(rows), str(output)).computed == []
    assert_complete(output, rows)


@pytest.mark.parametrize("references", [(2,), (2, 3)])
def test_output_whose_shards_are_all_torn_begins_anew(manifest, output, references) -> None:
    for number in references:
        count(manifest(make_rows(number)), str(output))
    for path in output.glob("*.parquet"):
        path.write_bytes(b"torn")
    count(manifest(make_rows(3)), str(output))
    assert "earlier_manifests" not in record(output)
    assert_complete(output, make_rows(3))


def change(rows: list[dict], number: int, **values) -> list[dict]:
    return [row | values if k == number else row for k, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            make_rows(4),
            r"2 rows that are not .* '4 jpeg' \(4\.jpeg\): it is missing\. A manifest can only add",
        ),
        (make_rows(5)[1:] + make_rows(6)[10:], "1 rows that are not .* '0 jpeg' .*: it is missing"),
        (
            change(make_rows(6), 3, codec="avif"),
            r"1 rows .* '1 webp' .*: 'codec' was 'webp', and is 'avif' now",
        ),
        (
            change(make_rows(6), 3, bpp=0.5),
            r"'1 webp' .*: 'bpp' was 0\.14285714285714285, and is 0\.5 now",
        ),
        ([row | {"q": 3} for row in make_rows(6)], "a column 'q' that is missing there, and int64"),
        (
            [{name: row[name] for name in row if name != "bpp"} for row in make_rows(6)],
            "a column 'bpp' that is double there, and missing in the manifest",
        ),
        (
            [row | {"bpp": str(row["bpp"])} for row in make_rows(6)],
            "a column 'bpp' that is double there, and string in the manifest",
        ),
    ],
)
def test_manifest_that_does_more_than_add_rows_is_refused(manifest, output, rows, reason) -> None:
    count(manifest(make_rows(5)), str(output))
    kept, run = snapshot(output), record(output)
    with pytest.raises(OutputError, match=reason):
        count(manifest(rows), str(output))
    assert (snapshot(output), record(output)) == (kept, run)
    assert not (output / "_run/lock.json").exists()
    assert not count(manifest(make_rows(5)), str(output)).has_engine


def test_earlier_manifest_is_refused_once_the_output_has_grown(manifest, output) -> None:
    count(manifest(make_rows(3)), str(output))
    count(manifest(make_rows(5)), str(output))
    with pytest.raises(OutputError, match=r"4 rows that are not in the manifest.*name another --"):
        count(manifest(make_rows(3)), str(output))
    assert_complete(output, make_rows(5))


def test_other_settings_are_refused_also_with_another_manifest(manifest, output) -> None:
    count(manifest(make_rows(3)), str(output))
    with pytest.raises(OutputError, match=r"the counts of a run.*\n  shard_size: 3 before, 4 now"):
        count(manifest(make_rows(5)), str(output), shard_size=4)


def test_record_that_names_no_command_is_one_of_score(manifest, output) -> None:
    count(manifest(make_rows(3)), str(output))
    run = record(output)
    del run["command"]
    (output / "_run/run.json").write_text(json.dumps(run))
    with pytest.raises(OutputError, match="an output of `roi-ray score`, not of `roi-ray count`"):
        count(manifest(make_rows(5)), str(output))


def test_new_manifests_of_a_grown_output_have_its_failed_and_missing_rows(
    manifest, output, tmp_path
) -> None:
    before = change(make_rows(3), 2, distorted="bad one")
    count(manifest(before), str(output))
    after = change(before + make_rows(6)[6:], 8, distorted="bad two")
    uri = manifest(after)
    count(uri, str(output))
    (output / "shard-000003.parquet").unlink()
    status = read_status(str(output))
    missing = write_missing(status, str(tmp_path / "new/missing.parquet"))
    failed = write_failed(status, str(tmp_path / "new/failed.parquet"))
    lost = pq.read_table(missing.uri)["pair_id"].to_pylist()
    stored = read_output(output)
    assert sorted(lost + stored["pair_id"].to_pylist()) == sorted(row["pair_id"] for row in after)
    assert 0 < len(lost) == status.missing
    bad = stored.filter(pa.compute.is_valid(stored["error"]))["pair_id"].to_pylist()
    assert sorted(pq.read_table(failed.uri)["pair_id"].to_pylist()) == bad
    assert count(uri, str(output)).completion.failed == 2
    assert_complete(output, after)
