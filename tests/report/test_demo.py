"""The start and the end of the demonstration; `.ci/run` runs all of it."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.io.manifest import read_manifest
from roi_ray.report import demo
from roi_ray.report.figure import draw_sweep_figure
from roi_ray.report.summary import average_by_quality
from roi_ray.settings import Settings


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


def test_report_prints_the_scores_and_draws_a_figure(tmp_path, capsys) -> None:
    rows = [
        {"distorted": "d", "codec": codec, "quality": q, "bpp": q / 40, "error": None}
        | dict.fromkeys(schema.FEATURES, q / 100)
        for codec in ("jpeg", "avif")
        for q in (10.0, 50.0, 90.0)
    ]
    (tmp_path / "scores").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "scores" / "shard-000000.parquet")
    demo.report_demo(str(tmp_path), Settings())
    text = capsys.readouterr().out
    assert text.count("avif") == 3
    assert [line.split()[1] for line in text.splitlines() if "avif" in line] == ["10", "50", "90"]
    assert str(tmp_path / "summary.png") in text
    with Image.open(tmp_path / "summary.png") as picture:
        assert picture.width > 1000


def test_figure_shows_the_mask(photos) -> None:
    means = average_by_quality(
        pa.Table.from_pylist(
            [
                {"distorted": "d", "codec": "jpeg", "quality": 1, "bpp": 0.5, "error": None}
                | dict.fromkeys(schema.FEATURES, 0.5)
            ]
        )
    )
    x = photos["chelsea"]
    pictures = [
        np.asarray(Image.open(io.BytesIO(draw_sweep_figure(means, x, mask, "chelsea"))))
        for mask in (np.zeros(x.shape[:2], np.float32), np.ones(x.shape[:2], np.float32))
    ]
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any()


def test_figure_is_drawn_where_images_have_no_region(photos) -> None:
    rows = [
        {"distorted": "d", "codec": codec, "quality": q, "bpp": q / 40, "error": None}
        | dict.fromkeys(schema.BASIC_FEATURES, q / 100)
        | dict.fromkeys(schema.ROI_FEATURES, None if codec == "avif" or all_empty else q / 100)
        for all_empty in (False, True)
        for codec in ("jpeg", "avif")
        for q in (10, 50, 90)
    ]
    x = photos["chelsea"]
    mask = np.zeros(x.shape[:2], np.float32)
    for table in (pa.Table.from_pylist(rows[:6]), pa.Table.from_pylist(rows[6:])):
        # Warnings are errors: no mean of nothing, no axis without numbers.
        picture = draw_sweep_figure(average_by_quality(table), x, mask, "chelsea")
        with Image.open(io.BytesIO(picture)) as opened:
            assert opened.width > 1000
