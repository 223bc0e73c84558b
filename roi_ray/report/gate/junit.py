"""The outcome of a gate as JUnit XML, which GitHub, GitLab and Jenkins show beside other tests.

It is valid by the schema of Ant's JUnit task, the strictest that is common: all of its attributes,
`properties` first, and text of the suite only. JUnit knows no warnings: what passes but is not
proven is `skipped`, with the reason.
"""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from roi_ray.decision.gate.gate import Gate
from roi_ray.report.gate.tables import (
    CELLS,
    EXPLANATION,
    describe_provenance,
    describe_verdict,
    format_numbers,
    is_bad,
)

_SUITE = "roi-ray gate"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0, section 2.2, does not allow, not even escaped."""


def to_junit(gate: Gate, seconds: float) -> bytes:
    """Write the outcome as JUnit XML.

    Args:
        gate: the outcome.
        seconds: time that the comparison took.
    """
    root = ET.Element("testsuites")
    bad = [is_bad(check) for check in gate.checks] + [
        True if cell.problem else None for cell in gate.cells
    ]
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": _SUITE,
            "package": "roi_ray",
            "id": "0",
            "hostname": "localhost",
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "tests": str(len(bad)),
            "failures": str(bad.count(True)),
            "errors": "0",
            "skipped": str(bad.count(False)),
            "time": f"{seconds:.3f}",
        },
    )
    properties = ET.SubElement(suite, "properties")
    for side, scores in (("baseline", gate.baseline), ("candidate", gate.candidate)):
        for name, value in describe_provenance(scores).items():
            _add(properties, "property", name=f"{side}.{name}", value=value)
    _add(properties, "property", name="images", value=gate.images.describe())
    _add(properties, "property", name="require proof", value=str(gate.require_proof).lower())
    for cell in gate.cells:
        case = _add_case(suite, str(cell.codec), CELLS)
        if cell.problem:
            _add(case, "failure", cell.problem, type="incomplete", message=cell.problem)
    for check in gate.checks:
        case = _add_case(suite, str(check.codec), check.metric)
        numbers = format_numbers(check).items()
        text = "\n".join([check.reason, *(f"{name}: {value}" for name, value in numbers)])
        if check.fails:
            _add(case, "failure", text, type=check.verdict.value, message=check.reason)
        elif is_bad(check) is False:
            _add(case, "skipped", text, message=f"{check.verdict}: {check.reason}")
    _add(suite, "system-out", f"{describe_verdict(gate)}\n{EXPLANATION}")
    _add(suite, "system-err", "\n".join(gate.notes))
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _add_case(suite: ET.Element, codec: str, name: str) -> ET.Element:
    # Readers split a class's name at its last dot.
    return _add(suite, "testcase", classname=f"gate.{codec}", name=name, time="0")


def _add(parent: ET.Element, tag: str, text: str | None = None, **values: str) -> ET.Element:
    clean = {name: _clean(value) for name, value in values.items()}
    element = ET.SubElement(parent, tag, clean)
    element.text = None if text is None else _clean(text)
    return element


def _clean(text: str) -> str:
    """Escape characters that XML does not allow, as Python does."""
    return _NOT_XML.sub(lambda found: ascii(found.group())[1:-1], text)
