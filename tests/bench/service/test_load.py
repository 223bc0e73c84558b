"""Locust against a real service in this process."""

from dataclasses import replace

import pytest
import torch

from roi_ray.bench.service.load import send_load
from roi_ray.bench.service.options import Load
from roi_ray.bench.service.scorer import BareScorer
from roi_ray.bench.service.workload import make_files, write_files
from roi_ray.service.http.api import build_api
from roi_ray.service.options import ServiceOptions
from roi_ray.sweep import photographs
from tests.ports import free_ports
from tests.service.files import open_backend
from tests.web.asgi_server import serving


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    photos = list(photographs().values())[:2]
    files = make_files(photos, tmp_path_factory.mktemp("files"), (96, 80), 3)
    with BareScorer(torch.get_num_threads()) as scorer:
        return scorer.add_scores(files)


def test_clients_send_each_reference_once_and_check_every_number(references, tmp_path) -> None:
    # One number of the first reference is wrong.
    first = references[0].images[0]
    changed = replace(first, scores={**first.scores, "lpips": first.scores["lpips"] + 1e-9})
    files = [replace(references[0], images=(changed, *references[0].images[1:])), references[1]]
    write_files(files, tmp_path / "files.json")
    load = Load(clients=2, images=2)
    with open_backend() as backend, serving(build_api(backend, ServiceOptions())) as url:
        turn = send_load(url, tmp_path / "files.json", tmp_path, load, 2, 2, seconds=60)
    assert len(turn.answers) == 2 * 2 * 2
    assert turn.lost == 0
    assert not any(answer.error for answer in turn.answers)
    assert sum(answer.wrong for answer in turn.answers) == 2  # each client sent it once
    assert turn.pairs == 2 * 2 * 3 - 2
    assert [answer.cached for answer in turn.answers if answer.sent_reference] == [False] * 4
    assert [answer.cached for answer in turn.answers if not answer.sent_reference] == [True] * 4
    assert turn.pairs_per_s > 0
    assert turn.client_share > 0


def test_requests_that_nobody_answers_are_lost(references, tmp_path) -> None:
    write_files(references, tmp_path / "files.json")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    turn = send_load(url, tmp_path / "files.json", tmp_path, Load(1, 3), 1, 1, seconds=60)
    assert (turn.lost, turn.pairs) == (1, 0)
    (answer,) = turn.answers
    assert answer.error.startswith("no answer: ")
