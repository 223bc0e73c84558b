"""Write the answers of a study to its output, again and again while it runs."""

import threading
from types import TracebackType

from roi_ray.errors import OutputError, StorageError
from roi_ray.io.lock import OutputLock
from roi_ray.runtime.logs import LOGGER, last_line
from roi_ray.votes.store.export import write_export
from roi_ray.votes.study import Study
from roi_ray.web.defects import log_defect

_PATIENCE = 5.0
"""Seconds that the last export may take before a line says what is waited for."""


class Exports:
    """Writes the answers in a thread of its own, as long as the `with` block runs, and at its end.

    Args:
        study: the study.
        output: URI of the folder for `comparisons.parquet` and `raters.parquet`.
        lock: the lock of the output.
        seconds: time between two exports; nothing is written where there is no new answer.

    Raises:
        OutputError: at the end: the last export failed; the answers are in the database.
    """

    def __init__(self, study: Study, output: str, lock: OutputLock, seconds: float) -> None:
        self._study, self._output, self._lock, self._seconds = study, output, lock, seconds
        self._written = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._export_regularly, daemon=True)

    def __enter__(self) -> "Exports":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        text = "the study is closed, and still writes its answers to %s"
        waiting = threading.Timer(_PATIENCE, LOGGER.warning, (text, self._output))
        waiting.daemon = True
        waiting.start()
        self._ends.set()
        self._thread.join()
        try:
            self._export()
        except (OutputError, StorageError) as failure:
            if error is not None:  # that error says why the study ends
                LOGGER.error("the answers were not written: %s", last_line(str(failure)))
                return
            raise OutputError(
                f"the answers could not be written to {self._output}: {failure}; they are safe in "
                "the study's database: run the same command again to write them"
            ) from failure
        finally:
            waiting.cancel()

    def _export_regularly(self) -> None:
        while not self._ends.wait(self._seconds):
            try:
                self._export()
            except (OutputError, StorageError) as error:
                LOGGER.warning("the answers are not written yet: %s", last_line(str(error)))
            except Exception as error:  # the next export may succeed
                log_defect("the answers are not written yet", error)

    def _export(self) -> None:
        if self._study.answers == self._written:
            return
        answers = self._study.read_answers()
        self._lock.check()
        write_export(self._output, self._study.questions.table, answers)
        self._written = len(answers)
