import dataclasses

import pyarrow as pa
import pytest
import torch
from torch import nn

from roi_ray.errors import ManifestError, SizeMismatch
from roi_ray.io import storage
from roi_ray.models.saliency import Saliency
from roi_ray.preference.comparisons.table import Comparisons, table_from_rows
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from roi_ray.training.choice_accuracy import (
    _score_under_masks,
    centre_gaussian,
    make_mask_functions,
    measure_choice_accuracy,
)
from tests.conftest import encode, jpeg, write


@pytest.fixture
def comparisons(tmp_path, photos):
    """One candidate is bad in its left half, one in its right; people look at the left half."""
    rows = []
    for name in ("coffee", "chelsea"):
        x = photos[name][:200, :300]
        half, bad = x.copy(), jpeg(x, 5)
        half[:, :150] = bad[:, :150]
        other = x.copy()
        other[:, 150:] = bad[:, 150:]
        for file, pixels in (("x", x), ("left", half), ("right", other)):
            write(tmp_path / f"{name}-{file}.png", encode(pixels))
        for a, b, p_a in (("left", "right", 0), ("right", "left", 1)):
            sides = {"a": f"{name}-{a}.png", "b": f"{name}-{b}.png"}
            rows.append({"reference": f"{name}-x.png", **sides, "p_a": p_a})
    return Comparisons(table_from_rows(rows, "halves"), "halves", str(tmp_path), "0" * 64)


def test_accuracy_is_1_under_a_mask_of_where_people_look_and_0_elsewhere(comparisons):
    left, right = torch.zeros(200, 300), torch.zeros(200, 300)
    left[:, :150] = 1
    right[:, 150:] = 1
    accuracy = measure_choice_accuracy(
        comparisons, {"left": lambda image: left, "right": lambda image: right}
    )
    assert accuracy["left"].value == 1
    assert accuracy["right"].value == 0


def test_rows_without_an_answer_and_control_questions_are_left_out(comparisons, photos):
    ones = {"ones": lambda image: torch.ones(200, 300)}
    unanswered = comparisons.table.slice(0, 1)
    index = comparisons.table.column_names.index("p_a")
    unanswered = unanswered.set_column(index, "p_a", pa.array([None], pa.float64()))
    gold = [False] * len(comparisons.table) + [False, True]
    more = pa.concat_tables([comparisons.table, unanswered, comparisons.table.slice(1, 1)])
    more = more.append_column("gold", pa.array(gold))
    accuracy = measure_choice_accuracy(dataclasses.replace(comparisons, table=more), ones)
    assert accuracy == measure_choice_accuracy(comparisons, ones)
    with pytest.raises(ManifestError, match="no row has an answer"):
        measure_choice_accuracy(dataclasses.replace(comparisons, table=unanswered), ones)
    small = storage.join(comparisons.base, comparisons.table["a"][0].as_py())
    storage.write_bytes(small, encode(photos["coffee"][:100, :300]))
    with pytest.raises(SizeMismatch, match="coffee-left.png is not of the size"):
        measure_choice_accuracy(comparisons, ones)


def test_ms_ssim_under_a_mask_equals_the_scorer(comparisons, tmp_path, photos):
    scorer = Scorer(Settings(roi_weighting="normalised"))
    x = photos["coffee"][:200, :300]
    prepared = scorer.prepare(x)
    bad = x.copy()
    bad[:, :150] = jpeg(x, 5)[:, :150]
    (scores,) = scorer.score(prepared, [bad])
    masks = {"n": lambda image: prepared.mask, "ones": lambda image: torch.ones(200, 300)}
    images = ["coffee-left.png"]
    scored = _score_under_masks(masks, str(tmp_path), "coffee-x.png", images)
    under_n, under_ones = scored["coffee-left.png"]
    assert under_ones == pytest.approx(scores.ms_ssim, abs=1e-6)
    assert under_n == pytest.approx(scores.roi_ms_ssim, abs=1e-6)
    assert abs(under_n - under_ones) > 1e-3


def test_empty_mask_gives_the_number_of_the_whole_image(comparisons):
    masks = {
        "empty": lambda image: torch.zeros(200, 300),
        "ones": lambda image: torch.ones(200, 300),
    }
    images = ["coffee-left.png"]
    scored = _score_under_masks(masks, comparisons.base, "coffee-x.png", images)
    empty, ones = scored["coffee-left.png"]
    assert empty == pytest.approx(ones, abs=1e-6)
    assert ones < 0.99


def test_mask_functions_give_network_centre_and_ones():
    class NothingSalient(nn.Module):
        def forward(self, x):
            return torch.full_like(x[:, :1], -20.0)

    masks = make_mask_functions(Saliency(NothingSalient(), 32, (0.5,) * 3, (0.5,) * 3))
    image = torch.rand(3, 120, 200)
    assert masks["this network"](image).max() < 1e-6
    assert masks["ones"](image).min() == 1
    middle = centre_gaussian(120, 200)
    assert middle.shape == (120, 200)
    assert middle.max() == middle[59:61, 99:101].max() > 0.99
    torch.testing.assert_close(middle, middle.flip(0))
    torch.testing.assert_close(middle, middle.flip(1))
