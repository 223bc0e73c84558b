import json

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import roi_ray
from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.pipeline.output import Output
from roi_ray.pipeline.run_record import describe_run
from roi_ray.pipeline.score_kind import make_score_kind
from roi_ray.scoring.version import SCORING_VERSION

CONFIG = {"manifest": {"rows": 5, "sha256": "ab"}, "precision": "fp32", "shard_size": 3}
MANIFEST = {"given": "m", "uri": "/old/m", "base": "/old"}
PLAN = {0: np.array([0, 2, 1]), 1: np.array([3, 4])}


def manifest(rows):
    return pa.table(
        {
            "pair_id": [f"p{row}" for row in rows],
            "reference": ["r"] * len(rows),
            "distorted": [f"d{row}" for row in rows],
            "codec": ["jpeg"] * len(rows),
            "nothing": pa.nulls(len(rows)),
        }
    )


def scores(rows, failed=()):
    errors = (schema.ERROR_KIND, schema.ERROR)
    table = {
        field.name: pa.array([None if row in failed else row for row in rows], field.type)
        for field in schema.make_scores_schema()
        if field.name not in errors
    }
    for name, value in zip(errors, ("ImageReadError", "bad"), strict=True):
        table[name] = [value if row in failed else None for row in rows]
    return pa.table(table, schema=schema.make_scores_schema())


def make_output(folder, config=CONFIG, manifest=MANIFEST):
    kind = make_score_kind()
    return Output(str(folder), describe_run(kind, config, manifest), kind)


def commit(output, failed=(1,)):
    with output.lock() as writer:
        return [
            writer.commit(shard, manifest(rows), scores(rows, failed))
            for shard, rows in PLAN.items()
        ]


def read_record(folder):
    return json.loads((folder / "_run" / "run.json").read_text())


def test_common_parquet_readers_read_all_shards(tmp_path) -> None:
    assert commit(make_output(tmp_path)) == [1, 0]
    ids = ["p0", "p2", "p1", "p3", "p4"]
    columns = [
        "pair_id",
        "reference",
        "distorted",
        "codec",
        "nothing",
        *schema.make_scores_schema().names,
    ]
    assert pq.read_table(tmp_path)["pair_id"].to_pylist() == ids
    assert pq.read_table(tmp_path).column_names == columns
    assert pd.read_parquet(tmp_path)["pair_id"].tolist() == ids
    files = str(tmp_path / "*.parquet")
    assert pl.read_parquet(files)["pair_id"].to_list() == ids
    query = f"select pair_id, mse, error_kind, error from '{files}' order by mse"
    rows = duckdb.sql(query).fetchall()
    assert rows[0] == ("p0", 0.0, None, None)
    assert rows[-1] == ("p1", None, "ImageReadError", "bad")


def test_record_and_shards_carry_provenance(tmp_path) -> None:
    output = make_output(tmp_path)
    commit(output)
    run = read_record(tmp_path)
    assert run["config"] == CONFIG
    assert run["scoring_version"] == SCORING_VERSION
    assert run["roi_ray"] == roi_ray.__version__
    assert run["columns"]["roi_psnr"]["unit"] == "dB"
    assert run["columns"]["lpips"]["better"] == "lower"
    assert run["versions"]["torch"]
    stored = pq.read_schema(output.shard_uri(0))
    assert json.loads(stored.metadata[b"roi_ray"])["config"] == CONFIG
    assert stored.field("d_loss").metadata[b"better"] == b"lower"
    assert stored.field("psnr").metadata[b"unit"] == b"dB"


def test_inspect_finds_complete_and_missing_shards(tmp_path) -> None:
    output = make_output(tmp_path)
    empty = output.inspect(PLAN)
    assert (empty.failed, list(empty.missing), empty.torn) == ({}, [0, 1], [])
    commit(output)
    complete = make_output(tmp_path).inspect(PLAN)
    assert (complete.failed, complete.missing, complete.torn) == ({0: 1, 1: 0}, {}, [])
    (tmp_path / "shard-000000.parquet").unlink()
    partial = make_output(tmp_path).inspect(PLAN)
    assert (partial.failed, partial.torn) == ({1: 0}, [])
    assert {shard: rows.tolist() for shard, rows in partial.missing.items()} == {0: [0, 2, 1]}


@pytest.mark.parametrize("damage", ["torn", "empty", "foreign", "short", "another"])
def test_damaged_or_foreign_shard_is_torn_and_can_be_quarantined(tmp_path, damage, caplog) -> None:
    output = make_output(tmp_path)
    commit(output)
    path = tmp_path / "shard-000001.parquet"
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-50])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "another":
        with output.lock() as writer:
            writer.commit(0, manifest([3, 4]), scores([3, 4]))
            (tmp_path / "shard-000000.parquet").rename(path)
            writer.commit(0, manifest(PLAN[0]), scores(PLAN[0], [1]))
    elif damage == "foreign":
        pq.write_table(pa.table({"x": [1, 2]}), path)
    else:
        with output.lock() as writer:
            writer.commit(1, manifest([3]), scores([3]))
    inventory = output.inspect(PLAN)
    assert (inventory.failed, inventory.torn) == ({0: 1}, [path.name])
    with output.lock() as writer:
        writer.quarantine(path.name)
    assert not path.exists()
    assert (tmp_path / "_run" / "torn" / path.name).exists()
    assert "shard-000001.parquet is torn, or not of this run: moved to" in caplog.text


