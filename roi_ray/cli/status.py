"""Say how far a job is, from its output alone: done, failed, missing, how fast.

python jobs/status.py scores/
python jobs/status.py s3://bucket/scores --failed again/failed.parquet
"""

import shlex
from typing import Annotated

import typer

from roi_ray.cli.exits import EXIT_INCOMPLETE, exit_with_message
from roi_ray.io import storage
from roi_ray.pipeline.retry import RetryManifest, write_failed, write_missing
from roi_ray.pipeline.status import Status, read_status
from roi_ray.runtime.logs import escape_line
from roi_ray.runtime.progress import format_duration


@exit_with_message
def main(
    output: Annotated[
        str, typer.Argument(help="Folder or s3:// prefix that jobs/score.py writes.")
    ],
    *,
    failed: Annotated[
        str | None, typer.Option(help="A .parquet file for the failed pairs: a new manifest.")
    ] = None,
    missing: Annotated[
        str | None, typer.Option(help="A .parquet file for the missing pairs: a new manifest.")
    ] = None,
    manifest: Annotated[
        str | None, typer.Option(help="Where the run's manifest is now, if it was moved.")
    ] = None,
) -> None:
    """Look at an output, while a job writes to it or afterwards. Nothing in it is changed.

    Exit code 0: every pair is there, with scores or an error. 4: pairs are missing. 2: unusable
    arguments, or no output of jobs/score.py.
    """
    if failed and missing and storage.absolute(failed) == storage.absolute(missing):
        raise typer.BadParameter("--failed and --missing name the same file")
    status = read_status(output)
    print_status(status)
    if failed is not None:
        print_retry("failed", write_failed(status, failed, manifest))
    if missing is not None:
        print_retry("missing", write_missing(status, missing, manifest))
    if status.missing:
        raise typer.Exit(EXIT_INCOMPLETE)


def print_status(status: Status) -> None:
    """Say where a run stands."""
    print(
        f"{status.output}: {status.done} of {status.rows} pairs, {status.failed} failed, "
        f"{status.missing} missing; {len(status.shards)} shards"
    )
    place = status.run.get("manifest", {}).get("uri", "not recorded")
    print(f"manifest: {place}; begun: {status.run.get('started', 'not recorded')}")
    for job in status.jobs:
        print(
            f"job of {job.started:%Y-%m-%d %H:%M:%S} UTC: {job.pairs} pairs in "
            f"{format_duration(job.seconds)}, {job.speed:.1f} pairs/s"
        )
    if status.writer is not None:
        left = (
            f", {format_duration(status.missing / status.jobs[-1].speed)} left at that speed"
            if status.jobs
            else ""
        )
        print(f"now: {status.writer} is writing{left}")
    else:
        print("now: no job is writing")
    for name, kind in status.kinds.items():
        print(f"{kind.pairs} x {escape_line(name)}")
        for text in kind.examples:
            print(f"  {escape_line(text)}")
    if status.foreign:
        print(f"{len(status.foreign)} torn or of another run; the next job sets them aside:")
        for uri in status.foreign[:3]:
            print(f"  {uri}")


def print_retry(what: str, rest: RetryManifest) -> None:
    """Say where a new manifest is, and how it is scored."""
    if not rest.rows:
        print(f"no {what} pairs: {rest.uri} is not written")
        return
    prefixes = [word for prefix in rest.allow for word in ("--allow-prefix", prefix)]
    command = ["uv", "run", "jobs/score.py", "--manifest", rest.uri, *prefixes, "--output"]
    print(f"{rest.rows} {what} pairs -> {rest.uri}")
    print(f"  score them, with the options of this run: {shlex.join(command)} NEW")
