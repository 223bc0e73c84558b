"""Exports follow the formats of other tools, and have the numbers of the scores."""

import csv
import json
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.decision.decide import decide
from roi_ray.decision.sweep_scores import read_sweep_scores
from roi_ray.errors import UsageError
from roi_ray.io import storage
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.report.export import tables
from roi_ray.report.export.export import export_scores
from tests.conftest import Photos, write_sweep
from tests.s3_server import BUCKET

# Names of fields that the page knows, `_` instead of a space: https://github.com/webmproject/
# codec-compare, src/entry.ts. Others are shown without a meaning of their own.
KNOWN = {
    *("name", "codec", "version", "time", "source_data_set", "original_name", "encoded_name"),
    *("width", "height", "quality", "psnr", "ssim", "dssim", "msssim", "butteraugli", "ssimulacra"),
    *("ssimulacra2", "ciede2000", "flip", "lpips", "encoded_size", "bpp", "encoding_time"),
    "decoding_time",
}


def cell(image: str, codec: str, quality: int, **others: object) -> dict:
    size = 1000 + 100 * quality + len(codec)
    return {
        "reference": f"photos/{image}.png",
        "distorted": f"{image}-{codec}-{quality}",
        "codec": codec,
        "settings": "speed=6",
        "quality": float(quality),
        "bytes": size,
        "bpp": size * 8 / (640 * 480),
        "encode_seconds": 0.1 + quality / 1000,
        "decode_seconds": None if codec == "jpeg" else 0.01,
        "codec_version": f"lib{codec} 1.2",
        "processor": "A processor",
        "width": 640,
        "height": 480,
        "reference_bit_depth": 8,
        "mse": 10 ** -(2 + quality / 100),
        "psnr": 20 + quality / 10,
        "ms_ssim": 1 - 10 ** -(1 + quality / 100),
        "lpips": 0.1 / 3 + 1e-9 * quality,
        "roi_psnr": None if image == "sky" else 21 + quality / 10,
        "roi_fraction": 0.0 if image == "sky" else 0.25,
        "error_kind": None,
        "error": None,
        **others,
    }


@pytest.fixture
def rows() -> list[dict]:
    rows = [
        cell(image, codec, quality)
        for codec in ("jpeg", "avif speed/6")
        for image in ("cat", "dog", "sky")
        for quality in (10, 30, 50, 70, 90)
    ]
    broken = {"error_kind": "ImageReadError", "error": 'a "cut", file', "psnr": None}
    rows[7] |= {**broken, "ms_ssim": None, "lpips": None, "mse": None, "roi_fraction": None}
    return rows


@pytest.fixture
def scores(tmp_path, rows) -> str:
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "scores.parquet")
    return str(tmp_path / "scores.parquet")


def check_batch(path: Path) -> tuple[dict[str, str], list[dict]]:
    """Read a batch by the rules of the page's README and loader; return constants and rows."""
    batch = json.loads(path.read_text(), parse_constant=pytest.fail)
    names: dict[str, list[str]] = {}
    for kind in ("constant", "field"):
        names[kind] = []
        for described in batch[f"{kind}_descriptions"]:
            ((name, text),) = described.items()
            assert isinstance(text, str) and text
            names[kind].append(name)
        assert len(set(names[kind])) == len(names[kind])
    assert len(batch["constant_values"]) == len(names["constant"])
    assert all(isinstance(value, str) for value in batch["constant_values"])
    assert batch["field_values"]
    for row in batch["field_values"]:
        assert len(row) == len(names["field"])
        # Null would be taken for the number 0.
        assert all(isinstance(value, str | int | float) for value in row)
    for values in zip(*batch["field_values"], strict=True):
        assert len({isinstance(value, str) for value in values}) == 1
    assert {"name", "codec", "version"} <= set(names["constant"])
    constants = dict(zip(names["constant"], batch["constant_values"], strict=True))
    rows = [dict(zip(names["field"], row, strict=True)) for row in batch["field_values"]]
    for row in rows:
        assert {"original_name", "width", "height", "quality", "encoded_size"} <= row.keys()
        assert row["bpp"] == pytest.approx(row["encoded_size"] * 8 / row["width"] / row["height"])
    return constants, rows


