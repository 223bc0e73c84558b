"""What the operator sees and does."""

import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.votes.http.operator import overview as overview_module
from roi_ray.votes.http.operator.operators import SESSION_SECONDS, Operators
from roi_ray.web.keys import hash_key
from tests.votes.http.studies import KEY, Server, ask, make_site, make_vote, running

PATHS = ("/admin/comparisons.parquet", "/admin/raters.csv", "/admin/status")


def answer_all(server: Server, choice: str = "1") -> int:
    """Let a rater answer all questions; return how many there were."""
    with server.join() as rater:
        number = 0
        while asks := ask(rater):
            rater.post("/api/votes", json=make_vote(asks[0]["id"], choice=choice))
            number += 1
    return number


def test_operator_signs_in_and_out(server) -> None:
    with server.client() as browser:
        assert browser.get("/admin").headers["location"] == "/admin/login"
        assert browser.get("/admin/login").status_code == 200
        wrong = browser.post("/admin/login", data={"key": "<b>wrong"})
        assert wrong.status_code == 403 and "<b>" not in wrong.text
        response = browser.post("/admin/login", data={"key": f" {KEY} "})
        assert response.status_code == 303
        cookie = set(response.headers["set-cookie"].split("; "))
        assert {
            "HttpOnly",
            "Path=/admin",
            "SameSite=strict",
            f"Max-Age={SESSION_SECONDS}",
        } <= cookie
        session = browser.cookies["roi_ray_admin"]
        assert KEY not in session
        assert browser.get("/admin").status_code == 200
        assert browser.get("/admin/login").headers["location"] == "/admin"
        assert browser.post("/admin/logout").headers["location"] == "/admin/login"
        for path in PATHS:
            headers = {"Cookie": f"roi_ray_admin={session}"}
            assert browser.get(path, headers=headers).status_code == 401


def test_nobody_else_sees_what_the_operator_sees(server) -> None:
    with server.join() as rater, server.client() as nobody:
        for client in (rater, nobody):
            for path in PATHS:
                response = client.get(path)
                assert response.status_code == 401
                assert response.json()["error_kind"] == "Unauthorised"
            response = client.post("/admin/invitations", data={"number": "1", "raters": "1"})
            assert response.status_code == 401


def test_without_a_key_nobody_is_the_operator(questions, tmp_path) -> None:
    with running(questions, tmp_path, make_site(admin_keys=())) as server:
        with server.client() as client:
            assert client.post("/admin/login", data={"key": ""}).status_code == 403
            assert client.get("/admin").status_code == 303
        for header in ("Bearer", "Bearer x", "Basic Og==", ""):
            with server.client(headers={"Authorization": header}) as client:
                assert client.get("/admin/status").status_code == 401


def test_sessions_end_and_are_limited_in_number() -> None:
    now = 0.0
    operators = Operators([hash_key(KEY)], clock=lambda: now)
    first = operators.begin_session(KEY)
    now = SESSION_SECONDS - 1.0
    assert operators.has_session(first)
    now = SESSION_SECONDS + 1.0
    assert not operators.has_session(first)
    second = operators.begin_session(KEY)
    for _ in range(100):
        last = operators.begin_session(KEY)
    assert not operators.has_session(second) and operators.has_session(last)
    assert len(operators._ends) == 100


def test_operator_makes_invitations_that_work_once(server) -> None:
    with server.operator() as operator, server.client() as client:
        page = operator.post("/admin/invitations", data={"number": "3", "raters": "1"})
        tokens = re.findall(r"http://127\.0\.0\.1/join/([\w-]+)", page.text)
        assert len(set(tokens)) == 3
        assert client.get(f"/join/{tokens[0]}").status_code == 200
        assert tokens[0] not in operator.get("/admin").text


@pytest.mark.parametrize(
    "form",
    [
        {"x": ""},
        {"number": "0", "raters": "1"},
        {"number": "501", "raters": "1"},
        {"number": "1e9"},
        {"number": "1", "raters": "-1"},
        {"number": "1", "raters": "9" * 5000},
        {"number": "²"},
    ],
)
def test_wrong_numbers_make_no_invitation(server, form) -> None:
    before = server.study.count_places()
    with server.operator() as operator:
        response = operator.post("/admin/invitations", data=form)
    assert response.status_code == 422
    assert server.study.count_places() == before


def test_answers_are_downloaded_summarized_and_escaped(questions, tmp_path) -> None:
    table = questions.table
    for column in ("method_a", "method_b"):
        index = table.column_names.index(column)
        names = [f"<script>{name}</script>" for name in table[column].to_pylist()]
        table = table.set_column(index, column, pa.array(names))
    evil = replace(questions, table=table)
    with (
        running(evil, tmp_path, make_site(), gold=0.2, repeats=0.1) as server,
        server.operator() as operator,
    ):
        empty = operator.get("/admin").text
        assert "there are no votes about two different methods" in empty
        number = answer_all(server) + answer_all(server, "none")
        server.study.exclude(5, "<img src=x onerror=alert(1)>")
        table = pq.read_table(io.BytesIO(operator.get("/admin/comparisons.parquet").content))
        assert table.num_rows == number and set(table["p_a"].to_pylist()) == {0.0, 0.5, 1.0}
        rows = list(csv.DictReader(io.StringIO(operator.get("/admin/raters.csv").text)))
        assert sum(int(row["answers"]) for row in rows) == number
        assert [int(row["ties"]) > 0 for row in rows] == [False, True]
        status = operator.get("/admin/status").json()
        assert status["answers"] == status["computed_from"] == number
        names = {rank["name"] for rank in status["ranking"]["ranks"]}
        assert names == {f"<script>secret-q{quality}</script>" for quality in (20, 50, 90)}
        page = operator.get("/admin").text
        assert "<script" not in page and "&lt;script&gt;secret-q90" in page
        assert "<img" not in page and "&lt;img src=x" in page
        assert "Load this page again" not in page


def test_ranking_is_computed_once_per_answer(questions, tmp_path, monkeypatch) -> None:
    with running(questions, tmp_path, make_site()) as server, server.operator() as operator:
        answer_all(server)
        calls = []
        original = server.study.read_answers
        monkeypatch.setattr(server.study, "read_answers", lambda: calls.append(1) or original())
        for _ in range(3):
            assert operator.get("/admin").status_code == 200
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: get_status(server), range(8)))
        assert len(calls) == 1
        answer_all(server)
        assert operator.get("/admin/status").json()["computed_from"] == server.study.answers
        assert len(calls) == 2


def get_status(server: Server) -> dict:
    with server.operator() as operator:
        return operator.get("/admin/status").json()


def test_overview_that_fails_is_logged_and_the_page_still_works(
    questions, tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(overview_module, "compute_overview", len)
    with running(questions, tmp_path, make_site()) as server, server.operator() as operator:
        page = operator.get("/admin")
        assert page.status_code == 200 and "being computed" in page.text
        assert operator.get("/admin/raters.csv").status_code == 503
    assert "TypeError: len() takes" in caplog.text and "Traceback" not in caplog.text
