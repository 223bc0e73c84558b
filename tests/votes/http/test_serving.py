"""A study served as `run_study` serves it: by its settings of uvicorn."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from roi_ray.votes import run
from roi_ray.votes.http.app import build_app
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.table import Questions
from roi_ray.votes.store.store import Store
from roi_ray.votes.study import Study
from roi_ray.web.addresses import listen
from tests.votes.http.studies import KEY, ask, join, make_site, make_vote


def serve(
    questions: Questions,
    folder: Path,
    visit: Callable[[httpx.Client, Study], None],
    has_proxy: bool = False,
) -> None:
    """Serve a study in this thread, until a visit in another one has ended."""
    failures: list[BaseException] = []
    with Store(str(folder / "study.sqlite")) as store, listen("127.0.0.1", 0) as socket:
        study = Study(questions, store, VoteOptions(training=0))
        url = f"http://127.0.0.1:{socket.getsockname()[1]}"

        def run_visit() -> None:
            try:
                with httpx.Client(base_url=url, timeout=60) as client:
                    visit(client, study)
            except BaseException as error:
                failures.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=run_visit)
        app = build_app(study, make_site())
        asyncio.run(run._serve(app, socket, thread.start, has_proxy))
        thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("has_proxy", [False, True])
def test_addresses_are_believed_where_a_proxy_is_expected(questions, tmp_path, has_proxy) -> None:
    statuses = []

    def visit(client: httpx.Client, study: Study) -> None:
        for number in range(6):
            headers = {"X-Forwarded-For": f"192.0.2.{number}"}
            response = client.post("/admin/login", data={"key": "wrong"}, headers=headers)
            statuses.append(response.status_code)

    serve(questions, tmp_path, visit, has_proxy)
    assert statuses == [403] * 5 + [403 if has_proxy else 429]


def test_log_says_nothing_of_people(questions, tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    secrets = ["127.0.0.1:", "192.0.2.7", "my browser", KEY]

    def visit(client: httpx.Client, study: Study) -> None:
        client.headers.update({"User-Agent": "my browser", "X-Forwarded-For": "192.0.2.7"})
        (token,) = study.invite(1, 1)
        assert join(client, token).status_code == 303
        assert client.post("/api/votes", json=make_vote(ask(client)[0]["id"])).status_code == 201
        assert client.get("/nothing").status_code == 404
        assert client.post("/api/votes", json={"id": KEY}).status_code == 422
        study.exclude(3, "the PNG is truncated")
        secrets.extend([token, client.cookies["roi_ray_rater"]])
        secrets.append(study.read_answers()[0].ask.rater)

    serve(questions, tmp_path, visit, has_proxy=True)
    records = [record for record in caplog.records if record.name != "httpx"]
    text = "\n".join(record.getMessage() for record in records)
    assert "not asked any more" in text and "Application startup complete" in text
    for secret in secrets:
        assert secret not in text.replace("Uvicorn running on socket ('127.0.0.1'", "")