def test_codec_compare_follows_the_documented_format(tmp_path, scores, rows) -> None:
    export = export_scores(scores, "codec-compare", f"{tmp_path}/page")
    listed = json.loads((tmp_path / "page" / "batches.json").read_text())
    assert listed == [["avif_speed_6.json"], ["jpeg.json"]]
    assert all(re.fullmatch(r"[\w.=-]+", name) for (name,) in listed)
    assert len(export.files) == 3

    constants, cells = check_batch(tmp_path / "page" / "avif_speed_6.json")
    assert constants["name"] == "avif speed/6"
    assert constants["version"] == "libavif speed/6 1.2"
    assert constants["left_out"] == "roi_psnr (5)"
    assert {"psnr", "msssim", "lpips", "encoding_time", "decoding_time"} <= cells[0].keys()
    written = [row for row in rows if row["codec"] == "avif speed/6"]
    assert [cell["original_name"] for cell in cells] == [
        row["reference"].removeprefix("photos/") for row in written
    ]
    columns = {
        **{"psnr": "psnr", "msssim": "ms_ssim", "encoded_size": "bytes", "lpips": "lpips"},
        **{"encoding_time": "encode_seconds", "decoding_time": "decode_seconds"},
        **{"width": "width", "quality": "quality", "bpp": "bpp", "encoded_name": "distorted"},
    }
    assert set(columns) <= KNOWN
    for name, column in columns.items():
        assert [cell[name] for cell in cells] == [row[column] for row in written]

    _, cells = check_batch(tmp_path / "page" / "jpeg.json")
    assert len(cells) == 14  # one failed
    assert "decoding_time" not in cells[0] and "roi_psnr" not in cells[0]
    assert export.left_out == (
        "left out of avif speed/6, jpeg, because some cells have null: roi_psnr",
        "left out of jpeg, because some cells have null: decode_seconds",
        "numbers of the region stay if images without one are left out: add --only-with-region",
    )


def test_images_without_a_region_are_left_out_on_request(tmp_path, scores) -> None:
    export = export_scores(
        scores, "codec-compare", f"{tmp_path}/page", codecs=["jpeg"], only_with_region=True
    )
    _, cells = check_batch(tmp_path / "page" / "jpeg.json")
    assert {cell["original_name"] for cell in cells} == {"cat.png", "dog.png"}
    assert cells[0]["roi_psnr"] == 22.0
    assert len(export.files) == 2


def test_originals_of_the_same_name_keep_their_folders(tmp_path) -> None:
    rows = [cell("cat", "jpeg", 10), cell("cat", "jpeg", 10, reference="other/cat.png")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "scores.parquet")
    export_scores(f"{tmp_path}/scores.parquet", "codec-compare", f"{tmp_path}/page")
    _, cells = check_batch(tmp_path / "page" / "jpeg.json")
    assert [cell["original_name"] for cell in cells] == ["photos/cat.png", "other/cat.png"]


def test_codecs_get_files_of_their_own(tmp_path) -> None:
    codecs = ("a/b", "a b", "A_B", "../x")
    rows = [cell("cat", codec, 10) for codec in codecs]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "scores.parquet")
    export_scores(f"{tmp_path}/scores.parquet", "codec-compare", f"{tmp_path}/page")
    ((*names,),) = zip(*json.loads((tmp_path / "page" / "batches.json").read_text()), strict=True)
    assert len({name.lower() for name in names}) == len(codecs)
    labels = [check_batch(tmp_path / "page" / name)[0]["name"] for name in names]
    assert sorted(labels) == sorted(codecs)


def test_compressai_has_means_over_images_that_have_all_points(tmp_path, scores, rows) -> None:
    export = export_scores(scores, "compressai", f"{tmp_path}/results")
    document = json.loads((tmp_path / "results" / "jpeg.json").read_text())
    assert document.keys() == {"name", "description", "results"}
    assert document["name"] == "jpeg"
    assert "libjpeg 1.2; means of 2 images" in document["description"]
    results = document["results"]
    kept = [row for row in rows if row["codec"] == "jpeg" and "dog" not in row["reference"]]
    columns = {
        "bpp": "bpp",
        "psnr-rgb": "psnr",
        "psnr": "psnr",
        "ms-ssim-rgb": "ms_ssim",
        "ms-ssim": "ms_ssim",
        "encoding_time": "encode_seconds",
    }
    for name, column in columns.items():
        means = [
            np.mean([row[column] for row in kept if row["quality"] == quality])
            for quality in (10, 30, 50, 70, 90)
        ]
        assert results[name] == pytest.approx(means)
    assert "decoding_time" not in results and "roi_psnr" not in results
    assert results["bpp"] == sorted(results["bpp"])
    assert {len(values) for values in results.values()} == {5}
    assert "jpeg: 1 image without all its points left out" in export.left_out

    other = json.loads((tmp_path / "results" / "avif_speed_6.json").read_text())
    assert other["results"]["decoding_time"] == pytest.approx([0.01] * 5)


def test_compressai_needs_named_points(tmp_path, rows) -> None:
    for row in rows:
        del row["quality"]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "scores.parquet")
    with pytest.raises(UsageError, match="neither a target nor a quality"):
        export_scores(f"{tmp_path}/scores.parquet", "compressai", f"{tmp_path}/results")


