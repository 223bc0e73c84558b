import pytest

from roi_ray.runtime import compiled


@pytest.fixture(params=["kernels", "torch"])
def path(request, monkeypatch) -> str:
    """Run a test with kernels, and with torch as where numba cannot compile."""
    if request.param == "torch":
        monkeypatch.setattr(compiled, "can_compile", lambda: False)
    else:
        assert compiled.can_compile()
    return request.param
