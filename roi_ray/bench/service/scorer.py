"""The bare scorer, in a process of its own: what the service is compared with."""

import multiprocessing
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import torch

from roi_ray.bench.service.workload import SentReference
from roi_ray.errors import RoiRayError
from roi_ray.imaging.load import load_image
from roi_ray.runtime.memory import keep_freed_memory
from roi_ray.schema import Scores
from roi_ray.scoring.prepared import Prepared
from roi_ray.scoring.scorer import Scorer


@dataclass(frozen=True)
class ScorerTurn:
    """What the bare scorer took for some references and their images.

    Attributes:
        reference_seconds: seconds of each reference, decoded and prepared.
        pair_seconds: seconds of each image, decoded and scored.
    """

    reference_seconds: tuple[float, ...]
    pair_seconds: tuple[float, ...]

    @property
    def pairs_per_s(self) -> float:
        """Pairs per second; the references' time counts."""
        return len(self.pair_seconds) / (sum(self.reference_seconds) + sum(self.pair_seconds))


class BareScorer:
    """A process that decodes, prepares and scores as the service does, without the service.

    A context; the process ends with it.

    Args:
        threads: CPU threads.
    """

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, threads), daemon=True)
        self._process.start()
        other.close()

    def add_scores(self, references: Sequence[SentReference]) -> list[SentReference]:
        """Return the references with the scores of their images."""
        return cast(list[SentReference], self._ask("scores", references))

    def measure(self, references: Sequence[SentReference]) -> ScorerTurn:
        """Measure the references one after the other, each with all its images."""
        return cast(ScorerTurn, self._ask("measure", references))

    def _ask(self, question: str, references: Sequence[SentReference]) -> object:
        try:
            self._pipe.send((question, references))
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise RoiRayError("the bare scorer's process died; see its message above") from error

    def __enter__(self) -> "BareScorer":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join()


def _serve(pipe: Connection, threads: int) -> None:
    """Answer questions until the other end is closed."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    scorer = Scorer()
    with suppress(EOFError):
        while True:
            question, references = pipe.recv()
            if question == "scores":
                pipe.send([_add_scores(scorer, reference) for reference in references])
            else:
                pipe.send(_measure(scorer, references))


def _add_scores(scorer: Scorer, reference: SentReference) -> SentReference:
    prepared = _prepare(scorer, reference.path)
    images = [
        replace(image, scores=_score(scorer, prepared, image.path).to_dict())
        for image in reference.images
    ]
    return replace(reference, images=tuple(images))


def _measure(scorer: Scorer, references: Sequence[SentReference]) -> ScorerTurn:
    of_references, of_pairs = [], []
    for reference in references:
        started = time.perf_counter()
        prepared = _prepare(scorer, reference.path)
        of_references.append(time.perf_counter() - started)
        for image in reference.images:
            started = time.perf_counter()
            _score(scorer, prepared, image.path)
            of_pairs.append(time.perf_counter() - started)
    return ScorerTurn(tuple(of_references), tuple(of_pairs))


def _prepare(scorer: Scorer, path: str) -> Prepared:
    return scorer.prepare(load_image(Path(path).read_bytes()))


def _score(scorer: Scorer, prepared: Prepared, path: str) -> Scores:
    return scorer.score(prepared, [load_image(Path(path).read_bytes())])[0]
