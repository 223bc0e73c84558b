"""Manifest, images and scores on S3, reached by the standard AWS variables alone."""

import io
import os
import re
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from roi_ray.cli.app import app
from roi_ray.errors import OutputError, StorageError
from roi_ray.io import storage
from roi_ray.io.manifest import read_manifest
from roi_ray.pipeline.retry import write_failed, write_missing
from roi_ray.pipeline.status import read_status
from tests.conftest import Photos, make_sweep_of
from tests.e2e.conftest import upload_folder
from tests.pipeline.counting import count, make_rows
from tests.pipeline.outputs import write_manifest, write_output
from tests.s3_server import BUCKET, KEY, SECRET, make_client

pytestmark = pytest.mark.e2e


def test_objects_can_be_written_read_listed_and_moved(s3_in_this_process) -> None:
    folder = f"s3://{BUCKET}/storage"
    assert storage.list_files(folder) == []
    storage.write_bytes(f"{folder}/a.bin", b"one")
    storage.write_bytes(f"{folder}/b.bin", b"")
    storage.write_bytes(f"{folder}/_run/run.json", b"{}")
    assert storage.list_files(folder) == ["a.bin", "b.bin"]
    assert storage.read_bytes(f"{folder}/a.bin") == b"one"
    assert storage.read_bytes(f"{folder}/b.bin") == b""
    assert storage.is_folder(folder)
    assert storage.is_file(f"{folder}/a.bin")
    assert not storage.is_file(f"{folder}/c.bin")
    storage.move(f"{folder}/a.bin", f"{folder}/_run/torn/a.bin")
    assert storage.list_files(folder) == ["b.bin"]
    with pytest.raises(StorageError, match=r"cannot read s3://sweeps/storage/gone"):
        storage.read_bytes(f"{folder}/gone")


def test_signal_during_an_upload_leaves_a_whole_object(s3_in_this_process) -> None:
    """As SIGTERM, which stops a job that may be uploading a shard."""

    class SignallingBytes(bytes):
        def __getitem__(self, part: slice) -> bytes:
            os.kill(os.getpid(), signal.SIGUSR1)
            return super().__getitem__(part)

    def stop(*_: object) -> None:
        raise SystemExit

    uri, data = f"s3://{BUCKET}/interrupted/shard", SignallingBytes(b"content")
    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(SystemExit):
            storage.write_bytes(uri, data)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert storage.read_bytes(uri) == b"content"


def test_job_on_s3_writes_scores_an_error_row_and_no_secret(
    s3_in_this_process, tmp_path: Path, photos: Photos
) -> None:
    s3 = s3_in_this_process
    make_sweep_of({name: photos[name] for name in ("coffee", "rocket")}, tmp_path / "sweep")
    client = make_client(s3)
    missing = "decoded/webp/coffee-q50.webp"
    upload_folder(s3, tmp_path / "sweep", "sweep", without=missing)

    arguments = ("--manifest", f"s3://{BUCKET}/sweep/manifest.parquet")
    arguments += ("--output", f"s3://{BUCKET}/scores/", "--shard-size", "6")
    # A job on Ray reads and writes S3 in `test_faulty_s3.py`.
    done = CliRunner().invoke(app, ["score", *arguments, "--engine", "local"])
    assert done.exit_code == 0, done.stderr
    assert "12 pairs, 1 failed; 12 scored now" in done.stdout
    assert re.search(rf"WARNING roi_ray: shard \d, pair \w+: .*{missing}: cannot read", done.stderr)
    assert len(re.findall(r"INFO roi_ray: shard \d: 6 rows, \d failed", done.stderr)) == 2
    assert missing in done.stdout

    listing = client.list_objects_v2(Bucket=BUCKET, Prefix="scores/")["Contents"]
    # Arrow leaves an empty object, which stands for the folder, where it deleted one.
    keys = sorted(item["Key"] for item in listing if not item["Key"].endswith("/"))
    assert keys == ["scores/_run/run.json", "scores/shard-000000.parquet", "scores/shard-000001.parquet"]  # fmt: skip  # noqa: E501
    server = pafs.S3FileSystem(
        endpoint_override=s3["AWS_ENDPOINT_URL"].removeprefix("http://"),
        scheme="http",
        access_key=KEY,
        secret_key=SECRET,
        region="us-east-1",
    )
    table = pq.read_table(f"{BUCKET}/scores", filesystem=server)
    assert table.num_rows == 12
    failed = [row for row in table.to_pylist() if row["error"]]
    assert [row["distorted"] for row in failed] == [missing]
    assert failed[0]["error_kind"] == "ImageReadError"
    assert f"cannot read s3://{BUCKET}/sweep/{missing}" in failed[0]["error"]

    text = client.get_object(Bucket=BUCKET, Key="scores/_run/run.json")["Body"].read().decode()
    for output in (text, done.stdout, done.stderr, failed[0]["error"]):
        assert SECRET not in output

    verified = CliRunner().invoke(app, ["verify", f"s3://{BUCKET}/scores", "--pairs", "3"])
    assert verified.exit_code == 0, verified.output
    assert "3 of 11 pairs drawn" in verified.stdout

    client.delete_object(Bucket=BUCKET, Key="scores/shard-000001.parquet")
    again = CliRunner().invoke(app, ["score", *arguments, "--engine", "local"])
    assert again.exit_code == 0, again.output
    assert "12 pairs, 1 failed; 6 scored now" in again.stdout
    assert SECRET not in again.output
    body = client.get_object(Bucket=BUCKET, Key="scores/shard-000001.parquet")["Body"].read()
    assert pq.read_table(io.BytesIO(body)).num_rows == 6


