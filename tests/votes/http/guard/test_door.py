"""What is refused before the app sees it: other hosts, and what other sites send."""

import json

import httpx
import pytest

from roi_ray.votes.http.guard.cross_origin import is_cross_origin
from roi_ray.votes.http.guard.hosts import is_known_host, list_hosts
from tests.votes.http.studies import ask, join, make_site, make_vote, running, send_raw


@pytest.mark.parametrize(
    "host",
    [
        "evil.org",
        "127.0.0.1.evil.org",
        "localhost@evil.org",
        "evil.org#localhost",
        "a b",
        "",
        "é",
        "localhost:1:2",
        "localhost:123456",
        "127.0.0.1/x",
        "[::1",
        "::1",
        "2130706433",
        "localhost ",
    ],
)
def test_other_hosts_are_unknown(host) -> None:
    assert not is_known_host(host, list_hosts("127.0.0.1", "votes.example.org"))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:8100", "[::1]", "votes.example.org."]
)
def test_own_hosts_are_known(host) -> None:
    assert is_known_host(host, list_hosts("127.0.0.1", "votes.example.org"))


def test_server_of_all_addresses_takes_addresses_but_no_names() -> None:
    hosts = list_hosts("0.0.0.0")
    assert is_known_host("192.168.7.9:8100", hosts) and is_known_host("[fd00::1]", hosts)
    assert not is_known_host("rebound.evil.org", hosts)
    assert not is_known_host("192.168.7.9", list_hosts("192.168.7.8"))


def test_request_for_another_host_is_refused_everywhere(server) -> None:
    with server.client(headers={"Host": "evil.org"}) as client:
        for path in ("/", "/join/x", "/study", "/images/x/1", "/static/x/base.css", "/admin"):
            assert client.get(path).status_code == 421, path
        for path in ("/join", "/api/votes", "/api/questions", "/admin/login"):
            assert client.post(path).status_code == 421, path
        assert client.get("/health").status_code == 200  # a load balancer asks by address


def test_answer_to_another_host_does_not_repeat_it(server) -> None:
    with server.client(headers={"Host": "<script>x</script>"}) as client:
        response = client.get("/")
        assert response.status_code in (400, 421)
        assert "script" not in response.text


CROSS = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
    {"Sec-Fetch-Site": ""},
    {"Origin": "http://evil.org"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://[::1"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://127.0.0.1@evil.org"},
]


@pytest.mark.parametrize("headers", CROSS)
@pytest.mark.parametrize("path", ["/join", "/api/votes", "/admin/login", "/admin/invitations"])
def test_what_another_site_sends_is_refused(server, path, headers) -> None:
    with server.operator() as client:
        response = client.post(path, headers=headers, data={"number": "1", "raters": "1"})
    assert response.status_code == 403
    if path == "/api/votes":
        assert response.json()["error_kind"] == "CrossOrigin"


def test_vote_of_another_site_is_not_stored(server) -> None:
    with server.join() as rater:
        before = server.study.answers
        vote = json.dumps(make_vote(ask(rater)[0]["id"]))
        for headers in CROSS:
            response = rater.post("/api/votes", content=vote, headers=headers)
            assert response.status_code == 403
        # A form of another site in a browser that says nothing about where it comes from.
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            response = rater.post("/api/votes", content=vote, headers={"Content-Type": kind})
            assert response.status_code == 415
        assert server.study.answers == before


def test_first_refusal_of_a_kind_is_logged(questions, tmp_path, caplog) -> None:
    site = make_site(url="https://votes.example.org")
    with running(questions, tmp_path, site) as server, server.client() as client:
        for host in ("wrong.example.org", "second.example.org"):
            assert client.get("/", headers={"Host": host}).status_code == 421
        for origin in ("http://votes.example.org", "http://second.example.org"):
            assert client.post("/join", headers={"Origin": origin}).status_code == 403
    one, two = [record.getMessage() for record in caplog.records]
    assert "MisdirectedRequest, host: wrong.example.org, origin: -" in one
    assert "CrossOrigin, host: 127.0.0.1" in two and "origin: http://votes.example.org," in two
    assert "https://votes.example.org" in two and "--public-url" in two


