import logging
import sys

from roi_ray.runtime.logs import (
    LOGGER,
    FirstFailures,
    escape_line,
    log_failures,
    log_to_ray_file,
    log_to_stderr,
)
from roi_ray.runtime.progress import ProgressReporter
from roi_ray.schema import Failure


def test_failed_pair_is_logged_with_shard_pair_and_error(caplog) -> None:
    FirstFailures().add(7, ["b"], [Failure("ImageReadError", "x.png: gone")])
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("roi_ray", "WARNING")
    assert record.getMessage() == "shard 7, pair b: ImageReadError: x.png: gone"


def test_stages_in_the_drivers_process_leave_the_log_to_the_driver(caplog) -> None:
    log_failures(7, ["b", "c"], [Failure("ImageReadError", "x.png: gone"), None])
    assert caplog.records == []


def test_control_codes_in_foreign_text_are_escaped(caplog) -> None:
    failure = Failure("ImageReadError", "größe 日本\r\x1b[2J.png: gone")
    FirstFailures().add(0, ["p\n2026 ERROR"], [failure])
    (record,) = caplog.records
    assert record.getMessage() == (
        r"shard 0, pair p\n2026 ERROR: ImageReadError: größe 日本\r\x1b[2J.png: gone"
    )
    assert len(escape_line("x" * 10**6)) < 2000


def test_driver_logs_the_first_failures_and_where_to_find_the_others(caplog) -> None:
    first = FirstFailures()
    for shard in range(1000):
        first.add(shard, ["a", "b", "c"], [Failure("E", str(k)) for k in (1, 2, 3)])
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == FirstFailures.LIMIT + 1
    assert lines[:4] == [
        "shard 0, pair a: E: 1",
        "shard 0, pair b: E: 2",
        "shard 0, pair c: E: 3",
        "shard 1, pair a: E: 1",
    ]
    assert lines[-1].startswith("more pairs fail; ")
    assert list(map(str, first.failures[:3])) == ["E: 1", "E: 2", "E: 3"]


def test_failures_up_to_the_limit_get_no_closing_line(caplog) -> None:
    first = FirstFailures()
    first.add(0, ["p"] * FirstFailures.LIMIT, [Failure("E", "1")] * FirstFailures.LIMIT)
    first.add(1, [], [])
    assert len(caplog.records) == FirstFailures.LIMIT


def test_log_file_gets_all_levels_and_terminal_gets_warnings(capsys, monkeypatch) -> None:
    for terminal, expected in ((False, 2), (True, 1)):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        log_to_stderr()
        LOGGER.info("shard 1: 10 rows")
        LOGGER.warning("shard 2, pair p: E: 1")
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == expected
        assert lines[-1].endswith(" WARNING roi_ray: shard 2, pair p: E: 1")
    log_to_stderr("error")
    LOGGER.warning("not this")
    assert capsys.readouterr().err == ""


def test_log_line_is_printed_above_the_progress_bar(capsys, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    log_to_stderr("warning")
    with ProgressReporter(total=4) as reporter:
        reporter.advance(2, 1)
        FirstFailures().add(3, ["p"], [Failure("ImageReadError", "x.png: gone")])
        reporter.advance(2, 0)
    text = capsys.readouterr().err
    line = "WARNING roi_ray: shard 3, pair p: ImageReadError: x.png: gone\n"
    assert line in text
    assert "\x1b[2K" in text[: text.index(line)]  # the bar was erased before the line
    assert "4/4" in text[text.index(line) :]


def test_log_to_ray_file_does_nothing_on_the_driver(ray_cluster) -> None:
    log_to_ray_file()
    assert LOGGER.handlers == []
    assert LOGGER.propagate
    assert LOGGER.level == logging.NOTSET