def test_failed_and_missing_rows_of_a_run_on_s3_can_be_written(
    s3_in_this_process, tmp_path
) -> None:
    local = write_manifest(tmp_path)
    storage.write_bytes(f"s3://{BUCKET}/left/m.parquet", Path(local).read_bytes())
    manifest, output = f"s3://{BUCKET}/left/m.parquet", f"s3://{BUCKET}/half"
    status = read_status(write_output(output, manifest, [0, 3], ["y/1.jpg"]))
    assert (status.done, status.failed, status.missing, status.writer) == (4, 1, 6, None)
    failed = write_failed(status, f"s3://{BUCKET}/again/failed.parquet")
    missing = write_missing(status, f"s3://{BUCKET}/again/missing.parquet")
    assert (failed.rows, missing.rows, failed.allow_prefixes) == (1, 6, (f"s3://{BUCKET}/left",))
    (row,) = read_manifest(failed.uri).table.to_pylist()
    assert row["distorted"] == f"s3://{BUCKET}/left/y/1.jpg"


@pytest.mark.parametrize(
    ("bucket", "environment"),
    [
        (f"s3://{BUCKET}", {"AWS_SECRET_ACCESS_KEY": "another"}),
        (f"s3://{BUCKET}", {"AWS_ACCESS_KEY_ID": "nobody"}),
        ("s3://no-such-bucket", {}),
    ],
)
def test_wrong_credentials_and_missing_buckets_print_one_error_line(
    s3_in_this_process, tmp_path, photos, monkeypatch, capfd, bucket, environment
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    local = make_sweep_of({"coffee": photos["coffee"]}, tmp_path / "sweep")
    for manifest, output in (
        (f"{bucket}/m.parquet", str(tmp_path / "scores")),
        (local, f"{bucket}/never"),
    ):
        done = CliRunner().invoke(app, ["score", "--manifest", manifest, "--output", output])
        assert done.exit_code == 2
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert bucket in line
        printed = done.stderr + capfd.readouterr().err  # libraries write to the process's own
        assert "Traceback" not in printed
        assert SECRET not in printed


def test_output_on_s3_grows(s3_in_this_process) -> None:
    folder = f"s3://{BUCKET}/grows"

    def count_letters(references: int) -> int:
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(make_rows(references)), buffer)
        storage.write_bytes(f"{folder}/m.parquet", buffer.getvalue())
        return len(count(f"{folder}/m.parquet", f"{folder}/output").computed)

    assert [count_letters(references) for references in (4, 6, 6)] == [8, 4, 0]
    status = read_status(f"{folder}/output")
    assert (status.done, status.missing, status.foreign) == (12, 0, [])
    (entry,) = status.run["earlier_manifests"]
    assert (entry["rows"], entry["shards"]) == (8, [[0, 3]])
    with pytest.raises(OutputError, match="4 rows that are not in the manifest"):
        count_letters(4)
