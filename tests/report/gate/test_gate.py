"""The outcome of a gate as text, JSON, JUnit XML and Markdown."""

import io
import json
import re
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from roi_ray.decision.gate.gate import run_gate
from roi_ray.report.gate.junit import to_junit
from roi_ray.report.gate.markdown import escape, to_markdown
from roi_ray.report.gate.tables import describe_verdict, gate_to_dict, make_gate_table
from tests.decision.gate.gate_tables import (
    change,
    draw_factors,
    fail,
    make_rows,
    scale_rates,
    write_table,
)

HOSTILE = "a|b `c` <script>&'\" @team #1 [x](y) \x00\x1b[31m\ud7ff\ufffe\n_z_ https://evil.example"
LIMITS = {"ms_ssim": 0.5, "roi_lpips": 3.0}


@pytest.fixture
def gates(tmp_path):
    """A gate with one of everything: worse, within, not proven, incomplete, unchanged."""

    def read(name, rows):
        return write_table(tmp_path / name, rows)

    old = [row for codec in ("same", "slow", "noisy", HOSTILE) for row in make_rows(codec=codec)]
    new = [
        *make_rows(codec="same"),
        *make_rows(codec="slow", rate=1.02),
        *scale_rates(make_rows(codec="noisy"), draw_factors(1.004, 0.01, 12)),
        *change(make_rows(codec=HOSTILE), fail, [7]),
    ]
    return run_gate(read("old.parquet", old), read("new.parquet", new), LIMITS)


def render(gate, width):
    console = Console(width=width, file=io.StringIO())
    console.print(make_gate_table(gate, width))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_table_has_a_row_for_each_check(gates, width) -> None:
    text = render(gates, width)
    assert max(map(len, text.splitlines())) <= width
    rows = {tuple(line.split()[:2]): line for line in text.splitlines()}
    assert "unchanged" in rows["same", "ms_ssim"]
    assert re.search(r"WORSE +\+2\.00 +\+2\.00 \.\. \+2\.00 +\+0\.5", rows["slow", "ms_ssim"])
    assert "within" in rows["slow", "roi_lpips"]
    assert "not proven" in rows["noisy", "ms_ssim"]
    assert ("worst image" in text) is (width == 120)
    assert "\x1b" not in text and "\x00" not in text
    assert describe_verdict(gates) == "FAIL: 4 of 12 checks failed, 1 of 12 not proven"


def test_json_has_everything_and_null_for_what_is_not_valid(gates) -> None:
    document = json.loads(json.dumps(gate_to_dict(gates), allow_nan=False))
    assert document["passes"] is False
    assert document["images"]["compared"] == 12
    checks = {(check["codec"], check["metric"]): check for check in document["checks"]}
    slow = checks["slow", "ms_ssim"]
    assert slow["mean"]["value"] == pytest.approx(2) and slow["fails"] is True
    assert len(slow["per_image"]) == 12
    assert slow["mean_curves"]["value"] == pytest.approx(2)
    broken = checks[HOSTILE, "ms_ssim"]
    assert broken["per_image"]["/photos/07.png"] is None
    assert broken["images_not_valid"] == {"fewer than 4 points": 1}
    cells = {cell["codec"]: cell for cell in document["cells"]}
    assert cells[HOSTILE]["fails"] and cells[HOSTILE]["candidate_failed"] == {"CodecError": 5}


TOKEN = r"\S(?:.*\S)?"
"""What remains of a value of XML Schema's type `token`."""

SUITE = {
    "name": TOKEN,
    "package": TOKEN,
    "id": r"\d+",
    "hostname": TOKEN,
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    "tests": r"\d+",
    "failures": r"\d+",
    "errors": r"\d+",
    "skipped": r"\d+",
    "time": r"\d+\.\d+",
}
"""Attributes that the schema of Ant's JUnit task requires of a suite, and `skipped`."""


