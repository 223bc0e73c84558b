"""Find files in installed Python packages."""

import importlib.util
from pathlib import Path


def find_package_folder(package: str) -> Path | None:
    """Find the folder of a package without importing it; None if it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
