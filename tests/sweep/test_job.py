import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError, OutputError, UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.sweep.job import make_sweep
from roi_ray.sweep.options import SweepOptions
from roi_ray.sweep.planned import plan_sweep
from tests.conftest import encode, write

LOCAL = SweepOptions(engine="local", shard_size=4)
CODECS = ("jpeg:20,80", "webp:50")


@pytest.fixture
def images(tmp_path, photos):
    folder = tmp_path / "images"
    for name in ("coffee", "deep/rocket"):
        write(folder / f"{name}.png", encode(photos[Path(name).name][:90, :120]))
    return str(folder)


def rows_of(manifest):
    return pq.read_table(manifest).to_pylist()


def files_of(folder):
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


def test_manifest_describes_the_encoded_files(tmp_path, images):
    summary = make_sweep(images, str(tmp_path / "out"), CODECS, options=LOCAL)
    assert (summary.rows, summary.failed, summary.encoded) == (6, 0, 6)
    assert summary.manifest == str(tmp_path / "out/manifest.parquet")
    assert summary.folders == (images,)
    rows = rows_of(summary.manifest)
    assert {(row["codec"], row["quality"]) for row in rows} == {
        ("jpeg", 20),
        ("jpeg", 80),
        ("webp", 50),
    }
    for row in rows:
        assert row["reference"].startswith(images)
        assert row["distorted"] == row["bitstream"]
        data = (tmp_path / "out" / row["bitstream"]).read_bytes()
        assert (row["bytes"], row["bpp"]) == (len(data), pytest.approx(8 * len(data) / (90 * 120)))
        assert decode_image(data).shape == (90, 120, 3)
        assert row["target_metric"] == "quality"
        assert row["target"] == row["quality"] == row["reached"]
        assert row["encode_seconds"] > 0 and row["decode_seconds"] > 0
        assert row["processor"] and row["codec_version"]
        assert (row["error_kind"], row["error"]) == (None, None)
    assert (tmp_path / "out/encoded/jpeg/deep/rocket.png-q20.jpg").is_file()
    columns = pq.read_schema(summary.manifest)
    assert [*schema.SWEEP_PLAN, *schema.SWEEP_RESULTS] == columns.names[3:]


def test_finished_sweep_is_not_touched(tmp_path, images):
    make_sweep(images, str(tmp_path / "out"), CODECS, options=LOCAL)
    before = files_of(tmp_path / "out")
    again = make_sweep(images, str(tmp_path / "out"), CODECS, options=LOCAL)
    assert (again.rows, again.encoded) == (6, 0)
    assert files_of(tmp_path / "out") == before


def test_further_codecs_qualities_and_images_are_added(tmp_path, images, photos):
    out = tmp_path / "out"
    make_sweep(images, str(out), CODECS, options=LOCAL)
    first = rows_of(out / "manifest.parquet")
    before = files_of(out / "encoded")
    # Only what is new has to be named; the rest is kept.
    added = make_sweep(images, str(out), ["jpeg:50", "webp:50:method=0"], options=LOCAL)
    assert (added.rows, added.encoded) == (10, 4)
    write(Path(images) / "a.png", encode(photos["chelsea"][:60, :60]))
    more = make_sweep(images, str(out), CODECS, options=LOCAL)
    assert (more.rows, more.encoded) == (13, 3)
    write(tmp_path / "other/b.png", encode(photos["chelsea"][:60, :60]))
    other = make_sweep(str(tmp_path / "other"), str(out), ["jpeg:20"], options=LOCAL)
    assert (other.rows, other.encoded) == (14, 1)
    assert set(other.folders) == {images, str(tmp_path / "other")}
    rows = rows_of(other.manifest)
    assert rows[:6] == first
    assert {row["codec"] for row in rows} == {"jpeg", "webp", "webp-method=0"}
    after = files_of(out / "encoded")
    assert {name: after[name] for name in before} == before
    assert len({row["pair_id"] for row in rows}) == 14
    assert len(after) == 14


