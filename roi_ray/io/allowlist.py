"""Restrict which files a manifest may open.

Manifests come from other people. A manifest that names `file:///etc/passwd`,
`http://169.254.169.254/` or `../../secrets.png` must not make a job open them with its own rights
and from its own network.
"""

import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from roi_ray.errors import NotAllowed
from roi_ray.io import storage
from roi_ray.io.uris import REMOTE


@dataclass(frozen=True)
class Allowlist:
    """Folders whose files may be opened, with all folders below them.

    Attributes:
        prefixes: absolute URIs of the folders, local or remote.
    """

    prefixes: tuple[str, ...]

    def check(self, uri: str) -> None:
        """Check that a URI may be opened. Symbolic links are followed first.

        Raises:
            NotAllowed: the file is below none of the folders.
        """
        if self.allows(uri):
            return
        if "://" in uri and not uri.startswith((*REMOTE, "file:///")):
            raise NotAllowed(
                "only local paths, file:///, s3://, gs:// and az:// can be opened, in lower case"
            )
        raise NotAllowed(
            f"not below {' or '.join(self.prefixes)}; to allow it, name its folder with "
            "--allow-prefix"
        )

    def allows(self, uri: str) -> bool:
        """Return whether a URI is below one of the folders."""
        target = _real_location(uri)
        return any(_is_below(target, folder) for folder in map(_real_location, self.prefixes))


def build_allowlist(base: str, more: Iterable[str] = ()) -> Allowlist:
    """Build an allowlist of a manifest's folder and of the folders that its user names."""
    return Allowlist(tuple(dict.fromkeys(storage.absolute(prefix) for prefix in (base, *more))))


def _real_location(uri: str) -> str:
    """Return an absolute URI without `..`; local paths also without symbolic links."""
    if "://" in uri and not uri.startswith("file://"):
        scheme, path = uri.split("://", 1)
        return f"{scheme}://{posixpath.normpath(path)}"
    return os.path.realpath(storage.local_path(uri))


def _is_below(location: str, folder: str) -> bool:
    return location == folder or location.startswith(folder.rstrip("/") + "/")
