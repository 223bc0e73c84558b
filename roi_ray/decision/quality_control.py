"""Whether the scores of a sweep can be believed: what failed, is missing, or does not fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roi_ray.decision.quality_checks import (
    Finding,
    Severity,
    check_bit_depths,
    check_failures,
    check_grid,
    check_labels,
    check_numbers,
    count_failures,
)
from roi_ray.decision.score_columns import MAX_EXAMPLES, ScoreColumns
from roi_ray.decision.score_table import SweepScores
from roi_ray.errors import OutputError
from roi_ray.pipeline.run_record import Run
from roi_ray.pipeline.status import Status, read_status
from roi_ray.runtime.words import count_noun
from roi_ray.verification.record import describe_record, read_record


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from, as `roi-ray score` recorded it.

    Attributes:
        manifest: manifest that was scored, as given.
        manifest_sha256: SHA-256 of its rows.
        started: begin of the run, ISO 8601.
        roi_ray: version of the package.
        scoring_version: version of the numbers.
        settings: other settings that decide the numbers, such as `precision`, by name.
        weights: files of each network: name and SHA-256.
        versions: versions of Python and of packages.
    """

    manifest: str
    manifest_sha256: str
    started: str
    roi_ray: str
    scoring_version: int | None
    settings: Mapping[str, Any]
    weights: Mapping[str, tuple[tuple[str, str], ...]]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class QualityControl:
    """What was found in the scores of a sweep.

    Attributes:
        findings: errors first, then warnings, then the rest.
        failures: number of failed rows by codec and kind of error.
        provenance: where the numbers come from; None for tables that `roi-ray score` did not write.
        verification: the result of the last `roi-ray verify`, see `roi_ray.verification.record`;
            None if there is none.
    """

    findings: tuple[Finding, ...]
    failures: Mapping[tuple[str, str], int]
    provenance: Provenance | None
    verification: Mapping[str, Any] | None

    def count(self, severity: Severity) -> int:
        """Number of findings of one severity."""
        return sum(finding.severity == severity for finding in self.findings)


def check_quality(scores: SweepScores) -> QualityControl:
    """Look for what makes the scores of a sweep incomplete, or numbers in it not comparable.

    Reads the footers of the output's files besides the scores.

    Raises:
        StorageError: the output cannot be read.
    """
    status = _read_status(scores)
    verification = read_record(scores.uri) if status is not None else None
    columns = ScoreColumns(scores)
    failures = count_failures(columns)
    findings = [
        *check_failures(columns, failures),
        *check_grid(columns),
        *check_bit_depths(columns),
        *check_numbers(columns),
        *check_labels(columns),
        *_check_output(status),
        *_check_verification(scores, status, verification),
    ]
    order = ("error", "warning", "info")
    return QualityControl(
        tuple(sorted(findings, key=lambda finding: order.index(finding.severity))),
        failures,
        describe_provenance(scores.run) if scores.run is not None else None,
        verification,
    )


def describe_provenance(run: Run) -> Provenance:
    """Select from the record of a run what the numbers depend on."""
    config = run["config"]
    manifest = run.get("manifest", {})
    weights = config.get("weights", {})
    left_out = ("manifest", "weights", "shard_size", "allow_prefixes")
    return Provenance(
        manifest=str(manifest.get("given") or manifest.get("uri") or "not recorded"),
        manifest_sha256=str(config["manifest"].get("sha256", "not recorded")),
        started=str(run.get("started", "not recorded")),
        roi_ray=str(run.get("roi_ray", "not recorded")),
        scoring_version=run.get("scoring_version"),
        settings={name: value for name, value in config.items() if name not in left_out},
        weights={
            network: tuple((file["name"], file["sha256"]) for file in files)
            for network, files in weights.items()
        },
        versions=dict(run.get("versions", {})),
    )


def _read_status(scores: SweepScores) -> Status | None:
    """Read the state of the output; None for tables that `roi-ray score` did not write."""
    if scores.run is None:
        return None
    try:
        return read_status(scores.uri)
    except OutputError:
        return None


def _check_output(status: Status | None) -> list[Finding]:
    if status is None:
        text = "`roi-ray score` did not write this table: where its numbers come from is unknown."
        return [Finding("no_record", "warning", text, 1)]
    findings = []
    if status.missing:
        text = (
            f"The scores are not finished: {status.missing:,} of {count_noun(status.rows, 'pair')} "
            "are missing. The same `roi-ray score` command makes them."
        )
        findings.append(Finding("unfinished", "error", text, status.missing))
    if status.foreign:
        count = len(status.foreign)
        text = (
            f"In the place of shards: {count_noun(count, 'file')}, torn or of another run, whose "
            "rows do not belong to the scores."
        )
        examples = tuple(status.foreign[:MAX_EXAMPLES])
        findings.append(Finding("foreign_files", "error", text, count, examples))
    return findings


def _check_verification(
    scores: SweepScores, status: Status | None, record: Mapping[str, Any] | None
) -> list[Finding]:
    if status is None:
        return []
    if record is None:
        text = (
            "The numbers were not checked against the reference implementations: "
            f"`roi-ray verify {scores.uri}` does it."
        )
        return [Finding("not_verified", "info", text, 0)]
    severities: dict[str, Severity] = {"agrees": "info", "incomplete": "warning"}
    severity = severities.get(record["verdict"], "error")
    text = describe_record(dict(record))
    scored = status.done - status.failed
    if record["scored"] != scored:
        severity = "error" if severity == "error" else "warning"
        text += f"; that was before the scores changed, which have {scored} pairs now"
    return [Finding("verified", severity, f"{text}.", int(record["verified"]))]