def test_added_images_of_the_same_name_do_not_overwrite_files(tmp_path, photos):
    out = tmp_path / "out"
    for name in ("coffee", "chelsea"):
        folder = tmp_path / name
        write(folder / "deep/x.png", encode(photos[name][:60, :60]))
        make_sweep(str(folder), str(out), ["webp:75:lossless"], options=LOCAL)
    # Each image finds its own files again, also at a quality that only the other has.
    make_sweep(str(folder), str(out), ["webp:50:lossless"], options=LOCAL)
    for name in ("coffee", "chelsea"):
        codecs = ["webp:50,75:lossless"]
        again = make_sweep(str(tmp_path / name), str(out), codecs, options=LOCAL)
    assert (again.rows, again.encoded) == (4, 0)
    rows = rows_of(again.manifest)
    assert len({row["bitstream"] for row in rows}) == 4
    for row in rows:
        original = decode_image(Path(row["reference"]).read_bytes())
        assert (decode_image((out / row["bitstream"]).read_bytes()) == original).all()


def test_scoring_a_sweep_that_has_grown_scores_only_what_is_new(tmp_path, images):
    options = Options(engine="local", device="cpu", allow_prefixes=(images,), shard_size=4)
    scores = str(tmp_path / "scores")
    for codecs, scored in ((CODECS, 6), (["avif:30"], 2)):
        manifest = make_sweep(images, str(tmp_path / "out"), codecs, options=LOCAL).manifest
        summary = score_manifest(manifest, scores, options=options)
        assert (summary.scored, summary.failed) == (scored, 0)
    table = pq.read_table(scores)
    assert sorted(table["pair_id"].to_pylist()) == sorted(
        row["pair_id"] for row in rows_of(manifest)
    )
    assert pc.min(table["psnr"]).as_py() > 20


def test_failed_cells_are_rows_and_stay_failed_in_the_scores(tmp_path, images):
    plan = tmp_path / "plan.toml"
    plan.write_text(
        """
        [codecs.broken]
        quality = [1]
        encode = ["false", "{in}", "{out}", "{quality}"]
        suffix = ".jpg"
        """
    )
    write(Path(images) / "rubbish.png", b"rubbish")
    out = tmp_path / "out"
    summary = make_sweep(images, str(out), ["jpeg:50"], plan=str(plan), options=LOCAL)
    assert (summary.rows, summary.failed) == (6, 4)
    errors = {
        (row["reference"][len(images) + 1 :], row["codec"]): row
        for row in rows_of(summary.manifest)
    }
    assert errors["rubbish.png", "jpeg"]["error_kind"] == "ImageReadError"
    assert errors["coffee.png", "broken"]["error_kind"] == "CodecError"
    assert "exit code 1" in errors["coffee.png", "broken"]["error"]
    assert errors["coffee.png", "broken"]["bytes"] is None
    assert not (out / "encoded/broken").exists()
    options = Options(engine="local", device="cpu", allow_prefixes=(images,))
    scored = score_manifest(summary.manifest, str(tmp_path / "scores"), options=options)
    assert (scored.rows, scored.failed) == (6, 4)
    kept = {row["pair_id"]: row["error"] for row in pq.read_table(tmp_path / "scores").to_pylist()}
    assert kept == {row["pair_id"]: row["error"] for row in errors.values()}


def test_codec_that_is_not_installed_stops_the_sweep_before_it_fails_every_cell(tmp_path, images):
    plan = tmp_path / "plan.toml"
    plan.write_text(
        """
        [codecs.absent]
        quality = [1]
        encode = ["no-such-encoder", "{in}", "{out}", "{quality}"]
        suffix = ".jpg"
        """
    )
    out = str(tmp_path / "out")
    with pytest.raises(UsageError, match="'absent' is not available: .*no-such-encoder"):
        make_sweep(images, out, ["jpeg:50"], plan=str(plan), options=LOCAL)
    assert not Path(out).exists()
    make_sweep(images, out, ["jpeg:50"], options=LOCAL)
    with pytest.raises(UsageError, match="'absent' is not available"):
        make_sweep(images, out, ["jpeg:50"], plan=str(plan), options=LOCAL)
    # The mistake can be corrected.
    plan.write_text(plan.read_text().replace("no-such-encoder", "false"))
    summary = make_sweep(images, out, ["jpeg:50"], plan=str(plan), options=LOCAL)
    assert (summary.rows, summary.failed) == (4, 2)


