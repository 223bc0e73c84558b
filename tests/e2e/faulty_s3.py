"""A proxy in front of an S3 server that injects faults.

A request meets the first fault that matches it and is due. A fault with a share of 0.04 is due
at every 25th matching request, starting at a random one: so it happens for certain after enough
requests, and the retries of one request do not all meet it. All headers, also `Host`, are
passed on unchanged, so that signatures stay valid; a request whose conditions are dropped is
signed again.
"""

import contextlib
import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from tests.s3_server import sign_without_conditions

ERRORS = {
    "InternalError": 500,
    "ServiceUnavailable": 503,
    "SlowDown": 503,
    "NoSuchKey": 404,
    "ExpiredToken": 400,
    "InvalidToken": 400,
    "InvalidAccessKeyId": 403,
    "SignatureDoesNotMatch": 403,
    "AccessDenied": 403,
    "NotImplemented": 501,
    "InvalidArgument": 400,
}
"""S3's error codes and their HTTP status."""

_SILENCE_SECONDS = 120.0


@dataclass
class Fault:
    """A fault, the requests that it matches, and how often it happens.

    Attributes:
        kind: one of
            a code of `ERRORS`: S3's answer;
            `reset`: the connection is reset in the middle of the body that answers a GET request,
                and before the answer to any other;
            `truncated`: the connection is closed in the middle of the body;
            `slow`: the second half of the body takes half a second;
            `silent`: there is no answer;
            `lost`: the server carries out the request, but its answer is lost;
            `unconditional`: the server does not see `If-Match` and `If-None-Match`, as a server
                that ignores them;
            `paused`: the request waits for `FaultyS3.release`, then meets the faults given there.
        share: share of the matching requests, evenly spaced.
        methods: HTTP methods that match.
        key: part of the object's path, or of the prefix of a listing.
        times: maximum number of times that the fault happens.
        due: grows by `share` with each matching request; at 1 the fault happens.
    """

    kind: str
    share: float = 1.0
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    key: str = ""
    times: int = 1 << 30
    due: float = field(default=0.0, init=False)


class FaultyS3:
    """The proxy; a context manager that serves on a free port.

    Args:
        endpoint: URL of the server behind the proxy.
        faults: faults to inject.
        seed: random seed for the first request that meets a fault with a share.

    Attributes:
        url: the proxy's URL.
        injected: number of faults that happened, by kind.
        requests: number of requests, by method and path.
    """

    def __init__(self, endpoint: str, *faults: Fault, seed: int = 0) -> None:
        self.faults = list(faults)
        rng = random.Random(seed)
        for fault in faults:
            fault.due = rng.random()
        self.injected: Counter[str] = Counter()
        self.requests: Counter[tuple[str, str]] = Counter()
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, endpoint))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def next_fault(self, method: str, address: str) -> str | None:
        """Count a request; return the kind of the fault that it meets, if any."""
        kind = self._draw_kind(method, unquote(address))
        if kind == "paused":
            self._released.wait()
            kind = self._draw_kind(method, unquote(address))
        with self._lock:
            self.requests[method, unquote(urlsplit(address).path)] += 1
            self.injected.update([kind] if kind else [])
        return kind

    def release(self, *faults: Fault) -> None:
        """Replace all faults and let paused requests continue."""
        self.faults = list(faults)
        self._released.set()

    def _draw_kind(self, method: str, address: str) -> str | None:
        drawn = None
        with self._lock:
            for fault in self.faults:
                if method not in fault.methods or fault.key not in address or fault.times <= 0:
                    continue
                if fault.due < 1:  # a due fault waits for a request that meets no other
                    fault.due += fault.share
                if fault.due >= 1 and drawn is None:
                    fault.due -= 1
                    fault.times -= 1
                    drawn = fault.kind
        return drawn

    def __enter__(self) -> "FaultyS3":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(proxy: FaultyS3, endpoint: str) -> type[BaseHTTPRequestHandler]:
    upstream = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the client has closed the connection
                super().handle()

        def _serve(self) -> None:
            body = b"".join(self._body())
            kind = proxy.next_fault(self.command, self.path)
            if kind in ERRORS:
                self._refuse(kind)
            elif kind == "silent":
                time.sleep(_SILENCE_SECONDS)
                self._reset()
            elif kind == "reset" and self.command != "GET":
                self._reset()
            else:
                self._forward(body, kind)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

        def _body(self) -> Iterator[bytes]:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
                return
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass

        def _forward(self, body: bytes, kind: str | None) -> None:
            headers = list(self.headers.items())
            if kind == "unconditional":
                headers = sign_without_conditions(self.command, endpoint + self.path, headers, body)
            with contextlib.closing(http.client.HTTPConnection(upstream, timeout=60)) as server:
                server.putrequest(
                    self.command, self.path, skip_host=True, skip_accept_encoding=True
                )
                for name, value in headers:
                    if name.lower() not in ("transfer-encoding", "content-length", "expect"):
                        server.putheader(name, value)
                if self.command in ("PUT", "POST"):
                    server.putheader("Content-Length", str(len(body)))
                server.endheaders(body)
                response = server.getresponse()
                content = response.read()
            if kind == "lost":
                self._reset()
                return
            self.send_response_only(response.status)
            for name, value in response.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = response.headers.get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            half = len(content) // 2
            self.wfile.write(content[:half])
            if kind == "reset":
                self._reset()
                return
            if kind == "truncated":
                self.close_connection = True
                return
            step = max(1, (len(content) - half) // 10) if kind == "slow" else len(content) or 1
            for start in range(half, len(content), step):
                time.sleep(0.05 if kind == "slow" else 0)
                self.wfile.write(content[start : start + step])

        def _refuse(self, code: str) -> None:
            text = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
            self.send_response_only(ERRORS[code])
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def _reset(self) -> None:
            self.close_connection = True
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    return Handler
