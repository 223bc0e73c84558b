"""Rows of manifests, and a function that writes them in any format."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = {
    "reference": ["a.png", "a.png", "b.png"],
    "distorted": ["a-1.jpg", "a-2.jpg", "b-1.jpg"],
    "codec": ["jpeg", "jpeg", "webp"],
    "quality": [10, 20, 30],
    "bpp": [0.1, 0.25, 0.5],
}

MANY = {
    "reference": [f"{row % 7}.png" for row in range(40)],
    "distorted": [f"{row}.jpg" for row in range(40)],
    "quality": list(range(40)),
}


def write_rows(path: Path, rows: Mapping[str, Sequence[Any]]) -> str:
    """Write columns as Parquet, CSV or JSON Lines, by the path's suffix; return the path."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table(rows), path)
    elif path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        lines = (
            dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)
        )
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)
