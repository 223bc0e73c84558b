"""The READMEs: their examples run, their commands parse, and their links lead somewhere."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.cli.app import load_command
from roi_ray.service.http.api import build_api
from roi_ray.service.options import ServiceOptions
from tests.conftest import encode, write
from tests.service.files import open_backend
from tests.web.asgi_server import serving

ROOT = Path(__file__).parents[1]
READMES = sorted(
    [
        ROOT / "README.md",
        *(ROOT / ".github").glob("*.md"),
        *(ROOT / "roi_ray").glob("**/*.md"),
    ]
)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
NAMED_FILE = re.compile(r"`([\w./-]*\w\.py)`")
SERVICE = "http://127.0.0.1:8000"
PLACEHOLDERS = {"DATASET": "mucped23"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def list_modules() -> list[str]:
    """Return the path of each Python file of the project, without those of its environment."""
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."]
    return [f"/{name_of(file)}" for folder in folders for file in folder.glob("**/*.py")]


def code_blocks(path: Path) -> list[tuple[str, str]]:
    """Return language and text of each code block; the language of an indented block is empty."""
    text = path.read_text()
    fenced = FENCED.findall(text)
    indented = INDENTED.findall(FENCED.sub("", text))
    return fenced + [("", re.sub(r"^ {4}", "", block, flags=re.MULTILINE)) for block in indented]


def commands(path: Path) -> list[list[str]]:
    """Return the arguments of each `roi-ray NAME` and `jobs/NAME.py` in a README's code blocks."""
    parsed = []
    for language, text in code_blocks(path):
        if language not in ("", "sh", "console"):
            continue
        for line in text.replace("\\\n", " ").splitlines():
            called = re.search(r"(?:^|&& |run (?:--\S+ \w+ )*)roi-ray ([a-z].*)", line)
            submitted = re.search(r"jobs/(\w+)\.py (.*)", line)
            if called:
                parsed.append(shlex.split(called[1], comments=True))
            elif submitted:
                name = submitted[1].replace("_", "-")
                parsed.append([name, *shlex.split(submitted[2], comments=True)])
    return parsed


@pytest.mark.parametrize("path", READMES, ids=name_of)
def test_every_command_has_known_options(path) -> None:
    for name, *arguments in commands(path):
        values = [PLACEHOLDERS.get(argument, argument) for argument in arguments]
        if "--help" not in values:
            load_command(name).make_context(name, values)