def test_label_with_other_settings_is_refused_and_changes_nothing(tmp_path, images):
    out, plan = tmp_path / "out", tmp_path / "plan.toml"
    for number, method in enumerate((4, 2)):
        plan.write_text(f"[codecs.mine]\ncodec = 'webp'\nquality = [50]\nmethod = {method}")
        if number == 0:
            make_sweep(images, str(out), plan=str(plan), options=LOCAL)
    before = files_of(out)
    with pytest.raises(OutputError, match="codec 'mine' had the settings .*method=4.*method=2"):
        make_sweep(images, str(out), plan=str(plan), options=LOCAL)
    assert files_of(out) == before


def test_manifest_of_somebody_else_is_not_overwritten(tmp_path, images):
    pq.write_table(pa.table({"reference": ["a"]}), tmp_path / "manifest.parquet")
    with pytest.raises(OutputError, match="not a manifest that `roi-ray sweep` wrote"):
        make_sweep(images, str(tmp_path), CODECS, options=LOCAL)


def test_lost_manifest_is_written_again(tmp_path, images):
    summary = make_sweep(images, str(tmp_path), CODECS, options=LOCAL)
    content = Path(summary.manifest).read_bytes()
    Path(summary.manifest).unlink()
    assert make_sweep(images, str(tmp_path), CODECS, options=LOCAL).encoded == 0
    assert Path(summary.manifest).read_bytes() == content


def test_originals_below_the_output_have_relative_uris(tmp_path, photos):
    write(tmp_path / "originals/a.png", encode(photos["coffee"][:50, :50]))
    summary = make_sweep(str(tmp_path / "originals"), str(tmp_path), ["jpeg:50"], options=LOCAL)
    (row,) = rows_of(summary.manifest)
    assert (row["reference"], row["distorted"]) == ("originals/a.png", "encoded/jpeg/a.png-q50.jpg")
    assert summary.folders == ()
    # The folder can be scored where it is moved to.
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    options = Options(engine="local", device="cpu")
    scored = score_manifest(str(moved / "manifest.parquet"), str(moved / "scores"), options=options)
    assert (scored.rows, scored.failed) == (1, 0)


def test_masks_of_a_manifest_are_kept(tmp_path, images, photos):
    write(Path(images) / "mask.png", encode(photos["coffee"][:90, :120, 0]))
    rows = [{"reference": "coffee.png", "mask": "mask.png"}]
    pq.write_table(pa.Table.from_pylist(rows), f"{images}/m.parquet")
    summary = make_sweep(f"{images}/m.parquet", str(tmp_path / "out"), ["jpeg:50"], options=LOCAL)
    (row,) = rows_of(summary.manifest)
    assert row["mask"] == f"{images}/mask.png"
    options = Options(engine="local", device="cpu", allow_prefixes=(images,))
    score_manifest(summary.manifest, str(tmp_path / "scores"), options=options)
    (scored,) = pq.read_table(tmp_path / "scores").to_pylist()
    mean = photos["coffee"][:90, :120, 0].mean() / 255
    assert scored["roi_fraction"] == pytest.approx(mean, abs=1e-3)


def test_mask_outside_the_allowed_folders_fails_its_cells(tmp_path, images):
    # `sweep --score` allows scoring to read the folders of all masks that are left.
    rows = [{"reference": "coffee.png", "mask": "/etc/hostname"}]
    pq.write_table(pa.Table.from_pylist(rows), f"{images}/m.parquet")
    summary = make_sweep(f"{images}/m.parquet", str(tmp_path / "out"), ["jpeg:50"], options=LOCAL)
    (row,) = rows_of(summary.manifest)
    assert row["error_kind"] == "NotAllowed"
    assert row["error"].startswith("mask /etc/hostname: not below ")
    assert summary.folders == (images,)


