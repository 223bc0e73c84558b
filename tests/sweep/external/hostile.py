"""An encoder that does what no encoder should, and checks that nothing of it remains."""

import os
import stat
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from roi_ray.sweep.external import make_external_codec
from roi_ray.sweep.external.codec import ExternalCodec

SCRIPT = r"""#!/bin/sh
what=$1 in=$2 out=$3
case $what in
copy) cp "$in" "$out" ;;
hang) trap '' TERM INT HUP; touch "$started"; while :; do sleep 1; done ;;
nothing) ;;
elsewhere) cp "$in" "$out.tmp" ;;
empty) : > "$out" ;;
rubbish) echo rubbish > "$out" ;;
gigabyte) head -c 1000000000 /dev/zero >&2; exit 7 ;;
children)
    sleep 100 & setsid sleep 100 & setsid sh -c 'trap "" TERM; sleep 100 & sleep 100' &
    (setsid sh -c 'setsid sleep 100 &' &)
    cp "$in" "$out" ;;
hanging_children) setsid sleep 100 & setsid sh -c 'sleep 100 & sleep 100' & sleep 100 ;;
signal) printf 'about to \033[1mcrash\n' >&2; kill -SEGV $$ ;;
code) echo 'bad option' >&2; exit 3 ;;
only_stdout) echo 'bad option'; exit 3 ;;
huge) exec head -c 3000000 /dev/zero > "$out" ;;
hole) truncate -s 1T "$out" || exit 5 ;;
folder) mkdir "$out" ;;
link) ln -s "$precious" "$out" ;;
pipe) mkfifo "$out" ;;
delete) rm -rf "$PWD" ;;
replace) cd /; rm -rf "$TMPDIR"; ln -s "$(dirname "$precious")" "$TMPDIR" ;;
forbid) mkdir sub; cp "$in" sub; chmod 0 sub; cp "$in" "$out" ;;
stdin) cat > "$out" ;;
kill_launcher) setsid sleep 100 & kill -KILL $PPID; sleep 100 ;;
stop_launcher) setsid sleep 100 & kill -TERM $PPID; sleep 100 ;;
memory) python3 -c 'x = bytearray(150 << 20)'; cp "$in" "$out" ;;
memory_for_long) python3 -c 'import time; x = bytearray(150 << 20); time.sleep(100)' ;;
time) python3 -c '
import time
while time.process_time() < 0.3: pass' & wait; cp "$in" "$out" ;;
fill) head -c 300000 /dev/zero > "$out"; exit 0 ;;
esac
"""


class Hostile:
    """The script, in a folder, and codecs that run it."""

    def __init__(self, folder: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.precious = folder / "precious" / "file"
        self.precious.parent.mkdir()
        self.precious.write_text("precious")
        self.started = folder / "started"
        self.script = folder / "hostile.sh"
        self.script.write_text(SCRIPT)
        self.script.chmod(self.script.stat().st_mode | stat.S_IXUSR)

    def table(self, what: str, **changes: object) -> dict[str, object]:
        environment = {"MARK": self.mark, "precious": str(self.precious)}
        return {
            "encode": [str(self.script), what, "{in}", "{out}", "{quality}"],
            "suffix": ".png",
            "environment": environment | {"started": str(self.started)},
            **changes,
        }

    def codec(self, what: str, **changes: object) -> ExternalCodec:
        return make_external_codec("mine", self.table(what, **changes))

    def processes(self) -> list[int]:
        """Return the processes that the script has started and that still run."""
        mark = f"MARK={self.mark}".encode()
        running = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in variables:
                running.append(int(pid))
        return running

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)
