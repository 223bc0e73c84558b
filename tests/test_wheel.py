"""The built wheel: its contents, and that it works without the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import encode, write

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_wheel_has_the_package_its_weights_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "roi-ray = roi_ray.cli.app:main" in archive.read(entry_points).decode()
    weights = [path for path in (ROOT / "roi_ray" / "weights").iterdir() if path.is_file()]
    modules = [path for path in (ROOT / "roi_ray").rglob("*.py")]
    assert ROOT / "roi_ray" / "weights" / "lpips-alexnet.safetensors" in weights
    page = [path for path in (ROOT / "roi_ray" / "report" / "page" / "assets").iterdir()]
    expected = {str(path.relative_to(ROOT)) for path in [*weights, *modules, *page]}
    assert expected | {"roi_ray/py.typed"} <= names
    assert not {name for name in names if name.startswith(("tests/", "jobs/"))}


def test_unpacked_wheel_scores_as_the_checkout_does(wheel, photos, tmp_path) -> None:
    installed, images = tmp_path / "installed", tmp_path / "images"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    x = photos["coffee"][:96, :120]
    write(images / "x.png", encode(x))
    write(images / "y.jpg", encode(x, "JPEG", quality=40))

    def score(package: Path) -> object:
        code = "import roi_ray; from roi_ray.cli.app import main; print(roi_ray.__file__); main()"
        done = subprocess.run(
            [sys.executable, "-c", code, "pair", "x.png", "y.jpg", "--json"],
            cwd=images,
            env={**os.environ, "PYTHONPATH": str(package)},
            capture_output=True,
            text=True,
            check=True,
        )
        file, _, document = done.stdout.partition("\n")
        assert Path(file).is_relative_to(package)
        return json.loads(document)

    assert score(installed) == score(ROOT)
