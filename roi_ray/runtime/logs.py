"""Configure the logger `roi_ray`, and log failed pairs.

Decode tasks and scoring actors on Ray log to `roi_ray-worker-PID.log` among the Ray logs of their
node, which Ray does not copy to the driver: a manifest may have a million bad rows. The driver logs
as its program configures it; the commands of `roi-ray` log to standard error.
"""

import logging
import os
import sys
from collections.abc import Iterable
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from roi_ray.schema import Failure  # at run time it would import pyarrow

LogLevel = Literal["info", "warning", "error"]

LOGGER = logging.getLogger("roi_ray")

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FILE_BYTES = 64 << 20  # per file; a process keeps two, so it uses at most twice that
_MAX_CHARACTERS = 1000


def log_failures(shard: int, pair_ids: Iterable[str], failures: "Iterable[Failure | None]") -> None:
    """Log the pairs that failed, if this is a process of Ray; elsewhere the driver logs them."""
    if not any(isinstance(handler, _RayFileHandler) for handler in LOGGER.handlers):
        return
    for pair_id, failure in zip(pair_ids, failures, strict=True):
        if failure is not None:
            _log_failure(shard, pair_id, failure)


def _log_failure(shard: int, pair_id: str, failure: "Failure") -> None:
    line = escape_line(str(failure))
    LOGGER.warning("shard %d, pair %s: %s", shard, escape_line(pair_id), line)


class FirstFailures:
    """Log of a job's first failed pairs on its driver.

    Attributes:
        failures: failures of the logged pairs.
    """

    LIMIT = 20

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self._full = False

    def add(self, shard: int, pair_ids: Iterable[str], failures: "Iterable[Failure]") -> None:
        """Log failed pairs, as long as the limit is not reached."""
        for pair_id, failure in zip(pair_ids, failures, strict=True):
            if len(self.failures) == self.LIMIT:
                if not self._full:
                    LOGGER.warning("more pairs fail; see the column `error` of the output")
                self._full = True
                return
            self.failures.append(failure)
            _log_failure(shard, pair_id, failure)


def escape_line(text: str) -> str:
    """Make untrusted text safe for one line of a log or terminal.

    Line ends and control codes are escaped; text beyond 1,000 characters is cut.
    """
    short = text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)


def last_line(text: str) -> str:
    r"""Return the last line of a message. In a traceback, this line names the error.

    Examples:
        >>> last_line("Traceback ...\n  File x.py\nroi_ray.errors.WeightsError: altered\n")
        'WeightsError: altered'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return escape_line(lines[-1].removeprefix("roi_ray.errors.")) if lines else "no reason is known"


def log_to_ray_file() -> None:
    """Log to a file among the node's Ray logs if this is a Ray task or actor; else do nothing."""
    ray = sys.modules.get("ray")
    if LOGGER.handlers or ray is None or not ray.is_initialized():
        return
    if ray.get_runtime_context().get_task_id() is None:  # the driver, which configures its own log
        return
    # Ray has no public API for this folder; Ray Data finds it in the same way.
    folder = ray._private.worker._global_node.get_logs_dir_path()
    path = os.path.join(folder, f"roi_ray-worker-{os.getpid()}.log")
    handler = _RayFileHandler(path, maxBytes=_FILE_BYTES, backupCount=1, delay=True)
    handler.setFormatter(logging.Formatter(_FORMAT))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    # Other handlers would write to standard error, which Ray copies to the driver.
    LOGGER.propagate = False


class _RayFileHandler(RotatingFileHandler):
    """The handler of a Ray process."""


def log_to_stderr(level: LogLevel | None = None) -> None:
    """Log to standard error in a command's process, above the progress bar if there is one.

    Args:
        level: lowest level that is logged; None for warnings on a terminal, which also shows a
            progress bar, and for all levels elsewhere.
    """
    if level is None:
        level = "warning" if sys.stderr.isatty() else "info"
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    LOGGER.handlers = [handler]
    LOGGER.setLevel(level.upper())


class _StderrHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # Looked up for each line, because a progress bar replaces `sys.stderr` while it is shown.
        print(self.format(record), file=sys.stderr, flush=True)