def test_csv_has_all_rows_and_the_decision(tmp_path, scores, rows, monkeypatch) -> None:
    monkeypatch.setattr(tables, "_PIECE_ROWS", 7)
    export_scores(scores, "csv", f"{tmp_path}/tables", metrics=["psnr"])
    with (tmp_path / "tables" / "scores.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert list(cells[0]) == list(rows[0])
    assert len(cells) == len(rows)
    for cell_, row in zip(cells, rows, strict=True):
        for name, value in row.items():
            if value is None:
                assert cell_[name] == ""
            else:
                assert type(value)(cell_[name]) == value
    assert cells[7]["error"] == 'a "cut", file'
    table = pl.read_csv(tmp_path / "tables" / "scores.csv")
    assert table["psnr"].to_list() == [row["psnr"] for row in rows]

    decision = decide(read_sweep_scores(scores), metrics=["psnr"], model=None)
    saving = decision.savings["avif speed/6", "psnr"]
    (row,) = pl.read_csv(tmp_path / "tables" / "bd_rates.csv").to_dicts()
    assert (row["codec"], row["anchor"], row["metric"]) == ("avif speed/6", "jpeg", "psnr")
    assert row["mean_percent"] == saving.mean.value
    assert (row["valid_images"], row["images"]) == (saving.valid, 3)
    images = pl.read_csv(tmp_path / "tables" / "bd_rates_by_image.csv")
    assert images["reference"].to_list() == list(decision.scores.images)
    np.testing.assert_array_equal(
        images["bd_rate_percent"].cast(pl.Float64).fill_null(np.nan), saving.per_image
    )


def test_csv_of_one_codec_has_no_bd_rates(tmp_path, scores) -> None:
    export_scores(scores, "csv", f"{tmp_path}/tables", codecs=["jpeg"])
    lines = (tmp_path / "tables" / "bd_rates.csv").read_text().splitlines()
    assert len(lines) == 1 and '"mean_percent"' in lines[0]
    assert pl.read_csv(tmp_path / "tables" / "scores.csv")["codec"].unique().to_list() == ["jpeg"]
    with pytest.raises(UsageError, match="only-with-region"):
        export_scores(scores, "csv", f"{tmp_path}/other", only_with_region=True)


def test_same_export_again_is_fine_and_another_one_is_refused(tmp_path, scores, rows) -> None:
    folder = tmp_path / "page"
    export_scores(scores, "codec-compare", str(folder))
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    export_scores(scores, "codec-compare", str(folder))
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    rows[0]["psnr"] = 1.0
    pq.write_table(pa.Table.from_pylist(rows), scores)
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UsageError, match=r"jpeg\.json exists with other content"):
        export_scores(scores, "codec-compare", str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == content


def test_outputs_that_cannot_be_used_are_refused(tmp_path, scores) -> None:
    (tmp_path / "tables" / "scores.csv").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"scores\.csv is a folder"):
        export_scores(scores, "csv", f"{tmp_path}/tables")
    with pytest.raises(UsageError, match="is a file: name a folder"):
        export_scores(scores, "csv", scores)
    with pytest.raises(UsageError, match="no codec 'webp', but avif speed/6, jpeg"):
        export_scores(scores, "codec-compare", f"{tmp_path}/page", codecs=["webp"])
    assert not (tmp_path / "page").exists()


def test_scores_of_a_run_are_exported_to_s3(
    tmp_path, photos: Photos, s3_in_this_process, monkeypatch
) -> None:
    crops = {name: photos[name][:96, :96] for name in ("coffee", "chelsea")}
    manifest = write_sweep(crops, tmp_path, {"jpeg": [10, 50]})
    options = Options("cpu", engine="local")
    scores = score_manifest(manifest, f"{tmp_path}/scores", options=options).output
    with pytest.raises(UsageError, match="in the folder of the scores"):
        export_scores(scores, "csv", f"{scores}/tables")
    export = export_scores(scores, "codec-compare", f"s3://{BUCKET}/page")
    assert export.files == (f"s3://{BUCKET}/page/jpeg.json", f"s3://{BUCKET}/page/batches.json")
    (tmp_path / "jpeg.json").write_bytes(storage.read_bytes(export.files[0]))
    constants, cells = check_batch(tmp_path / "jpeg.json")
    assert len(cells) == 4
    assert {cell["encoded_size"] for cell in cells} == {
        path.stat().st_size for path in (tmp_path / "decoded" / "jpeg").iterdir()
    }
    assert datetime.fromisoformat(constants["time"])
    assert "scoring version" in constants["scored_with"] and "sha256" not in constants["weights"]
    storage.write_bytes(export.files[0], b"{}")
    with pytest.raises(UsageError, match="exists with other content"):
        export_scores(scores, "codec-compare", f"s3://{BUCKET}/page")
    monkeypatch.setattr(storage, "_PART_BYTES", 100)
    for folder in (f"s3://{BUCKET}/tables", f"{tmp_path}/tables"):
        assert len(export_scores(scores, "csv", folder).files) == 3
    local = (tmp_path / "tables" / "scores.csv").read_bytes()
    assert storage.read_bytes(f"s3://{BUCKET}/tables/scores.csv") == local
