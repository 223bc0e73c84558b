"""Which files a manifest may have opened.

Manifests come from other people. One that names `file:///etc/passwd`, `http://169.254.169.254/` or
`../../secrets.png` shall not make a job, with its rights and its place in a network, open them.
"""

import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from roi_ray.errors import NotAllowed
from roi_ray.io import storage


@dataclass(frozen=True)
class Allowlist:
    """What may be opened: files below some folders.

    Attributes:
        prefixes: folders, local or `s3://`, absolute.
    """

    prefixes: tuple[str, ...]

    def check(self, uri: str) -> None:
        """Check that a URI may be opened.

        Symbolic links are followed first: where a file is counts, not what it is called.

        Raises:
            NotAllowed: it is below none of the folders.
        """
        if self.allows(uri):
            return
        if "://" in uri and not uri.startswith(("s3://", "file:///")):
            raise NotAllowed("only local paths, file:/// and s3:// can be opened, spelled so")
        raise NotAllowed(
            f"not below {' or '.join(self.prefixes)}; if that is where it should be, name its "
            "folder with --allow-prefix"
        )

    def allows(self, uri: str) -> bool:
        """Whether it is below one of the folders."""
        place = _place(uri)
        return any(_is_below(place, prefix) for prefix in map(_place, self.prefixes))


def build_allowlist(base: str, more: Iterable[str] = ()) -> Allowlist:
    """What is below a manifest's own folder, and below others that its user names."""
    return Allowlist(tuple(dict.fromkeys(storage.absolute(prefix) for prefix in (base, *more))))


def _place(uri: str) -> str:
    """Where a URI leads: `..` and links resolved; of an object store, by name alone."""
    if "://" in uri and not uri.startswith("file://"):
        scheme, path = uri.split("://", 1)
        return f"{scheme}://{posixpath.normpath(path)}"
    return os.path.realpath(storage.locate(uri)[1])


def _is_below(place: str, prefix: str) -> bool:
    return place == prefix or place.startswith(prefix.rstrip("/") + "/")
