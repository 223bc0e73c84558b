"""Processes that vote."""

import os
import subprocess
import sys
from pathlib import Path

VOTER = Path(__file__).with_name("voter.py")
_ROOT = Path(__file__).parents[3]


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start Python with arguments; what it prints is read from its `stdout`."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
    )
