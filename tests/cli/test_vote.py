"""`roi-ray vote`: its options and its errors. tests/e2e/test_vote.py runs it."""

import socket

import pytest

from roi_ray.votes import run as running
from roi_ray.votes.options import Access, Address, Opening, StudyFiles, VoteOptions
from roi_ray.web.keys import hash_key
from tests.conftest import strip_colours, write


@pytest.fixture
def calls(monkeypatch) -> list[tuple[object, ...]]:
    """What the command asks to be run; the study has seven answers when it ends."""
    asked: list[tuple[object, ...]] = []

    def run_study(files, options, address, access, export_seconds, announce):
        asked.append((files, options, address, access, export_seconds))
        announce(Opening("http://127.0.0.1:8100", 12, 5, ["http://127.0.0.1:8100/join/x"], 1, "k"))
        return 7

    monkeypatch.setattr(running, "run_study", run_study)
    return asked


def test_defaults_and_what_is_printed(run, calls) -> None:
    done = run("--scores", "s", "--output", "o")
    assert (done.exit_code, done.stderr) == (0, "")
    assert calls == [
        (StudyFiles("o", scores="s"), VoteOptions(), Address(), Access(), 60.0),
    ]
    assert done.stdout.splitlines() == [
        "open at http://127.0.0.1:8100 - 12 questions, 5 answers so far",
        "invitation: http://127.0.0.1:8100/join/x",
        "operator: http://127.0.0.1:8100/admin, key: k",
        "7 answers in o",
    ]


def test_every_option_reaches_the_study(run, calls, tmp_path) -> None:
    keys = write(tmp_path / "keys", f"{hash_key('a')} me\n".encode())
    text = f"""
        --comparisons c.parquet --output s3://b/o --database d --allow-prefix p --allow-prefix q
        --gold 0.2 --repeats 0.1 --training 4 --questions-per-rater 9 --active model --model m
        --by codec --stop-at 0.9 --max-questions 99 --crop 256 --max-pixels 77 --seed 5
        --host 0.0.0.0 --port 81 --public-url https://vote.example.org --invitations 3
        --raters-per-invitation 2 --consent text --admin-keys {keys} --export-seconds 7
        --log-level error
    """
    done = run(*text.split())
    assert done.exit_code == 0, done.stderr
    options = VoteOptions(
        gold=0.2,
        repeats=0.1,
        training=4,
        questions_per_rater=9,
        active="model",
        model="m",
        by="codec",
        stop_at=0.9,
        max_questions=99,
        crop=256,
        max_pixels=77,
        seed=5,
    )
    files = StudyFiles("s3://b/o", "c.parquet", None, "d", ("p", "q"), "text")
    address = Address("0.0.0.0", 81, "https://vote.example.org")
    assert calls == [(files, options, address, Access(3, 2, (hash_key("a"),)), 7.0)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "give either --comparisons or --scores"),
        (("--scores", "s", "--comparisons", "c"), "give either --comparisons or --scores"),
        (("--scores", "gone"), "gone"),
        (("--comparisons", "gone.parquet"), "gone.parquet"),
        (("--scores", "s", "--output", "s3://bucket/x"), "name a folder with --database"),
        (("--scores", "s", "--gold", "0.4", "--repeats", "0.3"), "at most half"),
        (("--scores", "s", "--host", "192.0.2.99"), "not an address of this machine"),
        (("--scores", "s", "--public-url", "vote.example.org"), "vote.example.org must be http"),
        (("--scores", "s", "--consent", "gone.txt"), "gone.txt"),
        (("--scores", "s", "--admin-keys", "gone.txt"), "gone.txt"),
        (("--scores", "s", "--simulate"), "--simulate draws answers from those of --comparisons"),
        (("--comparisons", "gone.csv", "--simulate"), "gone.csv"),
    ],
)
def test_what_cannot_be_used_is_one_line(run, tmp_path, monkeypatch, arguments, text) -> None:
    monkeypatch.chdir(tmp_path)
    output = () if "--output" in arguments else ("--output", "votes")
    done = run(*output, "--port", "0", *arguments)
    assert done.exit_code == 2
    (line,) = strip_colours(done.stderr).splitlines()
    assert line.startswith("error: ") and text in line
    assert not (tmp_path / "votes").exists()


def test_port_in_use_is_one_line(run, tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = run("--scores", "s", "--output", str(tmp_path / "o"), "--port", str(port))
    assert done.exit_code == 2
    assert f"port {port} of 127.0.0.1 is in use" in done.stderr
