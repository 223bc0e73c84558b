"""Find what questions link: what can be ranked in one order."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema


def find_groups(table: pa.Table, by: str) -> list[list[str]]:
    """Find the groups of methods or codecs that chains of questions link.

    Args:
        table: questions; gold ones do not count.
        by: `method` or `codec`.

    Returns:
        the names of each group, sorted, the largest group first; empty if the questions do not
        have names.

    Examples:
        >>> columns = {"method_a": ["x", "y", "v"], "method_b": ["y", "z", "w"]}
        >>> table = pa.table({**columns, "gold": [False, False, False]})
        >>> find_groups(table, "method")
        [['x', 'y', 'z'], ['v', 'w']]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names = [f"{by}_{side}" for side in schema.SIDES]
    if not set(names) <= set(table.column_names):
        return []
    asked = table.filter(pc.invert(table[schema.GOLD])).select(names).drop_null()
    texts, codes = np.unique(
        np.concatenate([asked[name].to_numpy().astype(str) for name in names]), return_inverse=True
    )
    a, b = codes.reshape(2, -1)
    links = coo_array((np.ones(len(a)), (a, b)), shape=(len(texts), len(texts)))
    count, groups = connected_components(links, directed=False)
    found = [texts[groups == number].tolist() for number in range(count)]
    return sorted(found, key=lambda group: (-len(group), group))
