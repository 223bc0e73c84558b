"""Synthetic answers about named methods of three encoder families, with a known truth."""

import numpy as np
import pyarrow as pa

from roi_ray.preference.comparisons.examples import Examples

FAMILIES = ("avif", "jpeg", "webp")
METHODS_EACH = 3
SHIFT = 0.5
"""Logits by which the predictions of `make_answers` favour avif's methods."""


def make_answers(references=12, each=200, scatter=0.0, seed=0):
    """Make answers about all pairs of methods, and predictions that favour avif by `SHIFT`.

    Args:
        references: number of references.
        each: answers per reference.
        scatter: standard deviation in logits of a method's utility between references.
        seed: seed of the answers.

    Returns:
        the table; examples without features; P(people prefer a) as people answer; and the shifted
        predictions, (N,) each.
    """
    random = np.random.default_rng(seed)
    methods = [f"{family}-q{q}" for family in FAMILIES for q in range(METHODS_EACH)]
    utility = np.tile([0.0, 0.7, 1.4], len(FAMILIES)) + np.repeat([0.4, 0.0, 0.2], METHODS_EACH)
    shift = np.repeat([SHIFT, 0.0, 0.0], METHODS_EACH)
    rows = references * each
    group = np.repeat(np.arange(references), each)
    a = random.integers(len(methods), size=rows)
    b = (a + random.integers(1, len(methods), size=rows)) % len(methods)
    effects = scatter * random.normal(size=(references, len(methods)))
    logit = utility[a] - utility[b] + effects[group, a] - effects[group, b]
    p_a = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    predicted = [
        1 / (1 + np.exp(-(logit + bias))) for bias in (np.zeros(rows), shift[a] - shift[b])
    ]
    names = np.array(methods)
    family = np.repeat(FAMILIES, METHODS_EACH)
    table = pa.table(
        {
            "reference": group.astype(str),
            "group": group.astype(str),
            "a": [f"{g}/{m}.png" for g, m in zip(group, names[a], strict=True)],
            "b": [f"{g}/{m}.png" for g, m in zip(group, names[b], strict=True)],
            "p_a": p_a,
            "method_a": names[a],
            "method_b": names[b],
            "codec_a": family[a],
            "codec_b": family[b],
        }
    )
    none = np.zeros((rows, 0))
    return table, Examples((), none, none, p_a, np.ones(rows), group), *predicted
