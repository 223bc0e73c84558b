import io
import json

import pytest
from PIL import Image
from rich.console import Console

from roi_ray.report.vote_simulation import report_simulation
from roi_ray.votes.asking.simulation import simulate
from tests.preference.synthetic import comparisons
from tests.votes.asking.studies import make_votes


@pytest.fixture(scope="module")
def simulations():
    return {
        "ranking": simulate(make_votes([0, 1, 2, 3], each=30), seeds=2, votes=100),
        "model": simulate(comparisons(references=6, each=20), "model", seeds=2, votes=40),
    }


@pytest.mark.parametrize("goal", ["ranking", "model"])
def test_sentences_json_and_picture_are_written(simulations, goal, tmp_path):
    console = Console(file=io.StringIO(), width=200)
    report_simulation(simulations[goal], str(tmp_path), console)
    printed = console.file.getvalue()
    result = json.loads((tmp_path / "simulation.json").read_text())
    assert [curve["order"] for curve in result["curves"]] == ["random", "active"]
    assert all(sentence in printed for sentence in result["sentences"])
    assert "asked again 2 times in each order" in printed
    assert ("expected from the votes is off by" in printed) == (goal == "ranking")
    with Image.open(tmp_path / "simulation.png") as picture:
        assert picture.size[0] > 800
