"""A study of photographs that tests of the server share."""

import re
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa

from roi_ray.io.allowlist import build_allowlist
from roi_ray.votes.http.app import App, build_app
from roi_ray.votes.http.guard.rates import Rates
from roi_ray.votes.http.site import Site
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.table import Questions, make_key
from roi_ray.votes.store.store import Store
from roi_ray.votes.study import Study
from roi_ray.web.keys import hash_key
from tests.conftest import Photos, encode, write
from tests.web.asgi_server import serving

KEY = "the operator's key"
MANY = Rates(votes=100_000, images=100_000, visits=100_000)
QUALITIES = {"secret-q20": 20, "secret-q50": 50, "secret-q90": 90}
"""Names of the methods, which no rater may see."""


def write_images(photos: Photos, folder: Path, side: int = 80) -> dict[str, list[str]]:
    """Write originals, and JPEGs of each; return the JPEGs by original, as URIs."""
    images = {}
    for name, pixels in photos.items():
        crop = pixels[:side, : side + 16]
        reference = write(folder / f"original-{name}.png", encode(crop))
        images[reference] = [
            write(folder / f"{method}-{name}.jpg", encode(crop, "JPEG", quality=quality))
            for method, quality in QUALITIES.items()
        ]
    return images


def make_questions(images: Mapping[str, Sequence[str]], folder: Path) -> Questions:
    """Make a question of each pair of images of an original; those of the first one are gold."""
    methods, rows = list(QUALITIES), []
    first = next(iter(images))
    for reference, candidates in images.items():
        for a, b in combinations(range(len(candidates)), 2):
            rows.append(
                {
                    "reference": reference,
                    "a": candidates[a],
                    "b": candidates[b],
                    "group": reference,
                    "method_a": methods[a],
                    "method_b": methods[b],
                    "codec_a": "secret-jpeg",
                    "codec_b": "secret-jpeg",
                    "question": make_key(reference, candidates[a], candidates[b]),
                    "gold": reference == first,
                    "expected_p_a": 0.0 if reference == first else None,
                }
            )
    table = pa.Table.from_pylist(rows)
    return Questions(table, np.ones(len(rows), bool), build_allowlist(str(folder)))


def make_site(**values: object) -> Site:
    """Make a site at any port of this machine."""
    defaults = {"url": "http://127.0.0.1", "admin_keys": (hash_key(KEY),), "rates": MANY}
    return Site(**(defaults | values))


@dataclass
class Server:
    """A running study."""

    url: str
    study: Study
    app: App

    def client(self, **options: object) -> httpx.Client:
        """Open a client without a session."""
        return httpx.Client(base_url=self.url, timeout=60, **options)

    @contextmanager
    def join(self, **options: object) -> Iterator[httpx.Client]:
        """Open a client of a new rater."""
        (token,) = self.study.invite(1, 1)
        with self.client(**options) as client:
            response = join(client, token)
            assert response.status_code == 303, response.text
            yield client

    def operator(self) -> httpx.Client:
        """Open a client that has the operator's key."""
        return self.client(headers={"Authorization": f"Bearer {KEY}"})


@contextmanager
def running(questions: Questions, folder: Path, site: Site, **options: object) -> Iterator[Server]:
    """Run the server of a study."""
    with Store(str(folder / "study.sqlite")) as store:
        study = Study(questions, store, VoteOptions(**({"training": 0} | options)))
        app = build_app(study, site)
        try:
            with serving(app) as url:
                yield Server(url, study, app)
        finally:
            app.close()


def join(client: httpx.Client, token: str, **form: str) -> httpx.Response:
    """Agree to the text of an invitation."""
    page = client.get(f"/join/{token}")
    assert page.status_code == 200, page.text
    text = re.search(r'name="text" value="([0-9a-f]{64})"', page.text)
    return client.post("/join", data={"token": token, "text": text[1], "consent": "yes"} | form)


def send_raw(url: str, request: bytes) -> bytes:
    """Send bytes to a server, and return all that comes back until it closes the connection."""
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port), timeout=60) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    return answer


def ask(client: httpx.Client) -> list[dict]:
    """Return what a rater is asked."""
    response = client.post("/api/questions")
    assert response.status_code == 200, response.text
    return response.json()["asks"]


def make_vote(ask: str, **values: object) -> dict[str, object]:
    """Make the body of a vote."""
    return {
        "id": str(uuid.uuid4()),
        "ask": ask,
        "choice": "1",
        "flips": 4,
        "milliseconds": 5200,
        "screen": {"width": 1920, "height": 1080, "pixel_ratio": 1.5},
    } | values
