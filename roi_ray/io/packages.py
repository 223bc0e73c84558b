"""Find files that installed Python packages carry."""

import importlib.util
from pathlib import Path


def find_package_folder(package: str) -> Path | None:
    """Returns the folder of an installed package without importing it; None if not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
