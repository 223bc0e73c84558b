"""Packages that an extra installs."""

import importlib.util
from collections.abc import Iterable

from roi_ray.errors import UsageError


def check_packages(names: Iterable[str], what: str, extras: str) -> None:
    """Check that modules are installed; loads none of them.

    Args:
        names: names of the modules.
        what: what needs them, for the message.
        extras: the extras of roi-ray that install them.

    Raises:
        UsageError: one is missing.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"{what} needs the package {name}: pip install 'roi-ray[{extras}]'")
