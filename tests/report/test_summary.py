import io

import pyarrow as pa
import pytest
from rich.console import Console

from roi_ray import schema
from roi_ray.report.summary import average_by_quality, build_summary_table


@pytest.fixture
def scores():
    rows = []
    for codec, quality, bpp, error in [
        ("webp", 50, 0.5, None),
        ("jpeg", 90, 2.0, None),
        ("jpeg", 10, 0.2, None),
        ("jpeg", 10, 0.4, None),
        ("jpeg", 10, 9.9, "broken"),
    ]:
        row = {"distorted": "d", "codec": codec, "quality": quality, "bpp": bpp, "error": error}
        value = None if error else bpp * 10
        rows.append(row | dict.fromkeys(schema.FEATURES, value))
    return pa.Table.from_pylist(rows)


def test_means_leave_out_failed_rows(scores) -> None:
    means = average_by_quality(scores).to_pylist()
    assert [(m["codec"], m["quality"], m["images"]) for m in means] == [
        ("jpeg", 10, 2),
        ("jpeg", 90, 1),
        ("webp", 50, 1),
    ]
    assert means[0]["bpp"] == pytest.approx(0.3)
    assert means[0]["roi_lpips"] == pytest.approx(3.0)


def test_table_shows_which_direction_is_better(scores) -> None:
    console = Console(width=160, file=io.StringIO())
    console.print(build_summary_table(average_by_quality(scores)))
    text = console.file.getvalue()
    for name in schema.FEATURES:
        arrow = "↑" if schema.MEANINGS[name].better == "higher" else "↓"
        assert f"{name}{arrow}" in text
    assert len(text.splitlines()) == 4
