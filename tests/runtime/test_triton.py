import importlib.util
import shutil

from roi_ray.runtime.triton import has_triton


def test_kernels_need_triton_and_a_c_compiler(monkeypatch) -> None:
    look = has_triton.__wrapped__  # it looks once
    with monkeypatch.context() as without:
        without.setattr(shutil, "which", lambda _: None)
        assert look() is False
    with monkeypatch.context() as without:
        without.setattr(importlib.util, "find_spec", lambda _: None)
        assert look() is False
    assert look() is has_triton()
