from types import SimpleNamespace

import pytest
import ray

from roi_ray.errors import ClusterError
from roi_ray.service.lifecycle import serve_state
from roi_ray.service.lifecycle.serve_state import State, Watch, read_state

RUNNING = State("RUNNING", "", has_all=True)
INCOMPLETE = State("UNHEALTHY", "Traceback ...\nOSError: the disk is full", has_all=False)


@pytest.fixture
def show(monkeypatch):
    """A function that sets the state of the application."""
    return lambda state: monkeypatch.setattr(serve_state, "read_state", lambda: state)


@pytest.fixture
def answer(monkeypatch):
    """A function that sets what Serve's controller answers, or the error of the question."""

    def set_answer(answer):
        def get(_, timeout):
            assert timeout > 0
            if isinstance(answer, Exception):
                raise answer
            return answer

        details = SimpleNamespace(remote=lambda: None)
        controller = SimpleNamespace(get_serve_instance_details=details)
        monkeypatch.setattr(serve_state, "find_controller", lambda: controller)
        monkeypatch.setattr(ray, "get", get)

    return set_answer


def test_a_process_that_is_replaced_is_one_warning(show, caplog) -> None:
    watch = Watch()
    for state in (RUNNING, INCOMPLETE, INCOMPLETE, RUNNING, INCOMPLETE):
        show(state)
        assert watch.check() is None
    assert [record.getMessage() for record in caplog.records] == 2 * [
        "the service is not complete: OSError: the disk is full"
    ]


def test_a_service_that_stays_incomplete_is_given_up(show, monkeypatch) -> None:
    watch = Watch()
    show(INCOMPLETE)
    assert watch.check() is None
    monkeypatch.setattr(serve_state, "_PATIENCE_SECONDS", 0.0)
    problem = watch.check()
    assert problem == "the service has been incomplete for 0 s: OSError: the disk is full"


@pytest.mark.parametrize("status", ["GONE", "DELETING", "NOT_STARTED"])
def test_a_service_that_was_deleted_has_ended(show, status) -> None:
    show(State(status, "", has_all=False))
    with pytest.raises(ClusterError, match="something else deleted it"):
        Watch().check()


@pytest.mark.parametrize(
    "error",
    [
        ray.exceptions.ActorUnavailableError("it is started again", None),
        ray.exceptions.GetTimeoutError("20 s"),
    ],
)
def test_a_controller_that_does_not_answer_ends_nothing_at_first(answer, error, caplog) -> None:
    answer(error)
    assert read_state().status == "UNKNOWN"
    watch = Watch()
    assert watch.check() is None
    assert "Ray Serve does not answer: " in caplog.text
    answer({"applications": {"roi-ray": {"status": "RUNNING", "message": "", "deployments": {}}}})
    assert watch.check() is None


def test_ray_serve_that_was_shut_down_has_ended_the_service(answer) -> None:
    answer(ValueError("no actor of this name"))
    with pytest.raises(ClusterError, match="something else shut Ray Serve down"):
        Watch().check()


def test_the_state_names_the_problem_of_a_deployment(answer) -> None:
    deployment = {"message": "no CPU", "replicas": [{"state": "STARTING"}]}
    whole = {"message": "", "replicas": [{"state": "STOPPING"}, {"state": "RUNNING"}]}
    deployments = {"Api": whole, "ScoringReplica": deployment}
    application = {"status": "DEPLOYING", "message": "two", "deployments": deployments}
    answer({"applications": {"roi-ray": application}})
    assert read_state() == State("DEPLOYING", "no CPU", has_all=False)
    deployments["ScoringReplica"] = whole
    assert read_state() == State("DEPLOYING", "two", has_all=True)
    answer({"applications": {}})
    assert read_state().status == "GONE"
