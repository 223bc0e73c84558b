"""Send a load to the service by locust, in a process of its own, and read what came of it."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roi_ray.bench.service.options import Load
from roi_ray.bench.service.requests import Answer
from roi_ray.errors import RoiRayError
from roi_ray.runtime.logs import last_line

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_MARGIN_SECONDS = 180


@dataclass(frozen=True)
class LoadTurn:
    """What came of one turn of a load.

    Attributes:
        load: what was sent.
        answers: one per request.
        expected_requests: requests that were to be sent; None if that was not fixed.
    """

    load: Load
    answers: tuple[Answer, ...]
    expected_requests: int | None

    @property
    def seconds(self) -> float:
        """Seconds from the first request to the last answer."""
        ends = [answer.started + answer.milliseconds / 1000 for answer in self.answers]
        return max(ends) - min(answer.started for answer in self.answers)

    @property
    def pairs(self) -> int:
        """Pairs whose numbers came."""
        return sum(answer.images - answer.wrong for answer in self.answers if not answer.error)

    @property
    def pairs_per_s(self) -> float:
        """Pairs per second; the references' time counts."""
        return self.pairs / self.seconds

    @property
    def client_share(self) -> float:
        """CPU time of the clients' process, as a share of one CPU; 0 for a single request."""
        clocks = [answer.client_seconds for answer in self.answers]
        return (max(clocks) - min(clocks)) / self.seconds

    @property
    def lost(self) -> int:
        """Requests without an answer."""
        unsent = max(0, (self.expected_requests or 0) - len(self.answers))
        return unsent + sum(answer.lost for answer in self.answers)


def send_load(
    url: str,
    files: Path,
    folder: Path,
    load: Load,
    references: int,
    requests_per_reference: int,
    seconds: float,
) -> LoadTurn:
    """Send a load by locust.

    Args:
        url: where the service listens.
        files: what `write_files` wrote.
        folder: folder for the answers.
        load: what to send.
        references: references that each client scores; 0 for as many as `seconds` allow.
        requests_per_reference: requests that each of them takes.
        seconds: until clients begin with no more references.

    Raises:
        RoiRayError: locust failed, or nothing was answered.
    """
    mark = uuid.uuid4().hex
    answers, text = folder / f"{mark}.jsonl", folder / f"{mark}.log"
    command = [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), "--headless"]
    command += ["--host", url, "--users", str(load.clients), "--spawn-rate", str(load.clients)]
    command += ["--run-time", f"{max(1, round(seconds))}s", "--stop-timeout", "120"]
    command += ["--loglevel", "WARNING", "--exit-code-on-error", "0", "--only-summary"]
    command += ["--files", str(files), "--answers", str(answers), "--mark", mark]
    command += ["--images", str(load.images), "--references", str(references)]
    with text.open("w") as output:
        # Locust reads settings from the current folder and from LOCUST_ variables.
        process = subprocess.run(
            command,
            cwd=folder,
            env={k: v for k, v in os.environ.items() if not k.startswith("LOCUST_")},
            stdout=output,
            stderr=output,
            timeout=seconds + _MARGIN_SECONDS,
            check=False,
        )
    if process.returncode or not answers.is_file() or not answers.stat().st_size:
        raise RoiRayError(f"locust failed: {last_line(text.read_text())}")
    expected = load.clients * references * requests_per_reference
    return LoadTurn(load, read_answers(answers), expected or None)


def read_answers(path: Path) -> tuple[Answer, ...]:
    """Read the answers that the clients wrote, in the order in which the requests were sent."""
    answers: Sequence[Answer] = [
        Answer(**json.loads(line)) for line in path.read_text().splitlines()
    ]
    return tuple(sorted(answers, key=lambda answer: answer.started))
