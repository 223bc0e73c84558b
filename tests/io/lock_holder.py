"""Hold an output lock: `lock_holder.py URI`; write a shard for each line of standard input."""

import sys

from roi_ray.errors import OutputError
from roi_ray.io import lease, lock, storage


def main(uri: str) -> None:
    lock.TIMEOUT_SECONDS, lock._HEARTBEAT_SECONDS, lock._POLL_SECONDS = 3.0, 0.3, 0.1
    lease.CONFIRM_SECONDS = 0.1
    try:
        with lock.OutputLock(uri) as mine:
            print("locked", flush=True)
            for name in sys.stdin:
                mine.check()
                storage.write_bytes(storage.join(uri.rsplit("/", 2)[0], name.strip()), b"scores")
                print("written", flush=True)
    except OutputError as error:
        print(error, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