def test_unplanned_parquet_files_are_foreign(tmp_path) -> None:
    output = make_output(tmp_path)
    commit(output)
    for name in ("shard-000002.parquet", "shard-0000001.parquet", "shard-x.parquet", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    foreign = ["shard-0000001.parquet", "shard-000002.parquet", "shard-x.parquet"]
    assert output.find_foreign_files(range(2)) == foreign
    assert output.find_foreign_files(range(3)) == [foreign[0], foreign[2]]


def test_another_configuration_is_refused_with_its_differences(tmp_path) -> None:
    commit(make_output(tmp_path))
    assert make_output(tmp_path).is_recorded()
    other = {**CONFIG, "precision": "bf16", "max_pixels": 9}
    before = sorted(tmp_path.rglob("*"))
    for refuse in (Output.is_recorded, lambda output: output.lock().__enter__()):
        with pytest.raises(OutputError) as caught:
            refuse(make_output(tmp_path, other))
        text = str(caught.value)
        assert "max_pixels: None before, 9 now" in text
        assert "precision: 'fp32' before, 'bf16' now" in text
        assert "before, 9 now;\n" in text, "one command prints it as one line"
        assert "shard_size" not in text
        assert "name another --output" in text
    assert sorted(tmp_path.rglob("*")) == before


def test_run_without_any_shard_can_be_replaced(tmp_path) -> None:
    other = {**CONFIG, "shard_size": 9}
    with make_output(tmp_path, other).lock():
        pass
    assert not make_output(tmp_path).is_recorded()
    commit(make_output(tmp_path))
    assert read_record(tmp_path)["config"] == CONFIG
    assert make_output(tmp_path).inspect(PLAN).failed == {0: 1, 1: 0}
    with pytest.raises(OutputError, match="shard_size: 3 before, 9 now"):
        make_output(tmp_path, other).is_recorded()


def test_folder_with_other_files_is_refused(tmp_path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    output = make_output(tmp_path)
    with pytest.raises(OutputError, match=r"holds files but no _run/run\.json"):
        output.is_recorded()
    with pytest.raises(OutputError, match=r"holds files but no _run/run\.json"), output.lock():
        pass
    assert [path.name for path in tmp_path.glob("*") if path.is_file()] == ["holiday.jpg"]


def test_release_without_new_numbers_resumes_and_a_new_scoring_version_is_refused(
    tmp_path, monkeypatch
) -> None:
    commit(make_output(tmp_path))
    monkeypatch.setattr("roi_ray.__version__", "99.0")
    meanings = {**schema.MEANINGS, "psnr": schema.Meaning("dB", "higher", "described differently")}
    monkeypatch.setattr(schema, "MEANINGS", meanings)
    assert make_output(tmp_path).inspect(PLAN).failed == {0: 1, 1: 0}
    with make_output(tmp_path).lock():
        pass
    assert read_record(tmp_path)["roi_ray"] == "99.0"
    monkeypatch.setattr("roi_ray.pipeline.score_kind.SCORING_VERSION", 99)
    with pytest.raises(OutputError, match=f"scoring_version: {SCORING_VERSION} before, 99 now"):
        make_output(tmp_path).is_recorded()


def test_shards_of_a_release_without_a_setting_are_complete(tmp_path) -> None:
    commit(make_output(tmp_path))
    newer = make_output(tmp_path, {**CONFIG, "metrics": []})
    assert newer.is_recorded()
    assert newer.inspect(PLAN).failed == {0: 1, 1: 0}
    assert make_output(tmp_path, {**CONFIG, "metrics": ["x"]}).inspect(PLAN).failed == {}


def test_output_of_a_release_without_scoring_version_is_refused_with_advice(tmp_path) -> None:
    commit(make_output(tmp_path))
    run = read_record(tmp_path)
    del run["scoring_version"]
    (tmp_path / "_run" / "run.json").write_text(json.dumps(run))
    with pytest.raises(
        OutputError,
        match=rf"scoring_version: None before, {SCORING_VERSION} now[.]\nRepeat .*--output",
    ):
        make_output(tmp_path).is_recorded()
    for shard in tmp_path.glob("*.parquet"):
        shard.unlink()
    assert not make_output(tmp_path).is_recorded()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"roi_ray": "0.1.0", "config": {}}'])
def test_damaged_record_is_refused(tmp_path, text) -> None:
    (tmp_path / "_run").mkdir()
    (tmp_path / "_run" / "run.json").write_text(text)
    with pytest.raises(OutputError, match=r"run\.json is not a record of `roi-ray score`"):
        make_output(tmp_path).is_recorded()


def test_second_of_two_simultaneous_runs_is_refused(tmp_path) -> None:
    """Both runs find an empty folder; the first to commit a shard keeps it."""
    early, late = make_output(tmp_path), make_output(tmp_path, {**CONFIG, "precision": "bf16"})
    assert not early.is_recorded() and not late.is_recorded()
    commit(early)
    with pytest.raises(OutputError, match="precision: 'fp32' before, 'bf16' now"), late.lock():
        pass


def test_moved_manifest_is_recorded_when_the_output_is_locked(tmp_path) -> None:
    commit(make_output(tmp_path))
    began = read_record(tmp_path)["started"]
    moved = make_output(tmp_path, manifest={"given": "m", "uri": "/new/m", "base": "/new"})
    assert not moved.is_recorded()
    with moved.lock():
        pass
    assert moved.is_recorded()
    assert read_record(tmp_path)["manifest"]["base"] == "/new"
    assert read_record(tmp_path)["started"] == began
    assert not (tmp_path / "_run" / "lock.json").exists()