@pytest.mark.parametrize("path", READMES, ids=name_of)
def test_every_link_leads_to_a_file(path) -> None:
    for target in LINK.findall(path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", READMES, ids=name_of)
def test_every_named_module_and_test_exists(path) -> None:
    """A name is a path in the repository, or the end of one, such as `test_lock.py`."""
    exists = list_modules()
    for name in NAMED_FILE.findall(path.read_text()):
        if "NAME" not in name and path.parent.name != "weights":  # cards name files of others
            assert any(file.endswith(f"/{name}") for file in exists), name
    for name in re.findall(r"`(tests/[\w/]*/)`", path.read_text()):
        assert (ROOT / name).is_dir(), name


@pytest.mark.parametrize("path", READMES, ids=name_of)
def test_table_of_files_lists_every_module_of_the_room(path) -> None:
    text = path.read_text()
    if re.search(r"^\| file \|", text, re.MULTILINE):
        modules = {file.name for file in path.parent.glob("*.py")} - {"__init__.py"}
        assert modules <= set(NAMED_FILE.findall(text))


@pytest.fixture
def folder(tmp_path, photos, monkeypatch) -> Path:
    """The current folder, with the files that examples name."""
    photo = photos["chelsea"][:96, :128]
    write(tmp_path / "original.png", encode(photo))
    write(tmp_path / "photo.avif", encode(photo, "AVIF"))
    images = {
        f"{codec}{quality}.{codec}": encode(photo, codec, quality=quality)
        for codec in ("jpeg", "webp")
        for quality in (20, 80)
    }
    for name, data in images.items():
        write(tmp_path / name, data)
    for x in range(0, 60, 10):  # as many as the gate needs
        write(tmp_path / f"photos/{x}.png", encode(photos["chelsea"][:96, x : x + 128]))
    write(tmp_path / "decoded.jpg", images["jpeg20.jpeg"])
    write(tmp_path / "decoded.webp", images["webp80.webp"])
    names = list(images)
    sweep = {"reference": ["original.png"] * len(names), "distorted": names}
    pq.write_table(pa.table(sweep), tmp_path / "sweep.parquet")
    a, b = np.triu_indices(len(names), 1)
    choices = {
        "reference": ["original.png"] * len(a),
        "a": [names[i] for i in a],
        "b": [names[i] for i in b],
        "codec_a": [names[i].partition(".")[2] for i in a],
        "codec_b": [names[i].partition(".")[2] for i in b],
    }
    pq.write_table(pa.table(choices), tmp_path / "choices.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def service_url() -> Iterator[str]:
    """The URL of a service in this process, which stands for `SERVICE`."""
    with ExitStack() as stack:
        api = build_api(stack.enter_context(open_backend()), ServiceOptions(device="cpu"))
        yield stack.enter_context(serving(api))


@pytest.mark.parametrize(
    "path",
    [path for path in READMES if re.search("^```python", path.read_text(), re.MULTILINE)],
    ids=name_of,
)
def test_python_examples_run(path, folder, request) -> None:
    namespace: dict[str, object] = {}
    for language, text in code_blocks(path):
        if language == "python":
            url = request.getfixturevalue("service_url") if SERVICE in text else SERVICE
            exec(compile(text.replace(SERVICE, url), str(path), "exec"), namespace)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl_examples_of_the_client_run(folder, service_url) -> None:
    ((_, text),) = [
        each for each in code_blocks(ROOT / "roi_ray/client/README.md") if each[0] == "sh"
    ]
    # The service of this process has no metrics of Ray, and reads no URIs.
    lines = [line for line in text.splitlines() if "/metrics" not in line and "s3://" not in line]
    script = "\n".join(["set -eu", 'curl() { command curl -sS --fail "$@"; echo; }', *lines])
    run = subprocess.run(
        ["bash", "-c", script.replace(SERVICE, service_url)],
        env={**os.environ, "KEY": "key"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Roi-Fraction: 0." in run.stdout.title()
    answers = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == 10
    assert len(answers[0]["images"]) == 2 and answers[0]["images"][1]["psnr"] > 20
    assert answers[1]["preference"]["probability"] > 0.5


@pytest.mark.e2e
def test_shell_examples_of_the_first_readmes_run(folder, without_ray, capsys) -> None:
    readmes = (ROOT / "README.md", ROOT / "roi_ray" / "pipeline" / "README.md")
    ran = []
    for name, *arguments in [each for readme in readmes for each in commands(readme)]:
        if name in ("serve", "vote"):  # they run until a signal comes: see tests/e2e
            continue
        if "--demo" in arguments or any(argument.startswith("s3://") for argument in arguments):
            continue
        if name == "gate":
            shutil.copytree("sweep/scores", "main/scores")
        assert not load_command(name).main(arguments, prog_name=name, standalone_mode=False)
        ran.append(name)
    assert ran == [
        *("codecs", "sweep", "summary", "report", "gate", "pair", "score", "status", "verify"),
        *("compare", "rank", "status", "status"),
    ]
    assert pq.read_table(folder / "scores").num_rows == 4
    assert pq.read_table(folder / "sweep/scores").num_rows == 144
    assert (folder / "ranking" / "ranking.png").exists()
    assert "unchanged" in (folder / "gate.md").read_text()
    assert (folder / "report.html").stat().st_size > 5_000_000
