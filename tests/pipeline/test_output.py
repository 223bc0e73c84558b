import json

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.pipeline.output import Output

CONFIG = {"manifest": {"rows": 5, "sha256": "ab"}, "precision": "fp32", "shard_size": 3}
PLAN = [np.array([0, 2, 1]), np.array([3, 4])]


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
    table = {
        field.name: pa.array([None if row in failed else row for row in rows], field.type)
        for field in schema.SCORES
        if field.name != schema.ERROR
    }
    table[schema.ERROR] = ["bad" if row in failed else None for row in rows]
    return pa.table(table, schema=schema.SCORES)


def commit(output, failed=(1,)):
    return [
        output.commit(shard, manifest(rows), scores(rows, failed))
        for shard, rows in enumerate(PLAN)
    ]


def test_every_reader_sees_one_data_set(tmp_path) -> None:
    assert commit(Output(str(tmp_path), CONFIG)) == [1, 0]
    ids = ["p0", "p2", "p1", "p3", "p4"]
    columns = ["pair_id", "reference", "distorted", "codec", "nothing", *schema.SCORES.names]
    assert pq.read_table(tmp_path)["pair_id"].to_pylist() == ids
    assert pq.read_table(tmp_path).column_names == columns
    assert pd.read_parquet(tmp_path)["pair_id"].tolist() == ids
    files = str(tmp_path / "*.parquet")
    assert pl.read_parquet(files)["pair_id"].to_list() == ids
    rows = duckdb.sql(f"select pair_id, mse, error from '{files}' order by mse").fetchall()
    assert rows[0] == ("p0", 0.0, None)
    assert rows[-1] == ("p1", None, "bad")


def test_numbers_carry_their_provenance(tmp_path) -> None:
    output = Output(str(tmp_path), CONFIG)
    commit(output)
    run = json.loads((tmp_path / "_run" / "run.json").read_text())
    assert run["config"] == CONFIG
    assert run["columns"]["roi_psnr"]["unit"] == "dB"
    assert run["columns"]["lpips"]["better"] == "lower"
    assert run["versions"]["torch"]
    stored = pq.read_schema(output.shard_uri(0))
    assert json.loads(stored.metadata[b"roi_ray"])["config"] == CONFIG
    assert stored.field("d_loss").metadata[b"better"] == b"lower"
    assert stored.field("psnr").metadata[b"unit"] == b"dB"


def test_what_is_done_is_read_from_the_files(tmp_path) -> None:
    output = Output(str(tmp_path), CONFIG)
    assert output.done(dict(enumerate(PLAN))) == {}
    commit(output)
    assert Output(str(tmp_path), CONFIG).done(dict(enumerate(PLAN))) == {0: 1, 1: 0}
    (tmp_path / "shard-000000.parquet").unlink()
    assert Output(str(tmp_path), CONFIG).done(dict(enumerate(PLAN))) == {1: 0}


@pytest.mark.parametrize("damage", ["torn", "empty", "foreign", "short", "another"])
def test_a_file_that_is_not_its_shard_is_set_aside(tmp_path, damage) -> None:
    output = Output(str(tmp_path), CONFIG)
    commit(output)
    path = tmp_path / "shard-000001.parquet"
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-50])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "another":
        output.commit(0, manifest([3, 4]), scores([3, 4]))
        (tmp_path / "shard-000000.parquet").rename(path)
        output.commit(0, manifest(PLAN[0]), scores(PLAN[0], [1]))
    elif damage == "foreign":
        pq.write_table(pa.table({"x": [1, 2]}), path)
    else:
        output.commit(1, manifest([3]), scores([3]))
    assert output.done(dict(enumerate(PLAN))) == {0: 1}
    output.set_torn_aside()
    assert not path.exists()
    assert (tmp_path / "_run" / "torn" / path.name).exists()


def test_another_configuration_is_refused_with_what_differs(tmp_path) -> None:
    commit(Output(str(tmp_path), CONFIG))
    Output(str(tmp_path), CONFIG)
    other = {**CONFIG, "precision": "bf16", "manifest": {"rows": 9, "sha256": "ab"}}
    with pytest.raises(OutputError) as caught:
        Output(str(tmp_path), other)
    text = str(caught.value)
    assert "manifest.rows: 5 there, 9 now" in text
    assert "precision: 'fp32' there, 'bf16' now" in text
    assert "shard_size" not in text
    assert "name another --output" in text


def test_a_run_without_any_shard_makes_way(tmp_path) -> None:
    Output(str(tmp_path), {**CONFIG, "shard_size": 9})
    with (second := Output(str(tmp_path), CONFIG)).held():
        commit(second)
    assert json.loads((tmp_path / "_run" / "run.json").read_text())["config"] == CONFIG
    assert Output(str(tmp_path), CONFIG).done(dict(enumerate(PLAN))) == {0: 1, 1: 0}
    with pytest.raises(OutputError, match="shard_size: 3 there, 9 now"):
        Output(str(tmp_path), {**CONFIG, "shard_size": 9})


def test_a_folder_with_other_things_is_refused(tmp_path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(OutputError, match="holds files but no _run/run.json"):
        Output(str(tmp_path), CONFIG)


def test_another_version_is_refused_and_other_words_are_not(tmp_path, monkeypatch) -> None:
    commit(Output(str(tmp_path), CONFIG))
    meanings = {**schema.MEANINGS, "psnr": schema.Meaning("dB", "higher", "said in another way")}
    monkeypatch.setattr(schema, "MEANINGS", meanings)
    assert Output(str(tmp_path), CONFIG).done(dict(enumerate(PLAN))) == {0: 1, 1: 0}
    monkeypatch.setattr("roi_ray.__version__", "99.0")
    with pytest.raises(OutputError, match=r"roi_ray: '.*' there, '99.0' now"):
        Output(str(tmp_path), CONFIG)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"roi_ray": "0.1.0", "config": {}}'])
def test_a_run_json_that_is_none_is_told(tmp_path, text) -> None:
    (tmp_path / "_run").mkdir()
    (tmp_path / "_run" / "run.json").write_text(text)
    with pytest.raises(OutputError, match=r"run.json is not what jobs/score.py writes"):
        Output(str(tmp_path), CONFIG)


def test_what_is_set_aside_is_logged(tmp_path, caplog) -> None:
    output = Output(str(tmp_path), CONFIG)
    commit(output)
    (tmp_path / "shard-000001.parquet").write_bytes(b"PAR1")
    output.done(dict(enumerate(PLAN)))
    output.set_torn_aside()
    assert "shard-000001.parquet is torn, or not of this run: moved to" in caplog.text


def test_of_two_that_begin_at_once_only_one_configuration_goes_on(tmp_path) -> None:
    """Both found nothing there; the one that scores first counts."""
    early = Output(str(tmp_path), CONFIG)
    (tmp_path / "_run" / "run.json").unlink()
    other = {**CONFIG, "precision": "bf16"}
    later = Output(str(tmp_path), other)
    with early.held():
        commit(early)
    with pytest.raises(OutputError, match="precision: 'fp32' there, 'bf16' now"), later.held():
        pass


def test_a_job_without_work_tells_of_a_manifest_that_was_moved(tmp_path) -> None:
    Output(str(tmp_path), CONFIG, {"given": "m", "uri": "/old/m", "base": "/old"})
    moved = Output(str(tmp_path), CONFIG, {"given": "m", "uri": "/new/m", "base": "/new"})
    moved.tell()
    run = json.loads((tmp_path / "_run" / "run.json").read_text())
    assert run["manifest"]["base"] == "/new"
    assert not (tmp_path / "_run" / "lock.json").exists()
