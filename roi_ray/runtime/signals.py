"""SIGTERM and Control-C while Ray starts and ends in this process."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keep_sigterm_handler() -> Iterator[None]:
    """Install Python's handler of SIGTERM again, which Ray replaces when it starts.

    Ray's own prints a native stack, and aborts the process if its end takes longer than three
    seconds. A process without a handler keeps the one that Ray installs in Python.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        handler = before if callable(before) else signal.getsignal(signal.SIGTERM)
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and handler is not None:  # None is one that C code has installed
            signal.signal(signal.SIGTERM, handler)


@contextmanager
def hold_signals() -> Iterator[None]:
    """Let SIGTERM and Control-C wait: what they raise while memory is freed is printed and lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    numbers = [n for n in (signal.SIGTERM, signal.SIGINT) if callable(signal.getsignal(n))]
    before = {n: signal.signal(n, lambda number, _: held.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])
