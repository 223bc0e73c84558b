"""The files that pages load, at URLs that change with their content."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

ASSETS = Path(__file__).with_name("assets")

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class StaticFile:
    """A file that pages load.

    Attributes:
        content: its bytes.
        media_type: its `Content-Type`.
    """

    content: bytes
    media_type: str


class StaticFiles:
    """The style sheets, scripts and pictures of a folder, in memory.

    They share one hash in their URLs, so that scripts import each other by relative names.

    Args:
        folder: the folder; files of other types, such as templates, are not served.

    Attributes:
        version: hash of all names and contents.

    Examples:
        >>> files = StaticFiles(ASSETS)
        >>> files.url("base.css") == f"/static/{files.version}/base.css"
        True
    """

    def __init__(self, folder: Path) -> None:
        self._files = {
            entry.name: StaticFile(Path(entry).read_bytes(), _TYPES[Path(entry).suffix])
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
            if entry.is_file() and Path(entry).suffix in _TYPES
        }
        digest = hashlib.sha256()
        for name, file in self._files.items():
            digest.update(f"{name}\0{len(file.content)}\0".encode() + file.content)
        self.version = digest.hexdigest()[:16]

    def find(self, version: str, name: str) -> StaticFile | None:
        """Return a file; None if there is none of this version."""
        return self._files.get(name) if version == self.version else None

    def url(self, name: str) -> str:
        """Return the path of a file.

        Raises:
            KeyError: there is no such file.
        """
        if name not in self._files:
            raise KeyError(f"no file {name} in the assets")
        return f"/static/{self.version}/{name}"
