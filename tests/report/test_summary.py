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


@pytest.fixture
def sparse(scores):
    """The scores, in which no image of webp and one of two of jpeg 10 has a region of interest."""
    for name in schema.ROI_FEATURES:
        values = scores[name].to_pylist()
        values[0] = values[2] = None
        index = scores.column_names.index(name)
        scores = scores.set_column(index, name, pa.array(values, pa.float64()))
    return scores


def test_means_under_the_mask_leave_out_images_without_a_region(sparse) -> None:
    low, high, webp = average_by_quality(sparse).to_pylist()
    assert [row["images"] for row in (low, high, webp)] == [2, 1, 1]
    assert [row["roi_images"] for row in (low, high, webp)] == [1, 1, 0]
    assert low["psnr"] == pytest.approx(3.0) and low["bpp"] == pytest.approx(0.3)
    assert low["roi_psnr"] == pytest.approx(4.0) and low["roi_bpp"] == pytest.approx(0.4)
    assert webp["psnr"] == pytest.approx(5.0)
    assert all(webp[name] is None for name in ("roi_bpp", *schema.ROI_FEATURES))


def test_table_says_how_many_images_have_no_region(scores, sparse) -> None:
    assert "no region" not in render(scores)
    text = render(sparse)
    assert "nan" not in text and "None" not in text
    assert "2 of 4 images have no region of interest: the roi_ numbers are means over the" in text
    webp = next(line.split() for line in text.splitlines() if line.startswith("webp"))
    assert webp == ["webp", "50", "1", "0.50", "5.00", *["5.0000"] * 3, "0", *["-"] * 5]


def render(scores):
    console = Console(width=160, file=io.StringIO())
    console.print(build_summary_table(average_by_quality(scores)))
    return console.file.getvalue()


def test_table_shows_which_direction_is_better(scores) -> None:
    text = render(scores)
    for name in schema.FEATURES:
        arrow = "↑" if schema.MEANINGS[name].better == "higher" else "↓"
        assert f"{name}{arrow}" in text
    assert len(text.splitlines()) == 4
