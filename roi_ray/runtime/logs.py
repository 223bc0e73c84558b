"""The lines of the logger `roi_ray`: which pair failed, which shard was committed, in one place.

In a decode task and in a scoring actor they go to a file among Ray's logs of that node,
`roi_ray-worker-PID.log`, which Ray does not copy to the driver: a manifest may have a million bad
rows. On the driver they go wherever its program sends its log; jobs send it to standard error.
"""

import logging
import os
import sys
from collections.abc import Iterable
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from roi_ray.schema import Failure  # at run time it would bring pyarrow

LogLevel = Literal["info", "warning", "error"]

LOGGER = logging.getLogger("roi_ray")

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FILE_BYTES = 64 << 20  # twice that is the most that a process leaves on its node's disk
_LONGEST = 1000


def log_failures(shard: int, pair_ids: Iterable[str], failures: "Iterable[Failure | None]") -> None:
    """Log the pairs that failed, one line each."""
    for pair_id, failure in zip(pair_ids, failures, strict=True):
        if failure is not None:
            line = escape_line(str(failure))
            LOGGER.warning("shard %d, pair %s: %s", shard, escape_line(pair_id), line)


class FirstFailures:
    """Logs the first failed pairs of a job on its driver, and says where to find the others.

    Attributes:
        failures: why the logged pairs failed.
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
                    LOGGER.warning(
                        "more pairs fail; see the column `error` of the output, and "
                        "roi_ray-worker-*.log among the Ray logs of each node"
                    )
                self._full = True
                return
            self.failures.append(failure)
            log_failures(shard, [pair_id], [failure])


def escape_line(text: str) -> str:
    """Foreign text as it may stand in a log or on a terminal: no line ends, no control codes."""
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def log_to_ray_file() -> None:
    """In a process that works for Ray: log to a file of its own among Ray's logs."""
    ray = sys.modules.get("ray")
    if LOGGER.handlers or ray is None or not ray.is_initialized():
        return
    if ray.get_runtime_context().get_task_id() is None:  # the driver, whose log is its own affair
        return
    # Ray has no public word for the folder; Ray Data finds it in the same way.
    folder = ray._private.worker._global_node.get_logs_dir_path()
    path = os.path.join(folder, f"roi_ray-worker-{os.getpid()}.log")
    handler = RotatingFileHandler(path, maxBytes=_FILE_BYTES, backupCount=1, delay=True)
    handler.setFormatter(logging.Formatter(_FORMAT))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    # Whatever else there is ends on standard error, which Ray copies to the driver.
    LOGGER.propagate = False


def log_to_stderr(level: LogLevel | None = None) -> None:
    """In a job's own process: log to standard error, above a progress bar where there is one.

    Args:
        level: None for warnings on a terminal, which has a progress bar, and all that there is in
            a log.
    """
    if level is None:
        level = "warning" if sys.stderr.isatty() else "info"
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    LOGGER.handlers = [handler]
    LOGGER.setLevel(level.upper())


class _StderrHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # `sys.stderr` is looked up anew: while a progress bar is shown it is the bar's.
        print(self.format(record), file=sys.stderr, flush=True)
