"""Headers of every answer, static files, and errors that nobody expected."""

import logging
from contextlib import suppress

import httpx
import pytest

from roi_ray.runtime.logs import LOGGER
from roi_ray.votes.http.assets_folder import ASSETS, StaticFiles
from roi_ray.votes.http.guard.headers import HEADERS
from roi_ray.votes.http.pages import Pages
from roi_ray.web.limits import RequestLimits
from tests.votes.http.studies import ask, make_site, running


def test_every_answer_has_the_headers(server) -> None:
    with server.join() as rater:
        image = ask(rater)[0]["images"]["1"]
        for method, path in (
            ("GET", "/study"),
            ("GET", image),
            ("GET", "/nothing"),
            ("GET", "/health"),
            ("GET", "/admin"),
            ("PUT", "/api/votes"),
            ("POST", "/api/votes"),
        ):
            response = rater.request(method, path)
            for name, value in HEADERS.items():
                assert response.headers[name] == value, (path, name)
            assert "cache-control" in response.headers
            assert "strict-transport-security" not in response.headers
        refused = rater.get("/study", headers={"Host": "evil.org"})
        assert refused.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_refusals_of_the_gate_have_the_headers(questions, tmp_path) -> None:
    limits = RequestLimits(max_body_bytes=1)
    with (
        running(questions, tmp_path, make_site(limits=limits)) as server,
        server.client() as client,
    ):
        for path, kind in (("/join", "text/html"), ("/api/votes", "application/json")):
            response = client.post(path, content=b"xx")
            assert response.status_code == 413
            assert response.headers["content-type"].startswith(kind)
            policy = HEADERS["Content-Security-Policy"]
            assert response.headers["content-security-policy"] == policy


def test_static_files_are_immutable_and_templates_are_none(server) -> None:
    files = StaticFiles(ASSETS)
    with server.client() as client:
        response = client.get(files.url("base.css"))
        assert response.text == (ASSETS / "base.css").read_text()
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["content-type"] == "text/css; charset=utf-8"
        for name in ("layout.html", "admin.html", "nothing.js"):
            assert client.get(f"/static/{files.version}/{name}").status_code == 404
        assert client.get("/static/0000000000000000/base.css").status_code == 404
    with pytest.raises(KeyError):
        files.url("layout.html")


def test_version_changes_with_any_content(tmp_path) -> None:
    versions = set()
    for name, text in (("a.js", "1"), ("a.js", "2"), ("b.js", "2"), ("b.css", "")):
        (tmp_path / name).write_text(text)
        versions.add(StaticFiles(tmp_path).version)
    assert len(versions) == 4


@pytest.mark.parametrize("path", ["/api/questions", "/join", "/study"])
def test_defect_is_one_line_in_the_log_and_no_traceback(
    questions, tmp_path, monkeypatch, caplog, path
) -> None:
    LOGGER.setLevel(logging.INFO)
    with running(questions, tmp_path, make_site()) as server, server.join() as rater:
        monkeypatch.setattr(server.study, "find_rater", fail)
        method = "GET" if path == "/study" else "POST"
        response = rater.request(method, path)
        assert response.status_code == 500
        assert "secret" not in response.text and "Traceback" not in response.text
        kind = "application/json" if path.startswith("/api") else "text/html; charset=utf-8"
        assert response.headers["content-type"] == kind
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(lines) == 1 and lines[0].startswith(f"{path}: ValueError: a secret")
    assert "\n" not in lines[0]


def test_token_of_an_invitation_is_never_logged(questions, tmp_path, monkeypatch, caplog) -> None:
    with running(questions, tmp_path, make_site()) as server, server.client() as client:
        monkeypatch.setattr(server.study, "admits", fail)
        assert client.get("/join/" + "t0ken" * 8).status_code == 500
    assert "/join/...: ValueError" in caplog.text and "t0ken" not in caplog.text


def test_token_is_not_logged_where_even_the_error_page_fails(
    questions, tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(Pages, "write", fail)
    with (
        running(questions, tmp_path, make_site()) as server,
        server.client() as client,
        suppress(httpx.HTTPError),
    ):
        client.get("/join/" + "t0ken" * 8)
    assert "/join/...: ValueError" in caplog.text and "t0ken" not in caplog.text


def fail(*_: object, **__: object) -> None:
    raise ValueError("a secret\nof two lines")
