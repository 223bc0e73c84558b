import re
import time

import pytest

from roi_ray.runtime import progress
from roi_ray.runtime.progress import ProgressReporter


def test_log_gets_plain_lines_with_speed_and_time_left(capsys, monkeypatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0)
    with ProgressReporter(total=100) as reporter:
        reporter.skip(40)
        reporter.advance(20, 0)
        reporter.advance(40, 3)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"60/100 pairs, [\d.]+ pairs/s, 0:00:\d\d left", lines[0])
    assert re.fullmatch(r"100/100 pairs, [\d.]+ pairs/s, 0:00:00 left, 3 failed", lines[-1])


def test_last_line_is_printed_before_the_interval_is_over(capsys) -> None:
    with ProgressReporter(total=1000) as reporter:
        for _ in range(1000):
            reporter.advance(1, 0)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("1000/1000 pairs")


def test_skipped_pairs_print_no_line(capsys) -> None:
    with ProgressReporter(total=10) as reporter:
        reporter.skip(10)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_stopped_job_says_how_to_resume(capsys, error) -> None:
    def job() -> None:
        with ProgressReporter(total=10) as reporter:
            reporter.advance(4, 0)
            raise error

    with pytest.raises(error):
        job()
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("4/10 pairs")
    assert last.startswith("stopped: ")


def test_terminal_shows_one_progress_bar(capsys, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with ProgressReporter(total=4) as reporter:
        reporter.advance(4, 0)
    text = capsys.readouterr().err
    assert "4/4" in text
    assert "left" not in text


def test_skipped_pairs_do_not_count_towards_the_speed(monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with ProgressReporter(total=10_000_000) as reporter:
        for _ in range(3):
            reporter.skip(2_000_000)
        for _ in range(3):
            time.sleep(0.02)
            reporter.advance(1, 0)
        task = reporter._bar.tasks[0]
        assert task.completed == 6_000_003
        assert task.speed < 1000
