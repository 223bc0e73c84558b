import dataclasses
import io
import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from roi_ray.preference.ranking.rank import Band, Rank, WinRates
from roi_ray.report.ranking import _draw_scores, draw, to_dict, to_table
from roi_ray.report.ranking_notes import describe_limits, split_by_group


def ranks(n: int) -> list[Rank]:
    """Make ranks, best first; the last has no interval, the first lies at an end of its own."""
    known = [
        Rank(f"codec-{i}[x]", n - i, n - i - 0.5, n - i + 1.0, 10, 0.5, 1.2, 9)
        for i in range(n - 1)
    ]
    known[0] = Rank("codec-0[x]", n, n, n + 0.2, 10, 0.5, 0.7, 9)
    return [*known, Rank("few", -3.0, np.nan, np.nan, 1, 0.0, None, 1)]


def rates(n: int) -> WinRates:
    share = np.full((n, n), 0.5)
    share[np.diag_indices(n)] = np.nan
    return WinRates([r.name for r in ranks(n)], share, np.ones((n, n)))


def test_table_shows_directions_and_unknown_intervals() -> None:
    console = Console(width=120, file=io.StringIO())
    console.print(to_table(ranks(3), "codecs"))
    title, header, *rows = [line.split() for line in console.file.getvalue().splitlines()]
    assert title == ["codecs"]
    assert "score↑" in header and "rate↑" in header and "bits" in header
    assert rows[1] == ["2", "codec-1[x]", "+2.00", "+1.50", "..", "+3.00", "10", "0.50", "1.20"]
    assert rows[2] == ["3", "few", "-3.00", "-", "1", "0.00"]


def test_unknown_values_are_null_in_json() -> None:
    bands = [Band(2.0, np.inf, ranks(2))]
    result = to_dict(ranks(2), bands, rates(2), "codec", "p_a")
    parsed = json.loads(json.dumps(result, allow_nan=False))
    assert parsed["ranks"][1]["low"] is None and parsed["ranks"][1]["score"] == -3.0
    assert parsed["notes"] == parsed["bands"][0]["notes"] == describe_limits(ranks(2), "codec")
    assert parsed["bands"][0]["lower"] == 2.0 and parsed["bands"][0]["upper"] is None
    assert parsed["win_rates"]["share"] == [[None, 0.5], [0.5, None]]
    assert parsed["settings"]["by"] == "codec" and parsed["settings"]["seed"] == 0


@pytest.mark.parametrize("n", [2, 30])
def test_picture_grows_with_the_number_of_names(n) -> None:
    image = Image.open(io.BytesIO(draw(ranks(n), rates(n), "codec", "p_a")))
    assert image.format == "PNG"
    assert (image.height > 800) == (n == 30)


def test_picture_of_many_names_has_a_limited_size() -> None:
    image = Image.open(io.BytesIO(draw(ranks(150), rates(150), "method", "p_a")))
    assert 4000 < max(image.size) < 5500


def test_names_with_dollar_signs_are_not_formulas() -> None:
    several, shares = ranks(2), rates(2)
    several[0] = dataclasses.replace(several[0], name=r"a$\\x$")
    shares.names[0] = several[0].name
    assert draw(several, shares, "codec", "p_a").startswith(b"\x89PNG")


def test_notes_say_what_a_ranking_cannot_say() -> None:
    """Two groups: in the first, all answers prefer one part to another; the second is short."""
    several = [
        *(dataclasses.replace(r, block=2 if i > 5 else 1) for i, r in enumerate(ranks(8)[:-1])),
        *(dataclasses.replace(r, group=2) for r in ranks(2)),
    ]
    assert [len(group) for group in split_by_group(several)] == [7, 2]
    unlinked, one_sided, missing = describe_limits(several, "codec")
    assert "No comparison links the 2 groups" in unlinked and "two codecs" in unlinked
    assert "In group 1, every answer between two of these parts" in one_sided
    assert "codec-0[x], codec-1[x], codec-2[x] and 3 more | codec-6[x]." in one_sided
    assert "(-)" in missing and "fewer than 6 references" in missing
    assert describe_limits(ranks(4)[:3], "codec") == []


def test_picture_has_a_line_between_groups() -> None:
    axes = Figure().subplots()
    _draw_scores(axes, [*ranks(3), *(dataclasses.replace(r, group=2) for r in ranks(2))])
    heights = [line.get_ydata()[0] for line in axes.get_lines() if line.get_color() == "black"]
    assert heights == [2.5]
    assert "cannot be compared" in axes.get_title()
