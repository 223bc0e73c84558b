"""Fit scoring actors and decode tasks into the memory of a cluster's nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, product
from typing import NamedTuple

_ACTORS_PER_DECODER = 4
"""On a CPU, scoring takes more than ten times as long as decoding."""
_CHUNKS_AHEAD = 2
"""Chunks in the object store per actor and per decode task: one in work, one that waits."""
_FULL = 0.6
"""Share of the object store that chunks may fill: Ray spills at 0.8, and results need some too."""
_HEAP = 0.9
"""Share of a node's memory that is planned; the rest is Ray's own processes'."""


@dataclass(frozen=True)
class Demand:
    """Memory that the processes of a job need for images of one size, in bytes.

    Attributes:
        pixels: the size; larger images need more.
        scorer_base, decoder_base: a process that scores or decodes, before it sees an image.
        scoring, decoding: what it takes for images, on top of that; of the pixels, decoding
            includes those of the chunk that it makes, and scoring none.
        chunks: the chunks of decoded images that a scoring actor takes at a time.
        chunk_bytes: largest number of bytes of the distorted images of a chunk.
    """

    pixels: int
    scorer_base: int
    decoder_base: int
    scoring: int
    decoding: int
    chunks: int
    chunk_bytes: int

    @property
    def actor(self) -> int:
        """Bytes of a scoring actor."""
        return self.scorer_base + self.scoring

    @property
    def decoder(self) -> int:
        """Bytes of a decode task."""
        return self.decoder_base + self.decoding


class Node(NamedTuple):
    """A machine: places for actors, CPUs, and bytes for processes and for the object store."""

    slots: int
    cpus: int
    memory: int
    object_store: int


class Fit(NamedTuple):
    """Numbers of processes that fit, all together, and what each needs."""

    actors: int
    decoders: int
    demand: Demand


def fit_workers(
    nodes: Sequence[Node], demands: Sequence[Demand], actors: int | None = None
) -> Fit | None:
    """Find how many processes the nodes hold.

    Args:
        nodes: the machines.
        demands: from the largest images to the smallest; for images of one size, from large chunks
            to small ones.
        actors: number of actors that must fit; None for as many as fit, and at least one.

    Returns:
        the largest images for which that many actors fit; of those, the most actors, and then the
        largest chunks. None if not even the smallest demand fits.
    """
    for _, group in groupby(demands, lambda demand: demand.pixels):
        fits = []
        for demand in group:
            counts = [_fill(node, demand) for node in nodes]
            fits.append(Fit(sum(n for n, _ in counts), sum(n for _, n in counts), demand))
        best = max(fits, key=lambda fit: min(fit.actors, actors or fit.actors))
        if best.actors >= (actors or 1):
            return best
    return None


def fit_process(
    available: int, demands: Sequence[Demand], decoders: int
) -> tuple[Demand | None, int]:
    """Find what one process that scores, and decodes in threads ahead of it, has memory for.

    Args:
        available: bytes that the process may take.
        demands: from the largest to the smallest.
        decoders: largest number of threads that decode ahead.

    Returns:
        the largest demand that fits, the smallest if none does, and the number of threads: 0 if
        there is memory for one chunk only, even a small one. Without demands, None and all threads.
    """
    for _, group in groupby(demands, lambda demand: demand.pixels):
        fits = []
        for demand in group:
            # Each thread has a chunk ready, or is making it; one more is being scored.
            free = _HEAP * available - demand.actor - demand.chunks
            threads = min(decoders, int(free // demand.decoding) - 1)
            if threads >= 0:
                fits.append((demand, threads))
        if fits:
            return max(fits, key=lambda fit: fit[1] > 0)
    return (demands[-1], 0) if demands else (None, decoders)


def _store_bytes(actors: int, decoders: int, demand: Demand) -> int:
    """Return the size of an object store that holds the chunks of these processes."""
    return int(_CHUNKS_AHEAD * (actors + decoders) * demand.chunks / _FULL)


def choose_object_store(available: int, cpus: int, demands: Sequence[Demand]) -> int | None:
    """Return the size of a new object store with which most actors fit into a machine.

    Args:
        available: bytes for processes and the object store together.
        cpus: number of CPUs.
        demands: from the largest to the smallest.

    Returns:
        bytes; None if no actor fits.
    """
    for _, images in groupby(demands, lambda demand: demand.pixels):
        for actors, demand in product(range(cpus, 0, -1), list(images)):
            store = _store_bytes(actors, _decoders_for(actors), demand)
            node = Node(actors, cpus, available - store, store)
            if _fill(node, demand)[0] == actors:
                return store
    return None


def _fill(node: Node, demand: Demand) -> tuple[int, int]:
    """Return how many actors and decode tasks fit into a node; both 0 if not one of each does."""

    def fits(actors: int, decoders: int) -> bool:
        memory = actors * demand.actor + decoders * demand.decoder
        store = _store_bytes(actors, decoders, demand)
        return memory <= _HEAP * node.memory and store <= node.object_store

    for actors in range(node.slots, 0, -1):
        decoders = _decoders_for(actors)
        if fits(actors, decoders):
            while decoders < node.cpus and fits(actors, decoders + 1):
                decoders += 1
            return actors, decoders
    return 0, 0


def _decoders_for(actors: int) -> int:
    return -(-actors // _ACTORS_PER_DECODER)
