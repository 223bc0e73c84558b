import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from roi_ray.cli import label_saliency
from roi_ray.errors import ImageReadError, ManifestError
from roi_ray.sweep import photographs
from roi_ray.training.labels import hash_views_folder, read_training_pairs, read_view_pairs
from roi_ray.training.recipes import SaliencyRecipe
from roi_ray.training.saliency import SaliencyTraining
from tests.training.test_teacher import write_red_teacher


@pytest.fixture
def folders(tmp_path):
    """Two images with maps, and further photographs, all with a red square on them."""
    paths = photographs()
    for name, path in paths.items():
        with Image.open(path) as image:
            small = image.convert("RGB").resize((120, 96))
        small.paste((255, 0, 0), (30, 30, 70, 70))
        has_map = name in list(paths)[:2]
        folder = tmp_path / ("images" if has_map else "further")
        folder.mkdir(exist_ok=True)
        small.save(folder / f"{name}.png")
        if has_map:
            (tmp_path / "maps").mkdir(exist_ok=True)
            mask = np.zeros((96, 120), np.uint8)
            mask[30:70, 30:70] = 255
            Image.fromarray(mask).save(tmp_path / "maps" / f"{name}.png")
    return tmp_path


def run(folders, **options):
    teacher, sha256 = write_red_teacher(folders / "red.onnx")
    label_saliency.main(
        **{
            "teacher": teacher,
            "sha256": sha256,
            "images": str(folders / "images"),
            "maps": str(folders / "maps"),
            "photographs": [str(folders / "further")],
            "output": str(folders / "views"),
            "crops": 4,
            "composites": 4,
            "seed": 0,
            "held_out": 1,
            **options,
        }
    )


def read_maps(folders):
    return {path.name: path.read_bytes() for path in (folders / "views" / "maps").iterdir()}


def read_map_times(folders):
    return {path.name: path.stat().st_mtime_ns for path in (folders / "views" / "maps").iterdir()}


def test_photographs_crops_and_composites_become_training_pairs(folders, capsys):
    run(folders)
    assert "1 training images, 4 further photographs" in capsys.readouterr().out
    lines = (folders / "views" / "views.jsonl").read_text().splitlines()
    views = [json.loads(line) for line in lines]
    assert [view["kind"] for view in views] == ["whole"] * 4 + ["crop"] * 4 + ["composite"] * 4
    (held_out,) = {path.stem for path in (folders / "images").iterdir()} - {
        parent for view in views for parent in view["parents"]
    }
    pairs = read_view_pairs(str(folders / "views"), [held_out])
    assert [pair.name for pair in pairs] == [view["name"] for view in views]
    for pair in pairs:
        red = (pair.image[0] > 200) & (pair.image[1:] < 60).all(0)
        assert ((pair.map[0] > 128) != red).float().mean() < 0.05
    names = [path.stem for path in (folders / "images").iterdir() if path.stem != held_out]
    where = (str(folders / "images"), str(folders / "maps"))
    pairs = read_training_pairs(*where, names, [str(folders / "views")])
    training = SaliencyTraining(pairs, None, SaliencyRecipe(epochs=1, batch_size=4))
    assert training.steps == 13 // 4


def test_cut_outs_are_pasted_into_composites(folders):
    (folders / "stamps").mkdir()
    stamp = np.zeros((50, 40, 4), np.uint8)
    stamp[10:40, 5:35] = (255, 0, 0, 255)
    Image.fromarray(stamp).save(folders / "stamps" / "disc.png")
    run(folders, crops=0, composites=30, cut_outs=[str(folders / "stamps")])
    lines = (folders / "views" / "views.jsonl").read_text().splitlines()
    pasted = [view for view in map(json.loads, lines) if "disc" in view["parents"][1:]]
    assert pasted
    pairs = {pair.name: pair for pair in read_view_pairs(str(folders / "views"), [])}
    assert all((pairs[view["name"]].map > 128).any() for view in pasted)


