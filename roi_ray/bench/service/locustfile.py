"""Clients of the service, for locust.

`roi-ray bench --service` runs this file by `python -m locust`, in a process of its own. Import it
nowhere else: locust replaces the standard library's sockets by gevent's.

Each client takes a reference that the service has not seen, sends it with the first of its images,
and names it by its hash with the others.
"""

import itertools
import json
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO, cast

import gevent
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser

from roi_ray.bench.service.requests import (
    CONTENT_TYPE,
    Answer,
    build_body,
    check_answer,
    mark_reference,
    name_by_hash,
    no_answer,
)
from roi_ray.bench.service.workload import SentReference, read_files

_references: list[SentReference] = []
_contents: dict[str, bytes] = {}
_numbers: Iterator[int] = itertools.count()
_running = 0


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_arguments(parser: LocustArgumentParser, **_: object) -> None:
    parser.add_argument("--files", required=True, help="JSON of the files to send")
    parser.add_argument("--answers", required=True, help="file for a line of JSON per request")
    parser.add_argument("--mark", required=True, help="text that makes the references new ones")
    parser.add_argument("--images", type=int, default=1, help="images per request")
    parser.add_argument("--references", type=int, default=0, help="of each client; 0: no limit")


@events.init.add_listener  # type: ignore[untyped-decorator]
def _read_files(environment: Environment, **_: object) -> None:
    _references.extend(read_files(Path(_options(environment).files)))
    for reference in _references:
        for path in (reference.path, *(image.path for image in reference.images)):
            _contents[path] = Path(path).read_bytes()


def _options(environment: Environment) -> Namespace:
    return cast(Namespace, environment.parsed_options)


class Client(FastHttpUser):
    """One client: it sends its next request when the last is answered."""

    max_retries = 0
    network_timeout = connection_timeout = 120.0

    def on_start(self) -> None:
        """Open the file of answers, and take a number."""
        global _running  # noqa: PLW0603  # of this process alone, and gevent does not interrupt
        _running += 1
        self.options = _options(self.environment)
        self.answers: TextIO = Path(self.options.answers).open("a")  # noqa: SIM115
        self.number = next(_numbers)
        self.turns = itertools.count()

    def on_stop(self) -> None:
        """End the run with the last client."""
        global _running  # noqa: PLW0603
        self.answers.close()
        _running -= 1
        if not _running and self.environment.runner is not None:
            gevent.spawn(self.environment.runner.quit)

    @task
    def score_reference(self) -> None:
        """Score all images of the next reference."""
        turn = next(self.turns)
        if self.options.references and turn >= self.options.references:
            raise StopUser
        reference = _references[(self.number + 5 * turn) % len(_references)]
        mark = f"{self.options.mark}-{self.number}-{turn}"
        content = mark_reference(_contents[reference.path], mark)
        for first in range(0, len(reference.images), self.options.images):
            images = reference.images[first : first + self.options.images]
            body = build_body(
                name_by_hash(content) if first else content,
                [(Path(image.path).name, _contents[image.path]) for image in images],
            )
            self._send(body, [image.scores for image in images], sent_reference=not first)

    def _send(self, body: bytes, expected: list[dict[str, Any]], sent_reference: bool) -> None:
        started, clock = time.monotonic(), time.perf_counter()
        with self.client.post(
            "/v1/score",
            data=body,  # type: ignore[arg-type]  # bytes are sent as they are
            headers={"Content-Type": CONTENT_TYPE},
            catch_response=True,
        ) as response:
            text = response.text or ""
            milliseconds = 1000 * (time.perf_counter() - clock)
            status = response.status_code  # 0 where the connection failed or timed out
            reason = str(getattr(response, "error", ""))
            answer = Answer(
                started,
                milliseconds,
                len(expected),
                sent_reference,
                **(check_answer(status, text, expected) if status else no_answer(reason)),
                client_seconds=time.process_time(),
            )
            if answer.error or answer.wrong:
                response.failure(answer.error or "wrong numbers")
        self.answers.write(json.dumps(asdict(answer)) + "\n")
