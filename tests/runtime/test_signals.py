import os
import signal
import sys

import pytest

from roi_ray.runtime.signals import hold_signals, keep_sigterm_handler


@pytest.fixture
def handler():
    """A handler of SIGTERM that ends with code 143."""

    def end(*_: object) -> None:
        sys.exit(143)

    before = signal.signal(signal.SIGTERM, end)
    yield end
    signal.signal(signal.SIGTERM, before)


def test_handler_is_installed_again_when_ray_has_replaced_it(handler) -> None:
    with keep_sigterm_handler():
        signal.signal(signal.SIGTERM, lambda *_: None)
    assert signal.getsignal(signal.SIGTERM) is handler


def test_process_without_a_handler_keeps_that_of_ray(handler) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with keep_sigterm_handler():
        signal.signal(signal.SIGTERM, handler)
    assert signal.getsignal(signal.SIGTERM) is handler


def test_signal_waits_while_memory_is_freed(handler) -> None:
    freed = []

    class Freed:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            freed.append(True)

    def free() -> None:
        with hold_signals():
            Freed()

    with pytest.raises(SystemExit, match="143"):
        free()
    assert freed
    assert signal.getsignal(signal.SIGTERM) is handler
