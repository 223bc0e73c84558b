"""What quality control finds in the scores of a sweep."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.decision.quality_checks import Finding
from roi_ray.decision.quality_control import QualityControl, check_quality
from roi_ray.decision.sweep_scores import read_sweep_scores
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.verification.record import read_record, write_record
from roi_ray.verification.verify import verify_scores
from tests.conftest import Photos, make_sweep_of


def cell(image: str, codec: str, quality: int, **others: object) -> dict:
    return {
        "reference": image,
        "distorted": f"{image}.{codec}{quality}",
        "codec": codec,
        "quality": float(quality),
        "settings": "",
        "codec_version": f"{codec} 1",
        "processor": "A",
        "bpp": quality / 100,
        "mse": 1e-3,
        "psnr": 30.0,
        "ms_ssim_scales": 5,
        "reference_bit_depth": 8,
        "distorted_bit_depth": 8,
        "roi_fraction": 0.2,
        "error_kind": None,
        "error": None,
        **others,
    }


def grid(**others: object) -> list[dict]:
    return [
        cell(image, codec, quality, **others)
        for codec in ("jpeg", "webp")
        for image in ("a", "b")
        for quality in (10, 50)
    ]


def check(tmp_path: Path, rows: list[dict]) -> QualityControl:
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "scores.parquet")
    return check_quality(read_sweep_scores(str(tmp_path / "scores.parquet")))


def find(control: QualityControl, name: str) -> Finding:
    (finding,) = (finding for finding in control.findings if finding.name == name)
    return finding


def test_clean_table_has_no_finding_but_its_unknown_origin(tmp_path) -> None:
    control = check(tmp_path, grid())
    assert [finding.name for finding in control.findings] == ["no_record"]
    assert (control.failures, control.provenance, control.verification) == ({}, None, None)


def test_failed_rows_are_counted_by_codec_and_kind(tmp_path) -> None:
    rows = grid()
    rows[0] |= {"error_kind": "ImageReadError", "error": "a.jpg: cut"}
    rows[1] |= {"error_kind": "SizeMismatch", "error": "b.jpg: 3 x 4"}
    for row in rows[4:]:
        row |= {"error_kind": "CodecError", "error": "webp: not found"}
    control = check(tmp_path, rows)
    assert control.failures == {
        ("webp", "CodecError"): 4,
        ("jpeg", "ImageReadError"): 1,
        ("jpeg", "SizeMismatch"): 1,
    }
    error, warning = (each for each in control.findings if each.name == "failed_rows")
    assert (error.severity, error.count, error.examples) == ("error", 4, ("webp: not found",))
    assert error.text.endswith("none of any other: the codec is not compared.")
    assert (warning.severity, warning.count) == ("warning", 2)
    assert set(warning.examples) == {"a.jpg: cut", "b.jpg: 3 x 4"}
    assert control.count("error") == 1


def test_missing_cells_are_named_and_failed_ones_are_not_missing(tmp_path) -> None:
    rows = grid()
    rows[3] |= {"error_kind": "ImageReadError", "error": "cut"}
    del rows[5]
    missing = find(check(tmp_path, rows), "missing_cells")
    assert missing.text == "webp: 1 cell missing, of all images at all its points."
    assert missing.examples == ("a at 50.0",)


def test_cells_without_points_cannot_be_missing(tmp_path) -> None:
    rows = grid()[:-1]
    for row in rows:
        del row["quality"]
    assert find(check(tmp_path, rows), "points_without_names").severity == "info"


def test_codec_with_a_row_that_names_no_point_has_no_missing_cells(tmp_path) -> None:
    rows = grid()
    rows[5]["quality"] = None
    assert not [f for f in check(tmp_path, rows).findings if f.name == "missing_cells"]


def test_bit_depths_that_differ_are_found(tmp_path) -> None:
    rows = grid()
    for row in rows:
        if row["reference"] == "b":
            row["reference_bit_depth"] = 10
            row["distorted_bit_depth"] = 8 if row["codec"] == "jpeg" else 10
    rows[-1]["distorted_bit_depth"] = 12
    control = check(tmp_path, rows)
    references = find(control, "mixed_reference_depths")
    assert "1 image of 8 bits, 1 image of 10 bits" in references.text
    lost = find(control, "lost_depth")
    assert lost.text.startswith("jpeg: ") and (lost.count, lost.examples) == (2, ("b",))
    mixed = find(control, "mixed_depths").text
    assert mixed == "webp: decoded images of 10 and 12 bits for references of 10 bits."


def test_bit_rates_that_cannot_be_are_found(tmp_path) -> None:
    rows = grid()
    assert not [f for f in check(tmp_path, rows).findings if f.name == "bit_rates"]
    rows[0]["bpp"], rows[1]["bpp"], rows[2]["bpp"] = 0.0, float("nan"), float("inf")
    rows[3] |= {"bpp": None, "error": "broken", "error_kind": "CodecError"}
    finding = find(check(tmp_path, rows), "bit_rates")
    assert (finding.severity, finding.count) == ("error", 3)
    assert finding.examples[0] == "a.jpeg10"
    for row in rows:
        row["bpp"] = None if row["bpp"] is None else str(row["bpp"])
    assert find(check(tmp_path, rows), "bit_rates").count == 3


def test_numbers_at_their_limits_are_found(tmp_path) -> None:
    rows = grid()
    rows[0] |= {"mse": 0.0, "psnr": 100.0}
    rows[1] |= {"mse": 1e-11, "psnr": 100.0}
    for row in rows:
        if row["reference"] == "b":
            row |= {"ms_ssim_scales": 4, "roi_fraction": 1e-7}
    control = check(tmp_path, rows)
    assert find(control, "lossless").examples == ("a.jpeg10",)
    assert find(control, "saturated_psnr").examples == ("a.jpeg50",)
    assert find(control, "few_scales").text.startswith("Too small for five scales of MS-SSIM: 1 ")
    assert find(control, "few_scales").examples == ("b",)
    assert find(control, "no_region").count == 1


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("codec_version", "several_versions"),
        ("settings", "several_settings"),
        ("processor", "several_processors"),
    ],
)
def test_label_that_stands_for_several_codecs_is_found(tmp_path, column, name) -> None:
    rows = grid()
    rows[0][column] = "other"
    control = check(tmp_path, rows)
    assert find(control, name).text.startswith("jpeg: ") and find(control, name).count == 2
    assert "other" in find(control, name).examples


@pytest.fixture(scope="module")
def scores(tmp_path_factory, photos: Photos) -> str:
    folder = tmp_path_factory.mktemp("quality")
    manifest = make_sweep_of({"coffee": photos["coffee"]}, folder)
    options = Options("cpu", engine="local", shard_size=1)
    return score_manifest(manifest, f"{folder}/scores", options=options).output


def test_scores_of_a_run_have_provenance_and_the_verification(scores) -> None:
    control = check_quality(read_sweep_scores(scores))
    assert find(control, "not_verified").severity == "info"
    provenance = control.provenance
    assert provenance.manifest.endswith("manifest.parquet")
    assert provenance.settings["precision"] == "fp32"
    assert {"lpips", "saliency", "discriminator"} <= provenance.weights.keys()
    assert all(len(digest) == 64 for files in provenance.weights.values() for _, digest in files)

    write_record(verify_scores(scores, 2))
    control = check_quality(read_sweep_scores(scores))
    verified = find(control, "verified")
    assert (verified.severity, verified.count) == ("info", 2)
    assert "2 of 6 pairs computed anew" in verified.text
    assert control.verification["verdict"] == "agrees"

    record = Path(scores) / "_run" / "verify.json"
    changed = json.loads(record.read_text()) | {"verdict": "off", "scored": 4}
    changed["columns"]["psnr"]["verdict"] = "off"
    record.write_text(json.dumps(changed))
    verified = find(check_quality(read_sweep_scores(scores)), "verified")
    assert verified.severity == "error"
    assert "are off in psnr; that was before the scores changed" in verified.text
    record.write_text("[]")
    assert read_record(scores) is None
    record.unlink()


def test_unfinished_scores_are_an_error(scores) -> None:
    shard = next(Path(scores).glob("*.parquet"))
    data = shard.read_bytes()
    shard.unlink()
    try:
        finding = find(check_quality(read_sweep_scores(scores)), "unfinished")
    finally:
        shard.write_bytes(data)
    assert finding.severity == "error"
    assert finding.text.startswith(f"The scores are not finished: {finding.count} of 6 pairs")
