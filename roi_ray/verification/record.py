"""The result of the last verification of an output, kept beside its scores."""

import json
from datetime import UTC, datetime
from typing import Any

import roi_ray
from roi_ray.io import storage
from roi_ray.verification.result import Verification

VERIFY_JSON = ("_run", "verify.json")

Record = dict[str, Any]
"""`Verification.to_dict`, and `verdict` (`agrees`, `off` or `incomplete`), `time` (ISO 8601, UTC)
and `roi_ray` (version of the package)."""

_NEEDED = {"verdict", "time", "verified", "seed", "scored", "columns"}


def make_record(result: Verification) -> Record:
    """Describe a verification that has just ended."""
    verdict = "off" if result.off else "agrees" if result.agrees else "incomplete"
    return {
        "verdict": verdict,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "roi_ray": roi_ray.__version__,
        **result.to_dict(),
    }


def write_record(result: Verification) -> None:
    """Write the result of a verification to its output, in place of an earlier one.

    Raises:
        StorageError: the output cannot be written to.
    """
    data = json.dumps(make_record(result), indent=2) + "\n"
    storage.write_bytes(storage.join(result.output, *VERIFY_JSON), data.encode())


def read_record(output: str) -> Record | None:
    """Read the result of the last verification of an output.

    Args:
        output: URI of the scores.

    Returns:
        the record; None if the output was never verified, or the file is not such a record.

    Raises:
        StorageError: the file cannot be read.
    """
    uri = storage.join(output, *VERIFY_JSON)
    if not storage.is_file(uri):
        return None
    try:
        record = json.loads(storage.read_bytes(uri))
    except ValueError:
        return None
    if not isinstance(record, dict) or not record.keys() >= _NEEDED:
        return None
    return record if isinstance(record["columns"], dict) else None


def describe_record(record: Record) -> str:
    """Describe the result of a verification in one line."""
    columns = record["columns"]
    if not record["verified"]:
        return f"no pair could be verified ({record['time']})"
    off = [name for name, column in columns.items() if column.get("verdict") == "off"]
    text = {
        "agrees": "agree with the reference implementations",
        "off": f"are off in {', '.join(off)}",
        "incomplete": "agree as far as they were verified; files of other pairs cannot be read",
    }.get(record["verdict"], str(record["verdict"]))
    return (
        f"{record['verified']} of {record['scored']} pairs computed anew (seed {record['seed']}, "
        f"{record['time']}): their numbers {text}"
    )
