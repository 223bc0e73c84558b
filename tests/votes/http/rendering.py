"""Functions that take the place of `render_picture`. Imports little: other processes load it."""

import os
import signal
from pathlib import Path

from roi_ray.errors import StorageUnavailable
from roi_ray.votes.http.images.pictures import Picture, Window, render_picture

DEADLY = b"kills its decoder"


def die_of_deadly_file(uri: str, window: Window, max_pixels: int, allowlist: object) -> Picture:
    """Render a picture, but die of a file that says so, as its decoder would."""
    if Path(uri).exists() and Path(uri).read_bytes() == DEADLY:
        os.kill(os.getpid(), signal.SIGSEGV)
    return render_picture(uri, window, max_pixels, allowlist)


def fail_to_read(*_: object) -> Picture:
    """Fail as a storage does that does not answer."""
    raise StorageUnavailable("s3://secret-bucket/x.png: slow down")
