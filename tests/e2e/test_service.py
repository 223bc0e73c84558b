"""`roi-ray serve` as a user runs it: its numbers, its processes killed, and its end.

A start takes half a minute on two busy cores, so that one service goes through several checks.
"""

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import Photos, encode
from tests.e2e.conftest import run_job, score_with_one_thread, start_job

pytestmark = [pytest.mark.e2e, pytest.mark.long]

REQUESTS = 16
IMAGES = 6
PATIENCE = 180.0
"""Seconds that something may take on a busy machine; far more than the service's own limit."""

Numbers = dict[str, Any]


@dataclass
class Service:
    """A running `python jobs/serve.py`, which lets `REQUESTS` requests in.

    Attributes:
        process: its driver.
        url: where it serves.
        file: an original and a decoded file.
        numbers: what `roi_ray.score` computes of the two.
    """

    process: subprocess.Popen[str]
    url: str
    files: tuple[bytes, bytes]
    numbers: Numbers
    client: httpx.Client = field(
        default_factory=lambda: httpx.Client(
            timeout=PATIENCE, limits=httpx.Limits(max_connections=None)
        )
    )

    def score(self) -> httpx.Response:
        """Score some copies of the image; come again while the service is full."""
        files = [("reference", ("original.png", self.files[0]))]
        files += [("image", (f"{number}.jpg", self.files[1])) for number in range(IMAGES)]
        while True:
            response = self.client.post(f"{self.url}/v1/score", files=files)
            if response.status_code != 429:
                return response
            time.sleep(0.1)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(f"{self.url}{path}")

    def wait_for(self, path: str, status: int) -> None:
        """Ask until the status is another one."""
        end = time.monotonic() + PATIENCE
        while self.get(path).status_code != status:
            assert time.monotonic() < end, f"{path} never had the status {status}"
            time.sleep(0.02)

    @contextmanager
    def full(self) -> Iterator[list[httpx.Response]]:
        """Fill the service with requests, and wait for the answers at the end of the context.

        Clients ask again until it is full: on a busy machine the first requests may be answered
        before the last ones have come.
        """
        responses: list[httpx.Response] = []
        is_full = threading.Event()

        def score_until_full() -> httpx.Response:
            while True:
                response = self.score()
                if is_full.is_set() or response.status_code != 200:
                    return response

        with ThreadPoolExecutor(REQUESTS) as pool:
            futures = [pool.submit(score_until_full) for _ in range(REQUESTS)]
            try:
                self.wait_for("/v1/about", 429)
            finally:
                is_full.set()
            yield responses
            responses += [future.result() for future in futures]

    def find_processes(self, title: str = "") -> list[psutil.Process]:
        """Return the processes of the service that work for a deployment; of all of them for ""."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                if title in " ".join(child.cmdline()):
                    found.append(child)
        return found

    def has_right_numbers(self, response: httpx.Response) -> bool:
        """Return whether a response has the numbers of each image, bit for bit."""
        images = response.json()["images"]
        assert [image["image"] for image in images] == [f"{n}.jpg" for n in range(IMAGES)]
        return all(self.numbers.items() <= image.items() for image in images)


@pytest.fixture(scope="module")
def files(photos: Photos) -> tuple[bytes, bytes]:
    photo = photos["chelsea"][:192, :256]
    return encode(photo), encode(photo, "JPEG", quality=40)


@pytest.fixture(scope="module")
def numbers(files) -> Numbers:
    """What `roi_ray.score` computes with one thread."""
    return score_with_one_thread(*files)


@pytest.fixture
def start(files, numbers) -> Iterator[Callable[[], Service]]:
    services: list[Service] = []

    def start_service() -> Service:
        options = (
            f"--port 0 --device cpu --threads 1 --timeout {PATIENCE} --max-requests {REQUESTS}"
        )
        process = start_job(*options.split(), job="serve")
        line = process.stdout.readline()
        assert line.startswith("serving at http://127.0.0.1:"), process.communicate()
        services.append(Service(process, line.split()[2], files, numbers))
        return services[-1]

    yield start_service
    for service in services:
        service.client.close()
        if service.process.poll() is None:
            service.process.kill()
        service.process.communicate()


def test_service_keeps_its_numbers_while_processes_are_killed_and_loses_nothing_at_its_end(
    start,
) -> None:
    service = start()
    check_addresses(service)
    assert service.has_right_numbers(service.score())
    check_killed_decoder(service)
    check_killed_scorer(service)
    check_second_service_is_refused(service)
    check_shutdown(service)


def check_addresses(service: Service) -> None:
    """Only loopback reaches the HTTP server."""
    port = int(service.url.rpartition(":")[2])
    listening = {
        connection.laddr.ip
        for process in service.find_processes("ProxyActor")
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    assert listening == {"127.0.0.1"}


def check_killed_decoder(service: Service) -> None:
    """Each image has its numbers, or says that its decoder died."""
    with service.full() as responses:
        (decoder,) = service.find_processes("Decoder")
        decoder.kill()
    for response in [*responses, service.score()]:
        assert response.status_code == 200, response.text
        for image in response.json()["images"]:
            is_right = service.numbers.items() <= image.items()
            assert is_right or image["error_kind"] == "WorkerDied"
    assert service.has_right_numbers(service.score())


def check_killed_scorer(service: Service) -> None:
    """Each request has its numbers: it is scored again by the process that replaces the other."""
    with service.full() as responses:
        (scorer,) = service.find_processes("ScoringReplica")
        scorer.kill()
    assert [response.status_code for response in responses] == REQUESTS * [200]
    assert all(map(service.has_right_numbers, responses))
    service.wait_for("/v1/ready", 200)
    assert service.has_right_numbers(service.score())


def check_second_service_is_refused(service: Service) -> None:
    """Two servers of Ray Serve could share a port, and clients would reach one by chance."""
    port = service.url.rpartition(":")[2]
    done = run_job("--port", port, job="serve", cwd=Path("/"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: port {port} of 127.0.0.1 is in use")


def check_shutdown(service: Service) -> None:
    """Every request that was accepted is answered, others are refused, and no process is left."""
    processes = service.find_processes()
    # A request that does not end keeps the service from its end as long as it is looked at.
    with begin_request(service.url), service.full() as responses:
        # To the whole process group, as Control-C and `timeout` send signals.
        os.killpg(service.process.pid, signal.SIGTERM)
        service.wait_for("/v1/about", 503)
        refused = service.score()
        assert (refused.status_code, refused.json()["error_kind"]) == (503, "ServiceClosing")
        assert int(refused.headers["Retry-After"]) > 0
        assert service.get("/v1/ready").status_code == 503
        assert service.get("/v1/health").status_code == 200
    # A client that was answered just before the signal may have come again after it.
    late = [response for response in responses if response.status_code == 503]
    assert {response.json()["error_kind"] for response in late} <= {"ServiceClosing"}
    accepted = [response for response in responses if response not in late]
    assert len(accepted) >= REQUESTS // 2
    assert [response.status_code for response in accepted] == len(accepted) * [200]
    assert all(map(service.has_right_numbers, accepted))
    output, errors = service.process.communicate(timeout=PATIENCE)
    assert (service.process.returncode, output) == (0, ""), errors
    assert "Traceback" not in errors
    assert not psutil.wait_procs(processes, timeout=PATIENCE)[1]


def test_second_signal_ends_a_service_at_once_and_says_what_was_cut_off(start) -> None:
    service = start()
    processes = service.find_processes()
    with unfinished_requests(service) as unfinished:
        service.process.send_signal(signal.SIGTERM)
        service.wait_for("/v1/about", 503)
        service.process.send_signal(signal.SIGINT)
        output, errors = service.process.communicate(timeout=PATIENCE)
        assert all(is_cut_off(connection) for connection in unfinished)
    assert (service.process.returncode, output) == (4, "")
    assert errors.splitlines()[-1] == f"error: {REQUESTS} requests were cut off"
    assert not psutil.wait_procs(processes, timeout=PATIENCE)[1]


@contextmanager
def unfinished_requests(service: Service) -> Iterator[list[socket.socket]]:
    """Fill the service with requests that do not end; yield their connections."""
    with ExitStack() as stack:

        def begin() -> socket.socket:
            return stack.enter_context(begin_request(service.url))

        connections = [begin() for _ in range(REQUESTS)]
        end, times_full = time.monotonic() + PATIENCE, 0
        # Twice in a row: an earlier look may still hold a place, but one that was refused does not.
        while times_full < 2:
            assert time.monotonic() < end, "the service never was full"
            is_full = service.get("/v1/about").status_code == 429
            # An earlier look may have held the last place when one of the requests came.
            refused, _, _ = select.select(connections, [], [], 0.02)
            connections = [begin() if one in refused else one for one in connections]
            times_full = times_full + 1 if is_full and not refused else 0
        yield connections


def begin_request(url: str) -> socket.socket:
    """Send the beginning of a request; its end never comes."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
    head = "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    kind = "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    connection.sendall(f"{head}{kind}--b\r\n".encode())
    return connection


def is_cut_off(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
