import importlib.util
import shutil

from roi_ray.runtime.triton import has_triton


def test_has_triton_needs_triton_and_a_c_compiler(monkeypatch) -> None:
    uncached = has_triton.__wrapped__
    with monkeypatch.context() as without:
        without.setattr(shutil, "which", lambda _: None)
        assert uncached() is False
    with monkeypatch.context() as without:
        without.setattr(importlib.util, "find_spec", lambda _: None)
        assert uncached() is False
    assert uncached() is has_triton()