def test_own_pages_may_send(server) -> None:
    with server.join() as rater:
        host = httpx.URL(server.url).netloc.decode()
        for headers in (
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": f"http://{host}"},
            {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.org"},  # no browser sends it
        ):
            assert rater.post("/api/questions", headers=headers).status_code == 200
        assert rater.get("/study", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_two_values_are_refused_if_one_is_foreign() -> None:
    assert is_cross_origin("POST", ["same-origin", "cross-site"], [], "a.org")
    assert is_cross_origin("POST", [], ["http://a.org", "http://evil.org"], "a.org")
    assert is_cross_origin("DELETE", [], ["https://evil.org"], "a.org")
    assert not is_cross_origin("HEAD", ["cross-site"], ["https://evil.org"], "a.org")
    assert is_cross_origin("POST", [], ["http://"], "")


def test_public_url_is_an_own_origin(questions, tmp_path) -> None:
    site = make_site(url="https://votes.example.org")
    with running(questions, tmp_path, site) as server:
        (token,) = server.study.invite(1, 1)
        with server.client(headers={"Host": "votes.example.org"}) as client:
            client.headers["Origin"] = "https://votes.example.org"
            response = join(client, token)
            assert response.status_code == 303
            cookie = response.headers["set-cookie"]
            assert cookie.startswith("__Host-roi_ray_rater=")
            assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
            assert "max-age" in client.get("/").headers["strict-transport-security"]


STRANGE = [
    "/images/%2e%2e/%2e%2e",
    "/images/a%2fb/1",
    "/images/..%2f..%2fetc%2fpasswd/1",
    "/images//1",
    "/images/x/1/../../study",
    "/images/%00/1",
    "/images/x/original%00",
    "/images/x/2.png",
    "/images/x/%5c..%5c",
    "/static/x/..%2f..%2fapp.py",
    "/static/../app.py",
    "/static/x/%00",
    "/static/x/layout.html",
    "/static/VERSION/layout.html",
    "/static/VERSION/../../app.py",
    "/static/VERSION/..%2fapp.py",
    "/static/VERSION/%2fetc%2fpasswd",
    "/join/%2e%2e%2fadmin",
    "/join/%00",
    "/join/%0d%0aX:%20y",
    "/join/" + "a" * 5000,
    "/join/",
    "/join/a/b",
    "/join/%c0%ae%c0%ae",
    "//evil.org",
    "//evil.org/%2e%2e",
    "/study/",
    "/study/../admin",
    "/api/",
    "/docs",
    "/openapi.json",
    "/redoc",
    "/admin/",
    "/metrics",
    "/%0d%0aX: y",
    "/\x7f",
    "/%ff%fe",
    "/.env",
    "/study.sqlite",
    "/admin/..%2fadmin",
]


@pytest.fixture(scope="module")
def cookie_and_version(server) -> tuple[str, str]:
    """The cookie of a rater, and the version of static files."""
    with server.join() as rater:
        version = rater.get("/study").text.partition("/static/")[2].partition("/")[0]
        return f"roi_ray_rater={rater.cookies['roi_ray_rater']}", version


@pytest.mark.parametrize("path", STRANGE, ids=lambda path: path[:40])
def test_strange_paths_are_not_found(server, cookie_and_version, path) -> None:
    cookie, version = cookie_and_version
    path = path.replace("VERSION", version)
    for headers in ("", f"Cookie: {cookie}\r\n"):
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
        head, _, body = send_raw(server.url, request.encode()).partition(b"\r\n\r\n")
        status = int(head.split()[1])
        if headers and path.startswith("/join/") and status == 303:  # who has joined goes on
            assert b"location: /study\r" in head
        else:
            unknown = not headers and path.startswith("/images/")
            assert status in ((400, 401, 404) if unknown else (400, 404)), head
        assert b"Traceback" not in body and b"/tmp" not in body and b"\nX" not in head


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "LINK", "GET"])
def test_unknown_methods_are_refused(server, method) -> None:
    with server.join() as rater:
        response = rater.request(method, "/api/votes")
        assert response.status_code == 405
        assert response.headers["allow"] == "POST"
        assert not any(name.startswith("access-control") for name in response.headers)


def test_head_is_get_without_a_body(server) -> None:
    with server.join() as rater:
        image = ask(rater)[0]["images"]["1"]
        for path in ("/study", "/health", image):
            got, head = rater.get(path), rater.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == got.headers["content-length"]