def test_size_is_matched_for_each_image(tmp_path, images):
    summary = make_sweep(images, str(tmp_path), ["jpeg", "webp"], match=["bpp=1.5"], options=LOCAL)
    assert (summary.rows, summary.failed) == (4, 0)
    for row in rows_of(summary.manifest):
        assert row["bpp"] == row["reached"] == pytest.approx(1.5, rel=0.05)
        assert (row["target_metric"], row["target"]) == ("bpp", 1.5)
        assert row["bitstream"].endswith(("png-bpp1.5.jpg", "png-bpp1.5.webp"))
        assert 1 <= row["quality"] <= 100


def test_plan_writes_nothing_and_counts_what_is_new(tmp_path, images):
    sweep = plan_sweep(images, str(tmp_path / "out"), CODECS)
    assert (sweep.earlier, sweep.manifest.rows) == (0, 6)
    assert not (tmp_path / "out").exists()
    make_sweep(images, str(tmp_path / "out"), CODECS, options=LOCAL)
    sweep = plan_sweep(images, str(tmp_path / "out"), ["jpeg:20,30"])
    assert (sweep.earlier, sweep.manifest.rows) == (6, 8)


def test_paths_and_single_texts_are_taken(tmp_path, images):
    summary = make_sweep(Path(images), tmp_path / "out", "jpeg", match="bpp=1.5", options=LOCAL)
    assert (summary.rows, summary.failed) == (2, 0)


def test_unusable_arguments_write_nothing(tmp_path, images):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="unknown codec"):
        make_sweep(images, str(out), ["jpg:50"], options=LOCAL)
    with pytest.raises(ManifestError, match="no such file"):
        make_sweep(f"{images}/nothing", str(out), CODECS, options=LOCAL)
    assert not out.exists()


def test_cells_of_an_unfinished_plan_need_their_codecs(tmp_path, images):
    make_sweep(images, str(tmp_path), CODECS, options=LOCAL)
    shard = next((tmp_path / "cells").glob("shard-*.parquet"))
    shard.unlink()
    with pytest.raises(UsageError, match="planned cells of webp that were never encoded"):
        make_sweep(images, str(tmp_path), ["jpeg:20,80"], options=LOCAL)
    assert make_sweep(images, str(tmp_path), CODECS, options=LOCAL).failed == 0


def test_images_of_an_unfinished_plan_are_not_failed_by_a_command_for_others(
    tmp_path, images, photos
):
    out = tmp_path / "out"
    make_sweep(images, str(out), CODECS, options=LOCAL)
    next((out / "cells").glob("shard-*.parquet")).unlink()
    write(tmp_path / "other/b.png", encode(photos["chelsea"][:60, :60]))
    other = str(tmp_path / "other")
    with pytest.raises(UsageError, match=r"coffee\.png that were never encoded; .*--allow-prefix"):
        make_sweep(other, str(out), CODECS, options=LOCAL)
    options = SweepOptions(engine="local", shard_size=4, allow_prefixes=(images,))
    summary = make_sweep(other, str(out), CODECS, options=options)
    assert (summary.rows, summary.failed) == (9, 0)


def test_record_identifies_the_sweep(tmp_path, images):
    make_sweep(images, str(tmp_path), CODECS, options=LOCAL)
    run = json.loads((tmp_path / "cells/_run/run.json").read_bytes())
    assert (run["command"], run["sweep_version"]) == ("sweep", 1)
    assert run["config"]["manifest"]["rows"] == 6
    with pytest.raises(OutputError, match="tolerance"):
        make_sweep(images, str(tmp_path), CODECS, options=SweepOptions(shard_size=4, tolerance=0.1))


def test_both_engines_make_the_same_sweep(tmp_path, images, ray_cluster):
    tables = []
    for engine in ("local", "ray"):
        options = SweepOptions(engine=engine, shard_size=4)
        summary = make_sweep(images, str(tmp_path / engine), CODECS, options=options)
        assert (summary.rows, summary.failed, summary.encoded) == (6, 0, 6)
        tables.append(pq.read_table(summary.manifest))
    same = [*tables[0].column_names[:8], "quality", "bytes", "bpp", "codec_version", "error"]
    assert tables[0].select(same).equals(tables[1].select(same))
    for row in tables[0].to_pylist():
        first, second = (tmp_path / engine / row["bitstream"] for engine in ("local", "ray"))
        assert first.read_bytes() == second.read_bytes()
