"""A study of photographs in a process of its own, which tests kill and start again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray.votes.store.store import Store
from roi_ray.votes.study_files import FOLDER
from tests.conftest import Photos, encode, write
from tests.ports import free_ports

PRACTICE, QUESTIONS = 2, 20
_QUALITIES = (12, 20, 32, 50)
_RUN = """
import dataclasses, json, os, sys, threading
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.run import Access, Address, StudyFiles, run_study

# It ends with the tests, however they end.
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
folder, port, invitations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
run_study(
    StudyFiles(f"{folder}/answers", comparisons=f"{folder}/comparisons.parquet"),
    VoteOptions(training=%d, questions_per_rater=%d),
    Address(port=port),
    Access(invitations=invitations, raters=100),
    announce=lambda opening: print(json.dumps(dataclasses.asdict(opening)), flush=True),
)
"""


def write_questions(photos: Photos, folder: Path) -> None:
    """Write comparisons of JPEG files of six photographs; two per photograph are gold questions."""
    rows: list[dict[str, Any]] = []
    for name, pixels in photos.items():
        reference = write(folder / f"{name}.png", encode(pixels))
        for quality in (5, *_QUALITIES, 90, 95):
            write(folder / f"{name}-{quality}.jpg", encode(pixels, "JPEG", quality=quality))
        pairs = [(a, b, None) for a, b in combinations(_QUALITIES, 2)]
        for a, b, p_a in [*pairs, (95, 5, 1.0), (5, 90, 0.0)]:
            images = {"a": f"{name}-{a}.jpg", "b": f"{name}-{b}.jpg"}
            gold = p_a is not None
            rows.append({"reference": reference, **images, "p_a": p_a, "gold": gold})
    pq.write_table(pa.Table.from_pylist(rows), folder / "comparisons.parquet")


class StudyProcess:
    """`roi-ray vote` on a port that stays the same when it is started again.

    Args:
        photos: photographs that people are asked about.
        folder: where questions and answers are kept.
    """

    def __init__(self, photos: Photos, folder: Path) -> None:
        self._folder, self._port = folder, free_ports(1)[0]
        self._process: subprocess.Popen[str] | None = None
        write_questions(photos, folder)
        self.link: str = self.start(invitations=1)["links"][0]
        self.url = self.link.split("/join/")[0]

    def start(self, invitations: int = 0) -> dict[str, Any]:
        """Start it; return what it says when people can come."""
        code = _RUN % (PRACTICE, QUESTIONS)
        arguments = [str(self._folder), str(self._port), str(invitations)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        opening: dict[str, Any] = json.loads(self._process.stdout.readline())
        return opening

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to it and its children, and wait for its end."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()

    def read_answers(self) -> dict[str, Any]:
        """Return the stored answers by the id of the vote; fails if there are two of one id."""
        store = Store(str(self._folder / "answers" / FOLDER / "study.sqlite"))
        try:
            answers = store.read_answers()
        finally:
            store.close()
        by_id = {answer.vote.id: answer for answer in answers}
        assert len(by_id) == len(answers)
        return by_id
