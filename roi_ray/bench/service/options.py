"""Options of the measurement of the service. Imports nothing heavy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Load:
    """What is sent to the service at a time.

    Attributes:
        clients: requests at a time; each client sends its next one when the last is answered.
        images: distorted images per request.
    """

    clients: int
    images: int


LOADS = tuple(Load(clients, images) for images in (1, 4) for clients in (1, 4, 16))
QUICK_LOADS = (Load(1, 1), Load(4, 4))
SOAK_LOADS = (Load(4, 1), Load(4, 4))


@dataclass(frozen=True)
class ServiceBenchOptions:
    """Options of one measurement of the service.

    Attributes:
        photographs: image files to measure on.
        size: height and width of the images in pixels.
        per_reference: distorted images per reference, K.
        threads: CPU threads of the bare scorer, and of the service's process that scores.
        rounds: number of rounds; in each, every load has a turn.
        minutes: duration of the soak that follows the rounds; 0 leaves it out.
        url: a service that runs already, whose memory is not measured; None to start one.
        turn_pairs: pairs of each turn, at least: every client scores whole references.
        loads: what is sent to the service, in turns.
        soak_loads: what the soak sends, in turns.
    """

    photographs: Sequence[Path]
    size: tuple[int, int]
    per_reference: int
    threads: int
    rounds: int
    minutes: float
    url: str | None = None
    turn_pairs: int = 96
    loads: Sequence[Load] = LOADS
    soak_loads: Sequence[Load] = SOAK_LOADS

    def references_per_client(self, load: Load) -> int:
        """Return the references that each client scores in a turn."""
        return max(1, -(-self.turn_pairs // (load.clients * self.per_reference)))
