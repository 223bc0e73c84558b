import io
import os
import signal
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from roi_ray.cli.exits import exit_with_message
from roi_ray.errors import ManifestError


@exit_with_message
def main(row: int = typer.Argument(help="Which one."), *, broken: bool = False) -> None:
    if broken:
        raise ZeroDivisionError
    if row == 0:
        raise KeyboardInterrupt
    if row > 9:
        raise ManifestError(f"row {row}:\n  there\x07 are 9")
    print(f"row {row}")


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(main)
    return app


def test_roi_ray_error_prints_one_line_and_exits_with_2(command: typer.Typer) -> None:
    result = CliRunner().invoke(command, ["12"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: row 12: there\\x07 are 9\n"


def test_wrapped_command_keeps_arguments_and_help(command: typer.Typer) -> None:
    result = CliRunner().invoke(command, ["7"])
    assert (result.exit_code, result.stdout) == (0, "row 7\n")
    assert "Which one." in CliRunner().invoke(command, ["--help"]).stdout


def test_control_c_exits_with_130_without_a_traceback(command: typer.Typer) -> None:
    result = CliRunner().invoke(command, ["0"])
    assert (result.exit_code, result.output) == (130, "")
    assert isinstance(result.exception, SystemExit)


def test_sigterm_exits_with_143_and_its_handler_is_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped:
        exit_with_message(lambda: os.kill(os.getpid(), signal.SIGTERM))()
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_second_sigterm_at_once_does_not_interrupt_the_end() -> None:
    ended = []

    def run() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            ended.append(True)

    with pytest.raises(SystemExit, match="143"):
        exit_with_message(run)()
    assert ended


def test_sigterm_exits_with_143_where_ray_changes_the_code() -> None:
    def wait_for_ray() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit:
            sys.exit(1)

    with pytest.raises(SystemExit) as stopped:
        exit_with_message(wait_for_ray)()
    assert stopped.value.code == 143


def test_unexpected_exception_keeps_its_traceback(command: typer.Typer) -> None:
    result = CliRunner().invoke(command, ["7", "--broken"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_ascii_terminal_shows_question_marks_for_other_characters(monkeypatch) -> None:
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding="ascii"))
    exit_with_message(lambda: print("higher is better \u2191", flush=True))()
    assert screen.getvalue() == b"higher is better ?\n"


def test_deleted_current_folder_is_an_error(command: typer.Typer, monkeypatch, tmp_path) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    result = CliRunner().invoke(command, ["7"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "current folder does not exist any more; cd to another" in result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_behind_standard_output_is_an_error() -> None:
    code = (
        "from roi_ray.cli.exits import exit_with_message\nimport typer\n"
        "typer.run(exit_with_message(lambda: print('row', flush=True)))"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "error: cannot write to standard output: No space left on device\n"
