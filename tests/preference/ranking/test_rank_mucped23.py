"""Rankings by the human choices of the study mucped23, if its files are present."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from scipy.stats import kendalltau

from roi_ray.preference.comparisons.table import table_from_rows
from roi_ray.preference.ranking.rank import rank, rank_within_bands

MUCPED23 = Path(__file__).parents[4] / "shared" / "data" / "mucped23"


@pytest.fixture(scope="module")
def study():
    """The answers of mucped23, and the mean bit rate of each method."""
    if not MUCPED23.is_dir():
        pytest.skip(f"needs the answers and images of mucped23 in {MUCPED23}")
    bpp = {
        (file.parent.name, file.stem): 8 * file.stat().st_size / 512**2
        for file in MUCPED23.glob("*/*.jpg")
    }
    rows = []
    with (MUCPED23 / "answers.csv").open() as file:
        for answer in csv.DictReader(file):
            a, b, name = answer["methodA"], answer["methodB"], answer["originalName"]
            # The answer names the image that was judged worse.
            row = {"reference": name, "p_a": float(answer["answerValue"] == "B")}
            for side, method in (("a", a), ("b", b)):
                row[side] = f"{method}/{name}.jpg"
                row[f"method_{side}"], row[f"codec_{side}"] = method, method.split("-q")[0]
                row[f"bpp_{side}"] = bpp[method, name]
            rows.append(row)
    rates = defaultdict(list)
    for (method, _), rate in bpp.items():
        rates[method].append(rate)
    return table_from_rows(rows, "mucped23"), {
        method: np.mean(values) for method, values in rates.items()
    }


def test_people_prefer_more_bits_of_the_same_codec(study) -> None:
    comparisons, rates = study
    ranks = rank(comparisons)
    assert len(ranks) == 31 and all(r.low < r.score < r.high for r in ranks)
    # jpegli was shown with and without chroma subsampling, here two codecs.
    counts = {("jpegli", "yuv444"): 9, ("jpegli", "yuv420"): 7, ("libjpeg-turbo", ""): 9}
    for (codec, subsampling), count in (counts | {("mozjpeg", ""): 6}).items():
        selected = [
            r for r in ranks if r.name.startswith(f"{codec}-q") and r.name.endswith(subsampling)
        ]
        assert len(selected) == count
        assert selected == sorted(selected, key=lambda r: -rates[r.name])
    assert kendalltau([r.score for r in ranks], [rates[r.name] for r in ranks])[0] > 0.8


def test_jpegli_leads_libjpeg_turbo_within_bands_of_bit_rate(study) -> None:
    comparisons, _ = study
    ranks_by_band = {band.lower: band.ranks for band in rank_within_bands(comparisons, "codec")}
    for lower in (0.5, 1.0):
        by_name = {r.name: r for r in ranks_by_band[lower]}
        assert by_name["jpegli"].low > 0 > by_name["libjpeg-turbo"].high
    above = (pc.field("bpp_a") >= 2) & (pc.field("bpp_b") >= 2)
    between = comparisons.filter(above & (pc.field("codec_a") != pc.field("codec_b")))
    assert sum(r.answers for r in ranks_by_band[2.0]) == 2 * between.num_rows
