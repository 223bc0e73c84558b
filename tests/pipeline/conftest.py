"""What tests of an output's lease share."""

import pytest

from roi_ray.pipeline import lease


@pytest.fixture
def hasty(monkeypatch) -> None:
    """A lease whose clock goes ten times faster."""
    for name, seconds in {"LASTS": 3.0, "_BEAT": 0.3, "_LOOK": 0.1, "_SETTLE": 0.1}.items():
        monkeypatch.setattr(lease, name, seconds)
