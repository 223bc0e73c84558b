"""The start and the end of the demonstration; `.ci/run` runs all of it."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import OutputError
from roi_ray.io.manifest import read_manifest
from roi_ray.report import demo
from roi_ray.settings import DEFAULT_SALIENCY
from tests.report.score_tables import write_scores


def test_sweep_is_built_once(tmp_path, monkeypatch, photos) -> None:
    photograph = demo.photographs()["chelsea"]
    monkeypatch.setattr(demo, "photographs", lambda: {"chelsea": photograph})
    manifest, output = demo.make_demo(str(tmp_path))
    table = read_manifest(manifest).table
    assert set(table["codec"].to_pylist()) == {"jpeg", "webp", "jpeg2000", "avif"}
    assert len(set(zip(*(table[c].to_pylist() for c in ("codec", "quality")), strict=True))) >= 16
    assert output == str(tmp_path / "scores")
    before = (tmp_path / "manifest.parquet").stat().st_mtime_ns
    assert demo.make_demo(str(tmp_path)) == (manifest, output)
    assert (tmp_path / "manifest.parquet").stat().st_mtime_ns == before


def test_folder_with_another_manifest_is_refused(tmp_path) -> None:
    pq.write_table(
        pa.table({"reference": ["a"], "distorted": ["b"]}), tmp_path / "manifest.parquet"
    )
    with pytest.raises(OutputError, match="not a manifest that `roi-ray sweep` wrote"):
        demo.make_demo(str(tmp_path))


def test_report_prints_the_decision_and_writes_the_page(tmp_path, capsys) -> None:
    (tmp_path / "scores").mkdir()
    write_scores(tmp_path / "scores", ["jpeg", "avif"], ["a.png", "b.png"])
    demo.report_demo(str(tmp_path), DEFAULT_SALIENCY)
    text = capsys.readouterr().out
    assert "avif" in text and f"{tmp_path}/report.html" in text
    assert (tmp_path / "report.html").read_bytes().startswith(b"<!doctype html>")
