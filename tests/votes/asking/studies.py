"""Small studies: questions without images, and answers to them."""

from itertools import combinations

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.io.allowlist import Allowlist
from roi_ray.preference.comparisons.table import check_comparisons
from roi_ray.votes.questions.table import Questions, make_key
from roi_ray.votes.records import Answer, Ask, Screen, Vote

SCREEN = Screen(1920, 1080, 1.0, "Firefox")


def make_questions(methods=4, references=3, gold=0, **columns):
    """Make questions: all pairs of methods, about each reference; the last ones are gold."""
    pairs = [
        (f"file:///o{number}.png", *pair)
        for number in range(references)
        for pair in combinations([f"m{number:02}" for number in range(methods)], 2)
    ]
    reference, a, b = (list(column) for column in zip(*pairs, strict=True))
    uris = {
        schema.A: [f"file:///{m}/{r[8:]}" for r, m in zip(reference, a, strict=True)],
        schema.B: [f"file:///{m}/{r[8:]}" for r, m in zip(reference, b, strict=True)],
    }
    keys = [make_key(*key) for key in zip(reference, *uris.values(), strict=True)]
    is_gold = np.arange(len(pairs)) >= len(pairs) - gold
    table = pa.table(
        {
            schema.REFERENCE: reference,
            **uris,
            schema.GROUP: reference,
            schema.METHOD_A: a,
            schema.METHOD_B: b,
            schema.CODEC_A: a,
            schema.CODEC_B: b,
            schema.QUESTION: keys,
            schema.GOLD: is_gold,
            schema.EXPECTED_P_A: pa.array([1.0 if gold else None for gold in is_gold.tolist()]),
            **columns,
        }
    )
    return Questions(table, np.ones(len(pairs), bool), Allowlist(("file:///",)))


def make_answers(questions, rows, p_a, kind="question", flips=5, rater="r"):
    """Make an answer to each of some questions; all show `a` first."""
    keys = questions.table[schema.QUESTION].to_pylist()
    return [
        Answer(
            number + 1,
            Vote(
                f"v{number}",
                f"ask{number}",
                {1: "1", 0: "2", 0.5: "none"}[share],
                flips,
                5000,
                SCREEN,
            ),
            Ask(f"ask{number}", rater, keys[row], kind, "a", number),
            0.0,
        )
        for number, (row, share) in enumerate(zip(rows, p_a, strict=True))
    ]


def make_votes(scores, references=8, each=40, seed=0, ties=0.0):
    """Make comparisons that people answer by a Bradley-Terry model of known scores.

    Args:
        scores: true scores of the methods, (n,).
        references: number of references.
        each: number of votes about each.
        seed: seed of the pairs and of the answers.
        ties: share of votes that cannot decide.
    """
    random = np.random.default_rng(seed)
    scores = np.asarray(scores)
    count = references * each
    first = random.integers(len(scores), size=count)
    second = (first + random.integers(1, len(scores), size=count)) % len(scores)
    p = 1 / (1 + np.exp(scores[second] - scores[first]))
    p_a = np.where(random.random(count) < ties, 0.5, random.random(count) < p)
    names = np.array([f"m{number:02}" for number in range(len(scores))])
    place = np.arange(count) % references
    images = np.char.add(np.char.add(names, "/o")[:, None], np.arange(references).astype(str))
    reference = [f"o{number}.png" for number in place]
    return check_comparisons(
        pa.table(
            {
                schema.REFERENCE: reference,
                schema.A: images[first, place],
                schema.B: images[second, place],
                schema.P_A: p_a,
                schema.METHOD_A: names[first],
                schema.METHOD_B: names[second],
            }
        ),
        "votes",
    )
