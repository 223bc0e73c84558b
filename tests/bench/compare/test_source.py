import shutil
import subprocess

import pytest

from roi_ray.bench.compare import source
from roi_ray.bench.compare.source import describe_source, open_source
from roi_ray.errors import UsageError

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a package in a folder of its own that takes the place of this one."""
    package = tmp_path / "checkout" / "roi_ray"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("first")
    monkeypatch.setattr(source, "_PACKAGE", package)
    # A repository that the temporary folder may lie in is not this package's.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return package


def git(package, *arguments) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    command = ["git", "-C", str(package.parent), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def commit(package):
    git(package, "init", "--quiet")
    git(package, "add", ".")
    git(package, "commit", "--quiet", "--message", "first")
    return git(package, "rev-parse", "HEAD")


@needs_git
def test_the_files_of_a_commit_are_found_again(package, commit) -> None:
    assert (describe_source()["commit"], describe_source()["dirty"]) == (commit, False)
    (package / "__init__.py").write_text("second")
    assert describe_source()["dirty"]
    with open_source(commit[:12]) as tree:
        assert tree.name == f"commit {commit[:10]}"
        assert (tree.folder / "roi_ray" / "__init__.py").read_text() == "first"
    assert not tree.folder.exists()


@needs_git
def test_unknown_commit_is_one_line(package, commit) -> None:
    with (
        pytest.raises(UsageError, match="'1234567' is no folder, and no commit"),
        open_source("1234567"),
    ):
        pass


@needs_git
def test_commit_without_the_package_is_one_line(package, commit) -> None:
    git(package, "mv", package.name, "other")
    git(package, "commit", "--quiet", "--message", "second")
    git(package, "mv", "other", package.name)
    with (
        pytest.raises(UsageError, match="commit HEAD contains no package roi_ray"),
        open_source("HEAD"),
    ):
        pass


def test_package_without_a_repository_has_no_commit(package) -> None:
    assert describe_source()["commit"] is describe_source()["dirty"] is None
    with pytest.raises(UsageError, match="is not part of a git repository"), open_source("1234567"):
        pass


def test_folder_needs_the_package(package, tmp_path) -> None:
    with open_source(str(package.parent)) as tree:
        assert tree.folder == package.parent
    with pytest.raises(UsageError, match="contains no package roi_ray"), open_source(str(tmp_path)):
        pass
