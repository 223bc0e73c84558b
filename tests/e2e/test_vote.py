"""`roi-ray vote` as a user runs it: killed under load, ended by a signal, its answers used."""

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import roi_ray
from roi_ray.preference.comparisons.examples import to_examples
from roi_ray.preference.comparisons.table import read_comparisons
from roi_ray.preference.model.recipes import DEFAULT_RECIPE, find_recipe
from roi_ray.preference.training.train import train_in_process
from tests.browser import browser
from tests.conftest import make_sweep_of
from tests.e2e.conftest import run_job, start_job
from tests.ports import free_ports
from tests.votes.http.page.rater import Rater
from tests.votes.http.studies import ask, join, make_vote

__all__ = ["browser"]  # a fixture

pytestmark = [pytest.mark.e2e, pytest.mark.long]

RATERS = 4
VOTES = 40
PATIENCE = 120.0


@pytest.fixture(scope="module")
def comparisons(photos, tmp_path_factory) -> str:
    """Pairs of images of one original, by the names of their methods; none is gold."""
    folder = tmp_path_factory.mktemp("images")
    rows = pq.read_table(make_sweep_of(photos, folder)).to_pylist()
    pairs = [
        {
            "reference": first["reference"],
            "a": first["distorted"],
            "b": second["distorted"],
            "method_a": f"{first['codec']}-{first['quality']}",
            "method_b": f"{second['codec']}-{second['quality']}",
        }
        for number, first in enumerate(rows)
        for second in rows[:number]
        if first["reference"] == second["reference"]
    ]
    pq.write_table(pa.Table.from_pylist(pairs), folder / "pairs.parquet")
    return str(folder / "pairs.parquet")


class Study:
    """A running `python jobs/vote.py`.

    Attributes:
        links: invitations that it has printed.
        url: where it is.
        key: the operator's key.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.links: list[str] = []
        for line in process.stdout:
            name, _, value = line.strip().partition(": ")
            if name == "invitation":
                self.links.append(value)
            elif name == "operator":
                self.url, _, self.key = value.partition("/admin, key: ")
                return
        raise AssertionError(process.stderr.read())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; return the exit code and what it printed since it was open."""
        self.process.send_signal(number)
        printed, logged = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, printed, logged


@contextmanager
def run_study(*arguments: object) -> Iterator[Study]:
    process = start_job(*map(str, arguments), job="vote")
    try:
        yield Study(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


class Voter(threading.Thread):
    """A rater who joins, and sends each vote until it is confirmed, whatever happens to the server.

    Attributes:
        confirmed: ids of confirmed votes.
    """

    def __init__(self, link: str) -> None:
        super().__init__()
        url, _, token = link.rpartition("/join/")
        self.client = httpx.Client(base_url=url, timeout=PATIENCE)
        assert join(self.client, token).status_code == 303
        self.confirmed: list[str] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with closing(self.client) as client:
                while len(self.confirmed) < VOTES:
                    for asked in self.insist(lambda: ask(client)):
                        self.vote(client, asked["id"])
        except BaseException as error:
            self.error = error

    def vote(self, client: httpx.Client, asked: str) -> None:
        body = make_vote(asked, choice=random.choice(["1", "2", "none"]))
        response = self.insist(lambda: client.post("/api/votes", json=body))
        assert response.status_code in (200, 201), response.text
        self.confirmed.append(body["id"])

    def insist(self, call):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return call()
            except httpx.TransportError:
                assert time.monotonic() < end
                time.sleep(0.05)


def test_five_kills_under_load_lose_no_confirmed_vote(comparisons, tmp_path) -> None:
    (port,) = free_ports(1)
    output = tmp_path / "votes"
    command = ("--comparisons", comparisons, "--output", output, "--port", port, "--training", 0)
    voters: list[Voter] = []
    for attempt in range(6):
        with run_study(*command, *(() if attempt else ("--invitations", RATERS))) as study:
            if not attempt:
                voters = [Voter(link) for link in study.links]
                for voter in voters:
                    voter.start()
            if attempt < 5:
                goal = sum(len(voter.confirmed) for voter in voters) + random.randrange(5, 25)
                end = time.monotonic() + PATIENCE
                while sum(len(voter.confirmed) for voter in voters) < goal:
                    assert time.monotonic() < end
                    assert [voter.error for voter in voters if voter.error] == []
                    time.sleep(random.uniform(0, 0.01))
                os.killpg(study.process.pid, signal.SIGKILL)
                continue
            for voter in voters:
                voter.join(PATIENCE)
                assert voter.error is None, voter.error
            code, printed, logged = study.end()
    assert code == 0, logged
    confirmed = Counter(vote for voter in voters for vote in voter.confirmed)
    stored = Counter(pq.read_table(output / "comparisons.parquet")["vote_id"].to_pylist())
    assert stored == confirmed and set(stored.values()) == {1}
    assert len(stored) >= RATERS * VOTES
    assert printed == f"{len(stored)} answers in {output}\n"
    assert "Traceback" not in logged


def test_20_votes_in_a_browser_rank_codecs_and_train_a_model(browser, photos, tmp_path) -> None:
    manifest = make_sweep_of(photos, tmp_path / "sweep")
    scores = tmp_path / "scores"
    metrics = roi_ray.Settings(metrics=("ssimulacra2",))
    assert roi_ray.score_manifest(manifest, str(scores), metrics).failed == 0
    output = tmp_path / "votes"
    with run_study(
        *("--scores", scores, "--output", output, "--port", 0, "--active", "ranking"),
        *("--training", 0, "--questions-per-rater", 20, "--export-seconds", 1),
    ) as study:
        rater = Rater(browser, study.links[0])
        rater.context.clock.install()  # so that nobody need look at a question for 3 seconds
        rater.join()
        for number in range(20):
            shown = rater.wait_for_question()
            rater.page.clock.fast_forward(4000)
            rater.answer("12"[number % 2], flips=4)
            if number < 19:
                rater.wait_for_question(other_than=shown)
        rater.page.locator("#closing").wait_for()
        rater.wait_until_sent()
        headers = {"Authorization": f"Bearer {study.key}"}
        status = httpx.get(f"{study.url}/admin/status", headers=headers, timeout=PATIENCE)
        assert status.raise_for_status().json()["answers"] == 20
        rater.context.close()
        code, _, logged = study.end(signal.SIGINT)
    assert code == 0, logged
    answers = read_comparisons(str(output / "comparisons.parquet"))
    assert set(answers.table["vote_id"].to_pylist()) == {vote["id"] for vote in rater.sent}
    assert answers.table["error"].null_count == 20  # none is hasty
    assert {rank.name for rank in roi_ray.rank(answers, by="codec")} == {"jpeg", "webp"}
    recipe = find_recipe(DEFAULT_RECIPE, None)
    examples = to_examples(answers.table, recipe.features, answers.name)
    assert len(set(examples.group)) > 1
    assert set(train_in_process(examples, recipe).features) <= set(recipe.features)


def test_a_second_process_is_refused_and_the_same_command_goes_on(comparisons, tmp_path) -> None:
    command = ("--comparisons", comparisons, "--output", str(tmp_path), "--port", "0")
    with run_study(*command) as study:
        other = run_job(*command, cwd=tmp_path, job="vote")
        assert other.returncode == 2
        assert "is writing there" in other.stderr and "Traceback" not in other.stderr
        assert study.end()[0] == 0
    with run_study(*command) as study:
        assert not study.links  # the first one was not used yet
        assert study.end()[0] == 0
