import pytest

from roi_ray.errors import ClusterError
from roi_ray.service.lifecycle import serve_state
from roi_ray.service.lifecycle.serve_state import State, Watch

RUNNING = State("RUNNING", "", has_all=True)
INCOMPLETE = State("UNHEALTHY", "Traceback ...\nOSError: the disk is full", has_all=False)


@pytest.fixture
def show(monkeypatch):
    """A function that sets the state of the application."""
    return lambda state: monkeypatch.setattr(serve_state, "read_state", lambda: state)


def test_a_process_that_is_replaced_is_one_warning(show, caplog) -> None:
    watch = Watch()
    for state in (RUNNING, INCOMPLETE, INCOMPLETE, RUNNING, INCOMPLETE):
        show(state)
        watch.check()
    assert [record.getMessage() for record in caplog.records] == 2 * [
        "the service is not complete: OSError: the disk is full"
    ]


def test_a_service_that_stays_incomplete_is_given_up(show, monkeypatch) -> None:
    watch = Watch()
    show(INCOMPLETE)
    watch.check()
    monkeypatch.setattr(serve_state, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(ClusterError, match="incomplete for 0 s: OSError: the disk is full"):
        watch.check()


@pytest.mark.parametrize("status", ["GONE", "DELETING", "NOT_STARTED"])
def test_a_service_that_was_deleted_has_ended(show, status) -> None:
    show(State(status, "", has_all=False))
    with pytest.raises(ClusterError, match="something else deleted it"):
        Watch().check()
