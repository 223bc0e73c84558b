"""One self-contained HTML file that shows the decision between the codecs of a sweep.

The file needs no network and no other file: scripts, styles and numbers are in it. It is opened
from disk in any browser.
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

import roi_ray
from roi_ray.decision.decide import Decision
from roi_ray.decision.flags import Flag
from roi_ray.decision.mean_curves import MIN_VALID
from roi_ray.report.page.cells import build_cells
from roi_ray.report.page.data import build_data
from roi_ray.report.page.preferences import build_preference
from roi_ray.report.page.tables import Footnotes, build_details, build_overview, order_codecs
from roi_ray.report.page.text import THIN, is_roi, label_metric
from roi_ray.report.page.times import build_time_rows
from roi_ray.runtime.words import count_noun
from roi_ray.verification.record import describe_record

if TYPE_CHECKING:
    from roi_ray.report.gallery.items import Gallery

TEMPLATES = Path(__file__).with_name("assets")

_SCRIPTS = ("charts.js", "summary.js", "curves.js", "times.js", "where.js", "cells.js", "start.js")


def write_page(decision: Decision, gallery: "Gallery | None" = None) -> bytes:
    """Write the page of a decision.

    Args:
        decision: what the page is about.
        gallery: pictures of the cells that show most; None for a page without pictures.

    Returns:
        an HTML document, UTF-8.
    """
    notes = Footnotes()
    codecs, images = len(decision.codecs), len(decision.scores.images)
    context = {
        "title": f"{count_noun(codecs, 'codec')}, {count_noun(images, 'image')}",
        "decision": decision,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": roi_ray.__version__,
        "verdict": decision.verdict,
        "deciding": label_metric(decision.metrics[0]),
        "overview": build_overview(decision, notes),
        "details": build_details(decision, notes),
        "notes": notes,
        "flags": [str(flag) for flag in Flag],
        "min_valid": f"{MIN_VALID:.0%}".replace("%", " %"),
        "has_region": any(map(is_roi, decision.metrics)),
        "gallery": gallery,
        **_describe_preference(decision),
        **_describe_times(decision),
        **_describe_quality(decision),
        "data": to_script_json(build_data(decision)),
        "cells": to_script_json(build_cells(decision)),
        "label_metric": label_metric,
    }
    environment = _make_environment()
    return environment.get_template("page.html").render(context).encode()


def _describe_preference(decision: Decision) -> dict[str, Any]:
    found = decision.preference
    return {
        "preference": None if found.missing else build_preference(found),
        "preference_missing": found.missing,
    }


def _describe_times(decision: Decision) -> dict[str, Any]:
    times = decision.times
    if times.reason:
        return {"times": None, "times_missing": f"There are no times: {times.reason}."}
    rows = build_time_rows(times, order_codecs(decision))
    memory = any(any(row.memory) for row in rows)
    return {"times": times, "times_missing": None, "time_rows": rows, "has_memory": memory}


def _describe_quality(decision: Decision) -> dict[str, Any]:
    quality = decision.quality_control
    record = quality.verification
    return {
        "quality": quality,
        "provenance": quality.provenance,
        "verification": describe_record(dict(record)) if record else None,
    }


def to_script_json(value: object) -> Markup:
    """Encode a value as JSON that nothing inside can end a `<script>` element of."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def mark_code(text: str) -> Markup:
    """Escape a sentence, mark what it has between backticks as code, keep `5 %` in one line."""
    parts = text.replace(" %", f"{THIN}%").split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner
        return escape("`".join(parts))
    marked = [
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    ]
    return Markup("").join(marked)


def _make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = mark_code
    environment.globals.update(
        read_asset=_read_asset,
        read_scripts=lambda: Markup("\n").join(map(_read_asset, _SCRIPTS)),
        plotly=_read_plotly,
        datatables=_read_datatables,
    )
    return environment


def _read_asset(name: str) -> Markup:
    """Return the text of a style sheet or script of the page."""
    return Markup((TEMPLATES / name).read_text("utf-8"))


def _read_plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())


def _read_datatables() -> str:
    """Return the module of DataTables that itables has, in base 64.

    The page imports it when its table comes into view. Its styles are not used: they know other
    themes.
    """
    from itables import options

    return base64.b64encode(Path(options.dt_bundle).read_bytes()).decode()
