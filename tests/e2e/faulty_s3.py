"""A proxy before an S3 server that goes wrong on purpose.

What a request gets is decided by the first of the proxy's faults that matches it and is due: a
share of 0.04 is due at every 25th request that matches, from a random one on, so it happens for
certain where there are enough of them, and to no request again and again. Headers pass through
unchanged, `Host` among them, so signatures stay valid.
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
}
"""S3's error codes and the statuses that they come with."""

_FOREVER = 120.0


@dataclass
class Fault:
    """What goes wrong, for which requests, and how often.

    Attributes:
        kind: a code of `ERRORS`; `reset`: the connection is reset half-way through the body that
            answers GET, and before any other answer; `truncated`: closed half-way in good order;
            `slow`: the second half comes in drops, over half a second; `silent`: nothing comes at
            all; `lost`: the request is carried out, its answer lost; `held`: waits for
            `FaultyS3.release`, then meets what is there by then.
        share: of the matching requests, at even distances.
        methods: that it concerns.
        key: part of the object's path, or of the prefix that is listed.
        times: how often at most.
        due: grows by `share` with each matching request; at 1 it happens.
    """

    kind: str
    share: float = 1.0
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    key: str = ""
    times: int = 1 << 30
    due: float = field(default=0.0, init=False)


class FaultyS3:
    """The proxy, on a port of its own.

    Args:
        endpoint: URL of the server behind it.
        faults: see `Fault`.
        seed: of the requests that faults of a share begin with.

    Attributes:
        url: of the proxy.
        injected: faults that happened, by kind.
        requests: how often each method and path was asked for.
    """

    def __init__(self, endpoint: str, *faults: Fault, seed: int = 0) -> None:
        self.faults = list(faults)
        chance = random.Random(seed)
        for fault in faults:
            fault.due = chance.random()
        self.injected: Counter[str] = Counter()
        self.requests: Counter[tuple[str, str]] = Counter()
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, endpoint))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def meet(self, method: str, address: str) -> str | None:
        """The kind of fault that a request meets, if any."""
        kind = self._draw(method, unquote(address))
        if kind == "held":
            self._released.wait()
            kind = self._draw(method, unquote(address))
        with self._lock:
            self.requests[method, unquote(urlsplit(address).path)] += 1
            self.injected.update([kind] if kind else [])
        return kind

    def release(self, *faults: Fault) -> None:
        """Let held requests go on, with these faults from now on."""
        self.faults = list(faults)
        self._released.set()

    def _draw(self, method: str, address: str) -> str | None:
        drawn = None
        with self._lock:
            for fault in self.faults:
                if method not in fault.methods or fault.key not in address or fault.times <= 0:
                    continue
                if fault.due < 1:  # else it waits for one that another fault leaves to it
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
            with contextlib.suppress(ConnectionError):  # the client has given up
                super().handle()

        def _serve(self) -> None:
            body = b"".join(self._body())
            kind = proxy.meet(self.command, self.path)
            if kind in ERRORS:
                self._refuse(kind)
            elif kind == "silent":
                time.sleep(_FOREVER)
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
            with contextlib.closing(http.client.HTTPConnection(upstream, timeout=60)) as server:
                server.putrequest(
                    self.command, self.path, skip_host=True, skip_accept_encoding=True
                )
                for name, value in self.headers.items():
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
