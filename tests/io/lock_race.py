"""Let processes race for output locks, one after the other: `lock_race.py PROCESSES URI...`.

Each process is forked with everything imported, looks at a lock once all others are ready to, and
holds what it gets until all have an answer. Prints a line per process and lock: "URI: won", or the
refusal.
"""

import functools
import multiprocessing
import os
import sys

from roi_ray.errors import OutputError
from roi_ray.io import lease, lock

SECONDS = 120


def main(processes: int, *uris: str) -> None:
    if uris[0].startswith("s3://"):
        from roi_ray.io import s3_lease  # once, before the processes are forked

        # A client per process, not one per lock: most of the time goes into making them.
        s3_lease.make_client = functools.cache(s3_lease.make_client)
        s3_lease.S3Lease.close = lambda _: None

    lock.TIMEOUT_SECONDS, lock._HEARTBEAT_SECONDS, lock._POLL_SECONDS = 60.0, 0.2, 0.1
    lease.CONFIRM_SECONDS = 0.3
    fork = multiprocessing.get_context("fork")
    ready, answered = fork.Barrier(processes), fork.Barrier(processes)

    class Racer(lock.OutputLock):
        def _take(self) -> None:
            ready.wait(SECONDS)
            super()._take()

    def race_for_all() -> None:
        for uri in uris:
            race(uri)

    def race(uri: str) -> None:
        try:
            with Racer(uri) as mine:
                answered.wait(SECONDS)
                mine.check()
                os.write(1, f"{uri}: won\n".encode())
        except OutputError as error:
            answered.wait(SECONDS)
            os.write(1, f"{error}\n".encode())

    racers = [fork.Process(target=race_for_all) for _ in range(processes)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
