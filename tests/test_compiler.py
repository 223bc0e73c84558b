import pytest
import torch

from roi_ray.compiler import compiled


def twice(x):
    return 2 * x


def test_what_cannot_be_compiled_runs_as_it_is_and_says_so_once(monkeypatch) -> None:
    calls = []

    def compile(function, **_: object):
        def fail(*_: object):
            calls.append(function)
            raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

        return fail

    monkeypatch.setattr(torch, "compile", compile)
    call = compiled.__wrapped__(twice)
    with pytest.warns(UserWarning, match="slower, as torch.compile fails: Failed to find C comp"):
        assert call(torch.ones(2)).tolist() == [2, 2]
    assert call(torch.ones(2)).tolist() == [2, 2]
    assert calls == [twice]


def test_too_little_memory_is_no_reason_to_do_without(monkeypatch) -> None:
    def compile(function, **_: object):
        def fail(*_: object):
            raise torch.OutOfMemoryError("CUDA out of memory")

        return fail

    monkeypatch.setattr(torch, "compile", compile)
    with pytest.raises(torch.OutOfMemoryError):
        compiled.__wrapped__(twice)(torch.ones(2))
