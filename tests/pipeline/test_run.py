"""Whole jobs. Those that Ray does not concern run in this process, which takes seconds less."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import torch
from PIL import Image
from pytorch_msssim import ms_ssim
from safetensors.torch import load, save

from roi_ray import schema
from roi_ray.errors import (
    ClusterError,
    DeviceError,
    ManifestError,
    OutputError,
    UsageError,
    WeightsError,
)
from roi_ray.imaging.decode import decode_image
from roi_ray.io.manifest import read_manifest
from roi_ray.models import loader
from roi_ray.pipeline import ray_engine, run
from roi_ray.pipeline.job import Stages
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.retry import write_failed
from roi_ray.pipeline.run import score_manifest
from roi_ray.pipeline.score_stage import ScoringActor
from roi_ray.pipeline.status import read_status
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import DEFAULT_DISCRIMINATOR, Settings
from tests.conftest import deepen, encode, encode_16_bits, jpeg, make_sweep_of, write
from tests.runtime.prometheus import metrics_address, wait_for_metrics

SMALL = Options(device="cpu", actors=2, shard_size=12, engine="ray")
LOCAL = Options(device="cpu", shard_size=12, engine="local")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, photos):
    return make_sweep_of(photos, tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def scored(sweep, tmp_path_factory, ray_cluster):
    output = tmp_path_factory.mktemp("scored") / "scores"
    summary = score_manifest(sweep, str(output), options=SMALL)
    return summary, output


def assert_the_same_scores(table: pa.Table, expected: pa.Table) -> None:
    """Compare to 1e-6, because the last digits depend on threads and memory alignment.

    With a nearly empty mask, decibels show the last digits of the error.
    """
    assert table.drop(schema.make_scores_schema().names).equals(
        expected.drop(schema.make_scores_schema().names)
    )
    for name in schema.PAPER_FEATURES:
        within = 1e-3 if name.endswith("psnr") else 1e-6
        assert table[name].to_pylist() == pytest.approx(expected[name].to_pylist(), abs=within)


def test_scores_of_the_job_equal_those_of_the_scorer(sweep, scored) -> None:
    summary, output = scored
    manifest, table = pq.read_table(sweep), pq.read_table(output)
    assert (summary.rows, summary.failed, summary.scored) == (36, 0, 36)
    assert sorted(path.name for path in output.glob("*.parquet")) == [
        f"shard-{k:06}.parquet" for k in range(3)
    ]
    carried = table.select(manifest.column_names).sort_by("distorted")
    assert carried.to_pylist() == manifest.sort_by("distorted").to_pylist()

    scorer = Scorer()
    base = Path(sweep).parent
    for row in table.filter(pa.compute.equal(table["codec"], "webp")).to_pylist()[::4]:
        x, y = (decode_image((base / row[name]).read_bytes()) for name in schema.URIS)
        (expected,) = scorer.score(scorer.prepare(x), [y])
        got = {name: row[name] for name in expected.to_dict()}
        assert got == pytest.approx(expected.to_dict(), abs=1e-5, rel=1e-6)
        assert row["error"] is None


def test_job_scores_files_of_16_bits_as_float64_arithmetic_does(tmp_path, photos) -> None:
    photo = photos["coffee"][:170, :190]
    deep = deepen(photo, 16)
    ppm = deepen(photo, 10, seed=1)
    header = b"P6\n190 170\n1023\n"
    files = {
        "x16.png": (encode_16_bits(deep), deep / 65535),
        "x8.png": (encode(photo), photo / 255),
        "y16.png": (encode_16_bits(deep ^ 255), (deep ^ 255) / 65535),
        "y10.ppm": (header + ppm.astype(">u2").tobytes(), ppm / 1023),
        "y8.jpg": (encode(photo, "JPEG", quality=95), jpeg(photo, 95) / 255),
    }
    for name, (data, _) in files.items():
        write(tmp_path / "images" / name, data)
    mask = np.random.default_rng(5).integers(0, 256, photo.shape[:2], dtype=np.uint8)
    write(tmp_path / "images/mask.png", encode(mask))
    rows = [
        {"reference": f"images/{x}", "distorted": f"images/{y}", "mask": "images/mask.png"}
        for x in ("x16.png", "x8.png")
        for y in files
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "manifest.parquet")
    output = str(tmp_path / "scores")
    summary = score_manifest(str(tmp_path / "manifest.parquet"), output, options=LOCAL)
    assert (summary.rows, summary.failed) == (10, 0)
    depths = {"x16.png": 16, "x8.png": 8, "y16.png": 16, "y10.ppm": 10, "y8.jpg": 8}
    for row in pq.read_table(output).to_pylist():
        x, y = (Path(row[name]).name for name in schema.URIS)
        assert (row["reference_bit_depth"], row["distorted_bit_depth"]) == (depths[x], depths[y])
        error = ((files[x][1] - files[y][1]) ** 2).mean(2)
        # Pairs of 8 bits are computed in float32.
        digits = 1e-6 if depths[x] == depths[y] == 8 else 1e-9
        assert row["mse"] == pytest.approx(error.mean(), rel=digits, abs=0)
        assert row["roi_mse"] == pytest.approx((error * mask / 255).mean(), rel=digits, abs=0)
        tensors = (torch.from_numpy(files[name][1]).permute(2, 0, 1)[None] for name in (x, y))
        assert row["ms_ssim"] == pytest.approx(float(ms_ssim(*tensors, data_range=1.0)), abs=1e-5)


def test_job_with_good_and_unusable_masks_gives_scores_and_error_rows(tmp_path, photos) -> None:
    photo = photos["chelsea"][:120, :150]
    write(tmp_path / "x.png", encode(photo))
    write(tmp_path / "y.jpg", encode(photo, "JPEG", quality=30))
    inside = np.zeros(photo.shape[:2], np.uint8)
    inside[30:90, 40:110] = 1
    palette = Image.fromarray(inside).convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0])
    palette.save(tmp_path / "palette.png")
    masks = {"good": inside * 255, "0 and 1": inside, "black": inside * 0}
    for name, mask in masks.items():
        write(tmp_path / f"{name}.png", encode(mask))
    rows = [
        {"pair_id": name, "reference": "x.png", "distorted": "y.jpg", "mask": f"{name}.png"}
        for name in (*masks, "palette")
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "manifest.parquet")
    output = str(tmp_path / "scores")
    summary = score_manifest(str(tmp_path / "manifest.parquet"), output, options=LOCAL)
    assert (summary.rows, summary.failed) == (4, 2)
    scores = {row["mask"].removesuffix(".png"): row for row in pq.read_table(output).to_pylist()}

    error = (photo / 255 - jpeg(photo, 30) / 255) ** 2
    good, black = scores["good"], scores["black"]
    assert good["roi_mse"] == pytest.approx((error.mean(2) * inside).mean(), rel=1e-6)
    assert good["roi_fraction"] == pytest.approx(inside.mean())
    assert (black["error"], black["roi_fraction"]) == (None, 0)
    assert black["mse"] == good["mse"] == pytest.approx(error.mean(), rel=1e-6)
    roi_names = [name for name in black if name.startswith("roi_") and name != "roi_fraction"]
    assert len(roi_names) >= 8
    assert all(black[name] is None and good[name] is not None for name in roi_names)
    assert {scores[name]["error_kind"] for name in ("0 and 1", "palette")} == {"UnusableMask"}
    assert scores["0 and 1"]["error"].endswith("multiply them by 255")
    assert "a palette of colours, like a map of labels" in scores["palette"]["error"]
    for name in ("0 and 1", "palette"):
        assert scores[name]["mse"] is None
        assert scores[name]["error"].startswith(f"mask {name}.png: ")


def test_restarting_a_finished_run_changes_no_file(sweep, scored) -> None:
    _, output = scored
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    again = score_manifest(sweep, str(output), options=SMALL)
    assert (again.rows, again.failed, again.scored) == (36, 0, 0)
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == before


def test_unplanned_shard_files_are_quarantined(sweep, scored) -> None:
    _, output = scored
    expected = pq.read_table(output)
    (output / "shard-000099.parquet").write_bytes(b"garbage")
    first = (output / "shard-000000.parquet").read_bytes()
    (output / "shard-0000000.parquet").write_bytes(first)
    assert score_manifest(sweep, str(output), options=SMALL).scored == 0
    aside = sorted(path.name for path in (output / "_run" / "torn").glob("*"))
    assert aside == ["shard-0000000.parquet", "shard-000099.parquet"]
    assert pq.read_table(output).equals(expected)
    assert not (output / "_run" / "lock.json").exists()


def test_only_missing_and_torn_shards_are_scored_again(sweep, scored) -> None:
    _, output = scored
    expected = pq.read_table(output)
    gone, torn, kept = sorted(output.glob("*.parquet"))
    gone.unlink()
    torn.write_bytes(torn.read_bytes()[:1000])
    untouched = kept.stat().st_mtime_ns
    # Another cluster may have one actor and another batch size.
    options = replace(SMALL, actors=1, batch=1)
    summary = score_manifest(sweep, str(output), options=options)
    assert (summary.rows, summary.scored) == (36, 24)
    assert kept.stat().st_mtime_ns == untouched
    assert_the_same_scores(pq.read_table(output), expected)


def test_actor_scores_chunks_of_several_references_in_one_batch(
    sweep, scored, tmp_path, monkeypatch
) -> None:
    _, output = scored
    plan = ray_engine.plan_workers
    monkeypatch.setattr(
        ray_engine,
        "plan_workers",
        lambda *args, **more: replace(plan(*args, **more), chunks_per_batch=4),
    )
    sizes = tmp_path / "sizes"

    class Counting(ScoringActor):
        def __call__(self, table):
            with sizes.open("a") as file:
                file.write(f"{len(table)}\n")
            return super().__call__(table)

    options = replace(SMALL, actors=1, batch=16)
    stages = Stages(actor=Counting)
    summary = score_manifest(sweep, str(tmp_path / "scores"), options=options, stages=stages)
    assert (summary.rows, summary.failed) == (36, 0)
    taken = [int(line) for line in sizes.read_text().splitlines()]
    assert max(taken) > 1
    assert sum(taken) == 6
    ours, theirs = (
        pq.read_table(folder).sort_by("distorted") for folder in (tmp_path / "scores", output)
    )
    assert_the_same_scores(ours, theirs)


def test_another_configuration_into_the_same_output_is_refused(sweep, scored) -> None:
    _, output = scored
    with pytest.raises(OutputError, match="roi_weighting: 'mean' before, 'normalised' now"):
        score_manifest(sweep, str(output), Settings(roi_weighting="normalised"), SMALL)
    with pytest.raises(OutputError, match="31 rows that are not in the manifest"):
        score_manifest(sweep, str(output), options=replace(SMALL, limit=5))


def test_prometheus_endpoint_of_the_node_has_the_metrics(scored) -> None:
    # Lower bounds, because other jobs on this Ray are counted too.
    least = {
        "pairs_scored_total": 36,
        ("stage_seconds_count", "read"): 6,
        ("stage_seconds_count", "decode"): 6,
        ("stage_seconds_count", "prepare"): 6,
        ("stage_seconds_count", "score"): 6,
        ("stage_seconds_count", "commit"): 3,
        "actor_memory_bytes": 10**8,
    }
    for stage in ("read", "decode", "prepare", "score", "commit"):
        least["stage_busy_seconds_total", stage] = 1e-9
    wait_for_metrics(metrics_address(), least)


def test_mixed_sizes_are_scored_and_bad_rows_fail(tmp_path, photos, caplog, ray_cluster) -> None:
    rows = []
    for name, pixels in {
        "odd": photos["chelsea"][:171, :233],
        "tiny": photos["rocket"][100:116, 100:116],
        "wide": photos["motorcycle_left"][:37],
        "small": photos["coffee"][:64, :64],
    }.items():
        write(tmp_path / f"{name}.png", encode(pixels))
        write(tmp_path / f"{name}.jpg", encode(pixels, "JPEG", quality=40))
        rows.append({"reference": f"{name}.png", "distorted": f"{name}.jpg"})
    write(tmp_path / "broken.png", b"\x89PNG\r\n\x1a\nnothing more")
    rows += [
        {"reference": "odd.png", "distorted": "gone.jpg"},
        {"reference": "odd.png", "distorted": "tiny.jpg"},
        {"reference": "broken.png", "distorted": "odd.jpg"},
        {"reference": "broken.png", "distorted": "wide.jpg"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "m.parquet")
    with caplog.at_level("INFO", "roi_ray"):
        summary = score_manifest(
            str(tmp_path / "m.parquet"),
            str(tmp_path / "scores"),
            options=Options("cpu", 1, engine="ray"),
        )
    assert (summary.rows, summary.failed) == (8, 4)
    assert len(summary.examples) == 3  # two pairs have the same broken reference
    table = pq.read_table(tmp_path / "scores").to_pylist()
    good = {row["distorted"]: row for row in table if row["error"] is None}
    assert {(row["width"], row["height"]) for row in good.values()} == {
        (233, 171), (16, 16), (741, 37), (64, 64)
    }  # fmt: skip
    bad = {(row["reference"], row["distorted"]): row for row in table if row["error"]}
    assert all(row["mse"] is None for row in bad.values())
    assert "No such file" in bad["odd.png", "gone.jpg"]["error"]
    assert bad["odd.png", "tiny.jpg"]["error_kind"] == "SizeMismatch"
    assert bad["odd.png", "tiny.jpg"]["error"].startswith("tiny.jpg: 16 x 16")
    for name in ("odd.jpg", "wide.jpg"):
        assert bad["broken.png", name]["error_kind"] == "ImageReadError"
        assert bad["broken.png", name]["error"].startswith("reference broken.png")

    lines = {
        f"shard 0, pair {row['pair_id']}: {row['error_kind']}: {row['error']}"
        for row in bad.values()
    }
    *failures, committed = (record.getMessage() for record in caplog.records)
    assert sorted(failures) == sorted(lines)
    assert re.fullmatch(r"shard 0: 8 rows, 4 failed, [\d.]+ s since its first result", committed)
    # A worker's log has each failure once.
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    written = "".join(log.read_text() for log in logs.glob("roi_ray-worker-*.log"))
    assert [written.count(f" WARNING roi_ray: {line}\n") for line in lines] == [1] * 4


def test_unusable_arguments_are_refused_before_anything_is_written(sweep, tmp_path) -> None:
    output = str(tmp_path / "scores")
    with pytest.raises(WeightsError, match="No such file"):
        score_manifest(sweep, output, Settings(saliency=str(tmp_path / "u2net.pth")))
    with pytest.raises(ManifestError):
        score_manifest(str(tmp_path), output)
    assert not Path(output).exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("deleted", "cannot read .*d.safetensors: No such file"),
        ("replaced", "the weights on .* are"),
    ],
)
def test_weights_that_change_after_the_start_stop_the_job(
    sweep, tmp_path, monkeypatch, change, reason
) -> None:
    score_with_weights_that_change(sweep, tmp_path, monkeypatch, change, reason, LOCAL)


def test_weights_that_differ_on_a_node_stop_the_job(
    sweep, tmp_path, monkeypatch, ray_cluster
) -> None:
    reason = "the weights on .* are"
    one_actor = replace(SMALL, actors=1)
    score_with_weights_that_change(sweep, tmp_path, monkeypatch, "replaced", reason, one_actor)


def score_with_weights_that_change(sweep, tmp_path, monkeypatch, change, reason, options) -> None:
    """A node may have other files, but the weights must be those that `run.json` records."""
    packaged = (loader.WEIGHTS_FOLDER / f"{DEFAULT_DISCRIMINATOR}.safetensors").read_bytes()
    file = tmp_path / "d.safetensors"
    file.write_bytes(packaged)
    describe = run._describe_config

    def change_and_describe(*args):
        file.unlink()
        if change == "replaced":
            tensors = load(packaged)
            file.write_bytes(save({name: tensor * 2 for name, tensor in tensors.items()}))
        return describe(*args)

    monkeypatch.setattr(run, "_describe_config", change_and_describe)
    settings = Settings(discriminator=str(file))
    with pytest.raises(WeightsError, match=f"a scoring actor cannot start: {reason}"):
        score_manifest(sweep, str(tmp_path / "out"), settings, options)


def test_manifest_in_parts_gives_the_same_scores(sweep, tmp_path, monkeypatch) -> None:
    output = tmp_path / "whole"
    score_manifest(sweep, str(output), options=LOCAL)
    monkeypatch.setattr("roi_ray.pipeline.run.read_manifest", partial(read_manifest, part_rows=20))
    summary = score_manifest(sweep, str(tmp_path / "scores"), options=LOCAL)
    assert (summary.rows, summary.failed, summary.scored) == (36, 0, 36)
    shards = sorted((tmp_path / "scores").glob("*.parquet"))
    assert [shard.name for shard in shards] == [f"shard-{k:06}.parquet" for k in range(len(shards))]
    in_parts, whole = (
        pq.read_table(folder).sort_by("pair_id") for folder in (tmp_path / "scores", output)
    )
    assert_the_same_scores(in_parts, whole)
    shards[-1].unlink()
    again = score_manifest(sweep, str(tmp_path / "scores"), options=LOCAL)
    assert 0 < again.scored < 36
    assert_the_same_scores(pq.read_table(tmp_path / "scores").sort_by("pair_id"), in_parts)


def test_allow_prefixes_open_other_folders(sweep, tmp_path) -> None:
    folder = Path(sweep).parent
    rows = pq.read_table(sweep).slice(0, 3).to_pylist()
    rows = [row | {name: str(folder / row[name]) for name in schema.URIS} for row in rows]
    manifest = str(tmp_path / "elsewhere.parquet")
    pq.write_table(pa.Table.from_pylist(rows), manifest)
    refused = score_manifest(manifest, str(tmp_path / "refused"), options=LOCAL)
    assert (refused.rows, refused.failed) == (3, 3)
    assert f"not below {tmp_path}" in refused.examples[0]
    allowing = replace(LOCAL, allow_prefixes=(str(folder),))
    assert score_manifest(manifest, str(tmp_path / "allowed"), options=allowing).failed == 0
    with pytest.raises(OutputError, match="allow_prefixes"):
        score_manifest(manifest, str(tmp_path / "refused"), options=allowing)


def test_rows_that_are_added_may_lie_in_another_folder(sweep, tmp_path) -> None:
    sweep_folder, output = Path(sweep).parent, str(tmp_path / "scores")
    rows = pq.read_table(sweep).slice(0, 3).to_pylist()
    for number, row in enumerate(rows):
        for name in schema.URIS:
            data = (sweep_folder / row[name]).read_bytes()
            row[name] = write(tmp_path / f"folder{number}" / Path(row[name]).name, data)
    manifest = str(tmp_path / "manifests/m.parquet")
    Path(manifest).parent.mkdir()
    for count in (1, 2, 3):
        pq.write_table(pa.Table.from_pylist(rows[:count]), manifest)
        # Folders of images that are scored already need not be named again.
        folders = [str(tmp_path / f"folder{number}") for number in range(count)][-2:]
        allowing = replace(LOCAL, allow_prefixes=tuple(folders))
        summary = score_manifest(manifest, output, options=allowing)
        assert (summary.rows, summary.failed, summary.scored) == (count, 0, 1)
        again = score_manifest(manifest, output, options=allowing)
        assert (again.failed, again.scored) == (0, 0)
    (tmp_path / "again").mkdir()
    written = write_failed(read_status(output), str(tmp_path / "again/failed.parquet"))
    assert {Path(prefix).name for prefix in written.allow_prefixes} == {
        *("manifests", "folder0", "folder1", "folder2")
    }


def test_metrics_on_request_become_columns(photos, tmp_path) -> None:
    sweep = make_sweep_of({"coffee": photos["coffee"]}, tmp_path / "sweep")
    settings = Settings(metrics=("ssimulacra2",))
    output = tmp_path / "scores"
    score_manifest(sweep, str(output), settings, options=LOCAL)
    rows = pq.read_table(output).to_pylist()
    assert [row["error"] for row in rows] == [None] * len(rows)
    scorer = Scorer(settings)
    folder = Path(sweep).parent
    reference = scorer.prepare(decode_image((folder / rows[0]["reference"]).read_bytes()))
    images = [decode_image((folder / row["distorted"]).read_bytes()) for row in rows]
    for row, scores in zip(rows, scorer.score(reference, images), strict=True):
        for name in ("ssimulacra2", "roi_ssimulacra2"):
            # The recursive filter adds up differences in the last bit of a pixel.
            assert row[name] == pytest.approx(getattr(scores, name), abs=1e-3)


def test_rows_that_failed_before_are_not_scored_and_keep_their_errors(sweep, tmp_path) -> None:
    rows = pq.read_table(sweep).slice(0, 3).to_pylist()
    broken = {"error_kind": "CodecError", "error": "mine: exit code 3"}
    rows = [
        {**rows[0], "error_kind": None, "error": None},
        {**rows[1], **broken, "distorted": None},
        {**rows[2], **broken, "distorted": "decoded/not-there.png"},
        {**rows[2], **broken, "reference": "not-there.png"},
    ]
    manifest = str(Path(sweep).parent / "failed-before.parquet")
    pq.write_table(pa.Table.from_pylist(rows), manifest)
    summary = score_manifest(manifest, str(tmp_path / "scores"), options=LOCAL)
    assert (summary.rows, summary.failed, summary.scored) == (4, 3, 4)
    assert summary.examples[0].endswith("CodecError: mine: exit code 3")
    table = pq.read_table(tmp_path / "scores")
    assert table.column_names.count("error") == 1
    by_distorted = {row["distorted"]: row for row in table.to_pylist()}
    scored = by_distorted[rows[0]["distorted"]]
    assert (scored["error"], scored["psnr"] > 20) == (None, True)
    assert [row["psnr"] for row in table.to_pylist() if row["error"] == broken["error"]] == [
        None
    ] * 3
    again = score_manifest(manifest, str(tmp_path / "scores"), options=LOCAL)
    assert (again.failed, again.scored) == (3, 0)


@pytest.mark.parametrize(
    ("settings", "options", "error"),
    [
        (Settings(), Options(engine="local", device="cuda"), DeviceError),
        (Settings(), Options(engine="ray"), ClusterError),
        (Settings(lpips="vgg"), Options(weights_dir="no/such/folder"), WeightsError),
        (Settings(), Options(engine="local", actors=2), UsageError),
        (Settings(), Options(), ManifestError),
    ],
)
def test_job_that_fails_before_its_first_pair_leaves_nothing(
    tmp_path, sweep, without_ray, monkeypatch, settings, options, error
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", "nobody")
    manifest = tmp_path / "unreadable.parquet" if error is ManifestError else Path(sweep)
    if error is ManifestError:
        manifest.write_bytes(b"PAR1")
    with pytest.raises(error):
        score_manifest(str(manifest), str(tmp_path / "a" / "scores"), settings, options)
    assert not (tmp_path / "a").exists()


def test_folder_that_was_there_before_a_failed_job_stays_as_it_was(
    tmp_path, sweep, monkeypatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError):
        score_manifest(sweep, str(tmp_path), options=Options(engine="local", device="cuda"))
    assert list(tmp_path.iterdir()) == []