def test_cut_out_with_the_name_of_a_photograph_is_an_error(folders, capsys):
    with pytest.raises(typer.Exit):
        run(folders, cut_outs=[str(folders / "further")])
    assert "have the same name" in capsys.readouterr().err


def test_view_with_a_held_out_parent_is_not_trained_on(folders):
    run(folders, crops=0, composites=20)
    folder = str(folders / "views")
    everything = read_view_pairs(folder, [])
    held_out = next(photo.stem for photo in (folders / "further").iterdir())
    kept = {pair.name for pair in read_view_pairs(folder, [held_out])}
    for line in (folders / "views" / "views.jsonl").read_text().splitlines():
        view = json.loads(line)
        assert (view["name"] in kept) == (held_out not in view["parents"])
    assert 0 < len(kept) < len(everything)


def test_second_run_writes_only_missing_views_with_the_same_bytes(folders, capsys):
    run(folders)
    first = read_maps(folders)
    deleted = [name for name in first if name.startswith("crop")][:2]
    for name in deleted:
        (folders / "views" / "maps" / name).unlink()
    assert len(read_view_pairs(str(folders / "views"), [])) == 10
    kept = read_map_times(folders)
    run(folders)
    assert read_maps(folders) == first
    written = {name for name, time in read_map_times(folders).items() if kept.get(name) != time}
    assert written == set(deleted)
    # Another seed gives other names, so it reuses no crop or composite.
    run(folders, seed=1)
    assert len(read_view_pairs(str(folders / "views"), [])) == 12
    assert len(read_maps(folders)) == 4 + 2 * 8


def test_folder_of_another_or_an_unknown_teacher_is_an_error(folders, capsys):
    run(folders)
    file = folders / "views" / "teacher.txt"
    file.write_text("0" * 64)
    with pytest.raises(typer.Exit):
        run(folders)
    assert f"views holds maps of another teacher, of SHA-256 {'0' * 64}" in (
        capsys.readouterr().err
    )
    before = hash_views_folder(str(folders / "views"))
    view = next((folders / "views" / "images").iterdir())
    content = view.read_bytes()
    view.write_bytes(content + b" ")
    assert hash_views_folder(str(folders / "views")) != before
    view.write_bytes(content)
    assert hash_views_folder(str(folders / "views")) == before
    file.unlink()
    with pytest.raises(typer.Exit):
        run(folders)
    assert "holds maps but no teacher.txt, which says whose" in capsys.readouterr().err
    assert hash_views_folder(str(folders / "views")) != before


def test_errors_name_the_file_that_cannot_be_used(folders, capsys):
    def run_and_fail(**options):
        with pytest.raises(typer.Exit) as exit_:
            run(folders, **options)
        assert exit_.value.exit_code == 2
        return capsys.readouterr().err

    assert "is not the teacher: its SHA-256" in run_and_fail(sha256="00")
    assert "have the same name" in run_and_fail(photographs=[str(folders / "images")])
    (broken,) = (path for path in (folders / "further").iterdir() if path.stem == "rocket")
    kept = broken.read_bytes()
    broken.write_bytes(b"no image")
    assert f"{broken}: not an image of a known format" in run_and_fail()
    broken.write_bytes(kept)
    shutil.rmtree(folders / "maps")
    assert "has no map" in run_and_fail()


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        '{"name": "a", "kind": "whole"}',
        "[]",
        '{"name": "a", "kind": "b", "parents": "c"}',
    ],
)
def test_malformed_table_of_views_is_a_manifest_error(tmp_path, text):
    Path(tmp_path / "views.jsonl").write_text(text)
    with pytest.raises(ManifestError, match=r"views\.jsonl is not a table of views"):
        read_view_pairs(str(tmp_path), [])


def test_error_names_the_undecodable_view(folders):
    run(folders, crops=0, composites=0)
    image = next((folders / "views" / "images").iterdir())
    image.write_bytes(b"no image")
    with pytest.raises(ImageReadError, match=f"{image.name}: not an image"):
        read_view_pairs(str(folders / "views"), [])
