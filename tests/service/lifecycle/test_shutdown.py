import os
import signal

from roi_ray.service.lifecycle.shutdown import catch_signals


def test_signals_are_counted_and_end_nothing_until_the_context_is_left() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with catch_signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        signals.wait(60)
        assert signals.count == 1
        os.kill(os.getpid(), signal.SIGINT)
        signals.wait(60)
        assert signals.count == 2
        signals.wait(0)  # none is left to wait for
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
