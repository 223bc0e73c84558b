"""The command line of `roi-ray rank`."""

import json
import re

import pytest

from roi_ray.preference.comparisons.table import (
    read_comparisons,
    table_from_rows,
    write_comparisons,
)
from tests.conftest import strip_colours


@pytest.fixture
def comparisons(tmp_path):
    """AVIF wins over JPEG for two of three images, at two bit rates; one row is a control."""
    rows = []
    for image, p_a in [("1", 0.9), ("2", 0.8), ("3", 0.3)]:
        for quality, bpp in [(10, 0.4), (90, 1.4)]:
            row = {"reference": f"{image}.png", "p_a": p_a, "bpp_a": bpp, "bpp_b": bpp}
            for side, codec in (("a", "avif"), ("b", "jpeg")):
                row[side] = f"{image}.{quality}.{codec}"
                row[f"codec_{side}"], row[f"method_{side}"] = codec, f"{codec}-{quality}"
            rows.append(row)
    rows.append(rows[0] | {"p_a": 0.0, "gold": True})
    uri = str(tmp_path / "comparisons.parquet")
    write_comparisons(uri, table_from_rows(rows, "test"))
    return uri


def test_help_explains_every_option(run, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = strip_colours(run("--help").output)
    assert all(option in text for option in ("--comparisons", "--output", "--labels", "--by"))
    assert "[default: p_a]" in text and "[default: method]" in text


def test_codecs_are_ranked_overall_and_per_band(run, comparisons, tmp_path) -> None:
    result = run("--comparisons", comparisons, "--by", "codec", "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "7 comparisons, 6 used" in result.stdout
    for title in ("all bit rates", "0.25..0.5 bits per pixel", "1..2 bits per pixel"):
        assert f"codecs by p_a, {title}" in result.stdout
    assert len(re.findall(r"1 +avif +\+0\.", result.stdout)) == 3

    assert {file.name for file in (tmp_path / "out").iterdir()} == {"ranking.json", "ranking.png"}
    written = json.loads((tmp_path / "out" / "ranking.json").read_bytes())
    assert [r["name"] for r in written["ranks"]] == ["avif", "jpeg"]
    assert written["ranks"][0]["win_rate"] == pytest.approx(2 / 3)
    assert [(band["lower"], band["upper"]) for band in written["bands"]] == [(0.25, 0.5), (1, 2)]
    assert written["win_rates"]["names"] == ["avif", "jpeg"]
    assert written["source"] == {
        "comparisons": comparisons,
        "sha256": read_comparisons(comparisons).sha256,
        "rows": 7,
        "used": 6,
    }
    assert (tmp_path / "out" / "ranking.png").read_bytes().startswith(b"\x89PNG")


def test_unlinked_codecs_get_a_table_per_group(run, tmp_path) -> None:
    lines = ["reference,a,b,codec_a,codec_b,p_a"]
    lines += [f"{i}.png,{i}.avif,{i}.jpg,avif,jpeg,1" for i in range(20)]
    lines += [f"{i}.png,{i}.webp,{i}.jxl,webp,jxl,{i % 2}" for i in range(3)]
    (tmp_path / "c.csv").write_text("\n".join(lines))
    arguments = ("--comparisons", tmp_path / "c.csv", "--by", "codec", "--output", tmp_path)
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    printed = re.sub(r"\s+", " ", result.stdout)
    assert "all bit rates, group 1 of 2" in printed and "all bit rates, group 2 of 2" in printed
    assert re.search(r"1 avif \+1\.97 \+\d\.\d\d \.\. \+\d\.\d\d 20 1\.00", printed)
    assert re.search(r"1 jxl \+0\.\d\d - 3 0\.67", printed)
    assert "No comparison links the 2 groups" in printed
    assert "In group 1, every answer between two of these parts" in printed
    written = json.loads((tmp_path / "ranking.json").read_bytes())
    assert [(r["name"], r["group"], r["block"], r["references"]) for r in written["ranks"]] == [
        ("avif", 1, 1, 20),
        ("jpeg", 1, 2, 20),
        ("jxl", 2, 1, 3),
        ("webp", 2, 1, 3),
    ]
    assert len(written["notes"]) == 3


def test_methods_are_ranked_by_default(run, comparisons, tmp_path) -> None:
    run("--comparisons", comparisons, "--output", tmp_path)
    written = json.loads((tmp_path / "ranking.json").read_bytes())
    assert {r["name"] for r in written["ranks"]} == {"avif-10", "avif-90", "jpeg-10", "jpeg-90"}


def test_predictions_are_ranked_without_answers(run, tmp_path) -> None:
    (tmp_path / "c.csv").write_text(
        "reference,a,b,method_a,method_b,p_a_preferred,error\n"
        "r.png,a.jpg,b.jpg,a,b,0.2,\nr.png,a.jpg,c.jpg,a,c,,c.jpg: no such file\n"
    )
    arguments = ("--comparisons", tmp_path / "c.csv", "--output", tmp_path)
    assert run(*arguments, "--labels", "p_a_preferred").exit_code == 0
    written = json.loads((tmp_path / "ranking.json").read_bytes())
    assert [r["name"] for r in written["ranks"]] == ["b", "a"]
    assert written["source"]["used"] == 1

    result = run(*arguments)
    assert result.exit_code == 2
    assert "column 'p_a' is missing" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--labels", "p_a_preferred"), "predict before you rank"),
        (("--labels", "votes"), "Invalid value"),
        (("--by", "quality"), "Invalid value"),
        (("--comparisons", "no-such.csv"), "no-such.csv"),
    ],
)
def test_unusable_comparisons_exit_with_2(run, comparisons, tmp_path, arguments, text) -> None:
    output = tmp_path / "out"
    result = run("--comparisons", comparisons, "--output", output, *arguments)
    assert result.exit_code == 2
    assert text in strip_colours(result.stderr)
    assert not output.exists()
