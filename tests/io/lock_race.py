"""Let processes race for an output lock: `lock_race.py URI PROCESSES`.

Each process is forked with everything imported, looks at the lock once all others are ready to, and
holds what it gets until all have an answer. Prints a line per process: "won", or the refusal.
"""

import multiprocessing
import os
import sys

from roi_ray.errors import OutputError
from roi_ray.io import lease, lock

SECONDS = 120


def main(uri: str, processes: int) -> None:
    if uri.startswith("s3://"):
        import roi_ray.io.s3_lease  # noqa: F401  # once, before the processes are forked

    lock.TIMEOUT_SECONDS, lock._HEARTBEAT_SECONDS, lock._POLL_SECONDS = 5.0, 0.2, 0.1
    lease.CONFIRM_SECONDS = 0.3
    fork = multiprocessing.get_context("fork")
    ready, answered = fork.Barrier(processes), fork.Barrier(processes)

    class Racer(lock.OutputLock):
        def _take(self) -> None:
            ready.wait(SECONDS)
            super()._take()

    def race() -> None:
        try:
            with Racer(uri) as mine:
                answered.wait(SECONDS)
                mine.check()
                os.write(1, b"won\n")
        except OutputError as error:
            answered.wait(SECONDS)
            os.write(1, f"{error}\n".encode())

    racers = [fork.Process(target=race) for _ in range(processes)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
