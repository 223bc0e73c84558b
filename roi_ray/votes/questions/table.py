"""The table of all questions of a study."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.io.allowlist import Allowlist

_KEY_BYTES = 16


@dataclass(frozen=True, eq=False)
class Questions:
    """The questions of a study.

    Attributes:
        table: one row per question, N rows. Always `reference`, `a` and `b` (absolute URIs, one
            spelling per file), `group`, `question` (its key, see `make_key`), `gold` (never null)
            and `expected_p_a` (0..1 where `gold` is true, else null). If they are known,
            `method_a`, `codec_a`, `bpp_a`, features, `roi_fraction_a`, those of `b`, `scored_with`,
            `split` and `dataset`. No other column: it might be about an earlier answer, such as
            `p_a`, or name a person.
        is_open: whether each question may be asked, (N,): not those of earlier runs that the
            source no longer has.
        allowlist: folders whose images may be opened.
    """

    table: pa.Table
    is_open: NDArray[np.bool_]
    allowlist: Allowlist

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def find(self, key: str) -> int:
        """Find the row of a question.

        Args:
            key: the question's key, see `make_key`.

        Raises:
            KeyError: there is no such question.
        """
        return self._rows[key]

    @cached_property
    def is_gold(self) -> NDArray[np.bool_]:
        """Whether the right answer of each question is known, (N,)."""
        gold: NDArray[np.bool_] = self.table[schema.GOLD].to_numpy().astype(bool)
        return gold

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self.table[schema.QUESTION].to_pylist())}


def make_key(reference: str, a: str, b: str) -> str:
    """Make the key of a question: the same if `a` and `b` are exchanged.

    Args:
        reference: absolute URI of the original, in its only spelling; see `canonical_uri`.
        a: URI of a candidate, likewise.
        b: URI of the other candidate, likewise.

    Returns:
        32 hexadecimal digits.

    Examples:
        >>> make_key("file:///o.png", "file:///a.jpg", "file:///b.jpg")
        '48a6c4a9e9e7f6e2b6d58eef9bcae497'
        >>> make_key("file:///o.png", "file:///b.jpg", "file:///a.jpg")
        '48a6c4a9e9e7f6e2b6d58eef9bcae497'
    """
    # No name of a file contains a zero byte.
    names = "\0".join((reference, *sorted((a, b))))
    return hashlib.sha256(names.encode()).hexdigest()[: 2 * _KEY_BYTES]
