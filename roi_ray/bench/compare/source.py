"""Source trees: which one this process runs, and how to get that of an earlier run."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import roi_ray
from roi_ray.errors import UsageError
from roi_ray.scoring.version import SCORING_VERSION

_PACKAGE = Path(roi_ray.__file__).resolve().parent


@dataclass(frozen=True)
class Source:
    """A tree of source code.

    Attributes:
        name: what it is called in tables.
        folder: folder that contains the package `roi_ray`.
    """

    name: str
    folder: Path


def describe_source() -> dict[str, Any]:
    """Describe the code that this process runs, so that a later run can find it.

    Returns:
        `version` of the package, `scoring_version`, and, if git tracks the package, `commit` (the
        full hash) and `dirty`: whether files of the package differ from that commit.

    Examples:
        >>> describe_source()["version"]
        '0.1.0'
    """
    commit, dirty = None, None
    if _find_repository() is not None:
        commit = _git("rev-parse", "HEAD").decode().strip()
        dirty = bool(_git("status", "--porcelain", "--", _PACKAGE.name).strip())
    return {
        "version": roi_ray.__version__,
        "scoring_version": SCORING_VERSION,
        "commit": commit,
        "dirty": dirty,
    }


def current_source() -> Source:
    """Return the tree of the code that this process runs."""
    return Source("today", _PACKAGE.parent)


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """Open a source tree.

    Args:
        name: a folder that contains the package `roi_ray` (a checkout, an unpacked archive, a
            `site-packages`), or a commit of the repository that this package is part of, whose
            files are unpacked into a temporary folder.

    Raises:
        UsageError: it is neither.
    """
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "roi_ray" / "__init__.py").is_file():
            raise UsageError(f"{name} contains no package roi_ray")
        yield Source(name, folder.resolve())
        return
    if _find_repository() is None:
        raise UsageError(
            f"{name!r} is no folder, and {_PACKAGE} is not part of a git repository that could "
            "have such a commit; name a folder with --compare-source"
        )
    commit = _resolve_commit(name)
    with TemporaryDirectory(prefix="roi-ray-") as unpacked:
        try:
            archive = _git("archive", commit, _PACKAGE.name)
        except subprocess.CalledProcessError as error:
            raise UsageError(f"commit {name} contains no package {_PACKAGE.name}") from error
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(unpacked, filter="data")
        yield Source(f"commit {commit[:10]}", Path(unpacked))


def _resolve_commit(name: str) -> str:
    try:
        return _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
    except subprocess.CalledProcessError as error:
        raise UsageError(
            f"{name!r} is no folder, and no commit of the repository of {_PACKAGE}; fetch it, or "
            "name a folder with --compare-source"
        ) from error


def _find_repository() -> Path | None:
    """Return the folder of the package if git tracks it; None without git or a repository."""
    try:
        _git("ls-files", "--error-unmatch", f"{_PACKAGE.name}/__init__.py")
    except (subprocess.CalledProcessError, OSError):
        return None
    return _PACKAGE.parent


def _git(*arguments: str) -> bytes:
    command = ["git", "--no-optional-locks", "-C", str(_PACKAGE.parent), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout
