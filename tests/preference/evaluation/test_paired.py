import numpy as np
import pytest

from roi_ray.preference.comparisons.examples import Examples
from roi_ray.preference.evaluation.paired import AnswerScores, choose_pairs, compare_pairs

NAMES = [
    "BASIC roi-ray",
    "ROI roi-ray",
    "BASIC paper",
    "ROI paper",
    "BASIC paper, 50 epochs",
    "ROI paper, 50 epochs",
    "method's name alone",
    "psnr",
    "lpips",
]


def test_pairs_answer_a_judges_questions_in_order() -> None:
    assert choose_pairs(NAMES, "lpips") == [
        ("ROI roi-ray", "BASIC roi-ray"),
        ("ROI paper", "BASIC paper"),
        ("ROI paper, 50 epochs", "BASIC paper, 50 epochs"),
        ("ROI roi-ray", "lpips"),
        ("ROI paper", "lpips"),
        ("ROI roi-ray", "method's name alone"),
        ("ROI paper", "method's name alone"),
        ("ROI roi-ray", "ROI paper"),
        ("BASIC roi-ray", "BASIC paper"),
        ("ROI paper", "ROI paper, 50 epochs"),
        ("BASIC paper", "BASIC paper, 50 epochs"),
    ]


def test_only_contenders_that_are_there_are_paired() -> None:
    assert choose_pairs(["BASIC roi-ray", "ROI roi-ray", "psnr"], "psnr") == [
        ("ROI roi-ray", "BASIC roi-ray"),
        ("ROI roi-ray", "psnr"),
    ]
    assert choose_pairs(["model m.safetensors"], None) == []


def test_differences_are_the_first_minus_the_second() -> None:
    none, group = np.zeros((40, 0)), np.repeat(np.arange(8), 5)
    examples = Examples((), none, none, np.ones(40), np.ones(40), group)
    loss = np.linspace(0.4, 0.8, 40)
    right = (np.arange(40) % 4 > 0).astype(float)
    scores = {
        "good": AnswerScores(loss, right),
        "bad": AnswerScores(loss + 0.1 + 0.01 * (group % 2), right * (np.arange(40) % 3 > 0)),
    }
    (result,) = compare_pairs([("good", "bad")], scores, examples)
    assert (result.first, result.second) == ("good", "bad")
    assert result.log_loss.difference.value == pytest.approx(-0.105)
    assert result.log_loss.difference.high < 0 and result.log_loss.p < 0.001
    assert result.accuracy.difference.value == pytest.approx(
        right.mean() - (right * (np.arange(40) % 3 > 0)).mean()
    )
