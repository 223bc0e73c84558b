"""Find the scores of the images of comparisons, by the URIs of the reference and of the image.

URIs are made absolute: relative to the comparisons' folder, and to the folder of the scores'
manifest. If nothing matches, or the manifest's folder is unknown, the scores' URIs as written are
matched with the comparisons' URIs as written, or else with their absolute URIs.
"""

from collections.abc import Sequence

import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.provenance import read_scores_base
from roi_ray.preference.comparisons.table import Comparisons, canonical_uri
from roi_ray.runtime.logs import LOGGER

PAIR = [schema.REFERENCE, schema.DISTORTED]
"""Columns of scores that name a pair."""

_Pair = tuple[str, str]
"""URIs of a reference and of an image that is compared with it."""


def find_rows(comparisons: Comparisons, rows: pa.Table, scores: str) -> dict[str, list[int | None]]:
    """Find the row of each image's scores; None for an image without scores.

    Args:
        comparisons: from `read_comparisons`.
        rows: the scores, with the columns of `PAIR`.
        scores: path or URI of the scores.

    Returns:
        numbers of rows by side, `a` and `b`, one per comparison.

    Raises:
        ManifestError: an image has several rows.
    """
    table, base = comparisons.table, comparisons.base
    references = table[schema.REFERENCE].to_pylist()
    written: dict[str, list[_Pair]] = {
        side: list(zip(references, table[side].to_pylist(), strict=True)) for side in schema.SIDES
    }
    canonical = {
        side: [_canonical(pair, base) for pair in pairs] for side, pairs in written.items()
    }
    scored: list[_Pair] = list(zip(*(rows[name].to_pylist() for name in PAIR), strict=True))
    scores_base = read_scores_base(scores)
    if scores_base is not None:
        index = _RowIndex([_canonical(pair, scores_base) for pair in scored], scores)
        matched = {side: [index.find(pair) for pair in pairs] for side, pairs in canonical.items()}
        if any(row is not None for side_rows in matched.values() for row in side_rows):
            return matched
        LOGGER.warning(
            "no image of the comparisons (relative to %s) is in %s (relative to %s): "
            "matching their URIs as written instead",
            base,
            scores,
            scores_base,
        )
    index = _RowIndex(scored, scores)
    return {
        side: [
            index.find(pair if pair in index else absolute)
            for pair, absolute in zip(pairs, canonical[side], strict=True)
        ]
        for side, pairs in written.items()
    }


class _RowIndex:
    """Index of the rows of scores by pair."""

    def __init__(self, pairs: Sequence[_Pair], scores: str) -> None:
        self._scores = scores
        self._rows: dict[_Pair, int] = {}
        self._repeated = set()
        for row, pair in enumerate(pairs):
            if self._rows.setdefault(pair, row) != row:
                self._repeated.add(pair)

    def __contains__(self, pair: _Pair) -> bool:
        return pair in self._rows

    def find(self, pair: _Pair) -> int | None:
        """Find the number of the pair's row, or None.

        Raises:
            ManifestError: the pair has several rows.
        """
        if pair in self._repeated:
            raise ManifestError(
                f"{self._scores} has several rows for {pair[1]} with the reference {pair[0]}, "
                "such as scores under several masks: give scores with one row per pair"
            )
        return self._rows.get(pair)


def _canonical(pair: _Pair, base: str) -> _Pair:
    return canonical_uri(pair[0], base), canonical_uri(pair[1], base)