def check_junit(document: bytes) -> ET.Element:
    """Check a document by the rules of the schemas of Ant's JUnit task and of Jenkins."""
    root = ET.fromstring(document)
    assert (root.tag, root.attrib) == ("testsuites", {})
    (suite,) = root
    assert suite.tag == "testsuite" and suite.attrib.keys() == SUITE.keys()
    for name, pattern in SUITE.items():
        assert re.fullmatch(pattern, suite.attrib[name]), name
    tags = [child.tag for child in suite]
    cases = suite.findall("testcase")
    expected = ["properties", *["testcase"] * len(cases), "system-out", "system-err"]
    assert tags == expected
    for item in suite.find("properties"):
        assert item.tag == "property" and item.attrib.keys() == {"name", "value"}
        assert item.attrib["name"]
    assert len(cases) == int(suite.attrib["tests"])
    for case in cases:
        assert case.attrib.keys() == {"name", "classname", "time"}
        float(case.attrib["time"])
        assert len(case) <= 1
        for child in case:
            keys = {"failure": {"message", "type"}, "skipped": {"message"}}[child.tag]
            assert child.attrib.keys() == keys
    for tag, name in (("failure", "failures"), ("skipped", "skipped")):
        assert len(suite.findall(f"testcase/{tag}")) == int(suite.attrib[name])
    return suite


def test_junit_is_valid_and_has_every_check(gates) -> None:
    suite = check_junit(to_junit(gates, 1.25))
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("12", "4")
    assert (suite.attrib["skipped"], suite.attrib["time"]) == ("1", "1.250")
    cases = {(c.attrib["classname"], c.attrib["name"]): c for c in suite.findall("testcase")}
    assert len(cases) == 12
    failure = cases["gate.slow", "ms_ssim"].find("failure")
    assert failure.attrib["type"] == "worse"
    assert failure.attrib["message"].startswith("all of +2.00 .. +2.00 % is above the limit of")
    skipped = cases["gate.noisy", "ms_ssim"].find("skipped")
    assert skipped.attrib["message"].startswith("not proven: the limit of +0.5 % is inside ")
    assert len(cases["gate.same", "ms_ssim"]) == 0 == len(cases["gate.same", "cells"])
    properties = {p.attrib["name"]: p.attrib["value"] for p in suite.find("properties")}
    assert properties["baseline.scores"].endswith("old.parquet")
    assert properties["candidate.scores"].endswith("new.parquet")
    assert properties["images"] == "12 images that both have, matched: 12 by URI"


def test_junit_escapes_what_xml_does_not_allow(gates) -> None:
    document = to_junit(gates, 0)
    suite = check_junit(document)
    names = {case.attrib["classname"] for case in suite.findall("testcase")}
    (hostile,) = (name for name in names if "script" in name)
    assert hostile.startswith("gate.a|b `c` <script>&'\" @team #1 [x](y) \\x00\\x1b[31m")
    assert "\\ufffe" in hostile
    assert b"<script>" not in document


def parse_tables(text: str) -> list[list[list[str]]]:
    """Split the tables of a Markdown document into cells, as GitHub does."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()] for block in blocks]


def test_markdown_has_verdict_table_reasons_and_details(gates) -> None:
    text = to_markdown(gates)
    assert text.startswith("### ❌ roi-ray gate: FAIL: 4 of 12 checks failed, 1 of 12 not proven\n")
    for table in parse_tables(text):
        assert {len(row) for row in table} == {len(table[0])}
    first = parse_tables(text)[0]
    rows = {tuple(cell.strip() for cell in row[:2]): [c.strip() for c in row] for row in first}
    slow = rows["<code>slow</code>", "<code>ms_ssim</code>"]
    assert slow[2:6] == ["❌ worse", "+2.00", "+2.00 .. +2.00", "+0.5"]
    assert rows["<code>noisy</code>", "<code>ms_ssim</code>"][2] == "⚠️ not proven"
    assert rows["<code>same</code>", "<code>ms_ssim</code>"][2] == "✅ unchanged"
    assert "- **failed**: slow, ms_ssim: all of +2.00 .. +2.00 % is above the limit" in text
    before, details = text.split("<details>")
    assert "12 images that both have, matched: 12 by URI." in details.split("</details>")[0]
    assert "<summary>" not in before


def test_markdown_shows_hostile_names_as_they_are(gates) -> None:
    text = to_markdown(gates)
    assert "<script>" not in text and "\x1b" not in text and "\x00" not in text
    for fragment in ("a|b", "@team", "[x]", "`c`", "https://", "#1 "):
        assert fragment not in text, fragment
    assert "<code>a&#124;b &#96;c&#96; &#60;script&#62;&#38;" in text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("roi_lpips: +0.5 %", "roi_lpips: +0.5 %"),
        ("_x_ *y*", "&#95;x&#95; &#42;y&#42;"),
        ("@a/b", "<span>@</span>a/b"),
        ("a\n\n# b", "a <span>#</span> b"),
        ("a|b\\|c", "a&#124;b&#92;&#124;c"),
    ],
)
def test_escape(text, escaped) -> None:
    assert escape(text) == escaped
