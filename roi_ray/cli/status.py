"""`roi-ray status`: show how far scores or a sweep are, from the output alone."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from roi_ray.cli.exits import EXIT_INCOMPLETE, exit_with_message
from roi_ray.runtime.logs import escape_line

if TYPE_CHECKING:
    from roi_ray.pipeline.retry import RetryManifest
    from roi_ray.pipeline.status import Status


@exit_with_message
def main(
    output: Annotated[
        str,
        typer.Argument(
            help="Folder or s3:// prefix that `roi-ray score` or `roi-ray sweep` writes to.",
            metavar="OUTPUT",
        ),
    ],
    *,
    failed: Annotated[
        str | None,
        typer.Option(
            help="Write the failed pairs of scores to this .parquet file, as a new manifest.",
            show_default=False,
        ),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            help="Write the missing pairs of scores to this .parquet file, as a new manifest.",
            show_default=False,
        ),
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(
            help="Where the run's manifest is now.", show_default="where it was when the run began"
        ),
    ] = None,
) -> None:
    """Show how many pairs of scores, or cells of a sweep, are done, failed and missing.

    Reads the output alone, while a job writes to it or afterwards, and changes nothing in it.

    Exit codes: 0 if every row has results or an error; 2 if the arguments cannot be used or the
    folder is not an output of `roi-ray score` or `roi-ray sweep`; 4 if rows are missing.
    """
    from roi_ray.errors import UsageError
    from roi_ray.io import storage
    from roi_ray.pipeline.retry import write_failed, write_missing
    from roi_ray.pipeline.status import read_status
    from roi_ray.verification.record import describe_record, read_record

    if failed and missing and storage.absolute(failed) == storage.absolute(missing):
        raise typer.BadParameter("--failed and --missing name the same file")
    status = read_status(output)
    if status.command != "score" and (failed or missing):
        raise UsageError(
            f"--failed and --missing are for scores, and {status.output} is of `roi-ray "
            f"{status.command}`: the same `roi-ray {status.command}` command makes what is missing"
        )
    print_status(status)
    if (record := read_record(status.output)) is not None:
        print(f"verified: {escape_line(describe_record(record))}")
    if failed is not None:
        retry = write_failed(status, failed, manifest)
        print_retry("failed", retry)
        if before := status.failed - retry.rows:
            print(f"{before} pairs failed in the step before, and are not in it: repeat that step")
    if missing is not None:
        print_retry("missing", write_missing(status, missing, manifest))
    if status.missing:
        raise typer.Exit(EXIT_INCOMPLETE)


def print_status(status: "Status") -> None:
    """Print the progress of a run, the speed of its jobs, and examples of each kind of error."""
    from roi_ray.runtime.progress import format_duration

    unit = "pairs" if status.command == "score" else "cells"
    print(
        f"{status.output}: {status.done} of {status.rows} {unit}, {status.failed} failed, "
        f"{status.missing} missing; {len(status.shards)} shards"
    )
    source = status.run.get("manifest", {})
    if status.command == "score":
        rows_of = f"manifest: {source.get('uri', 'not recorded')}"
    else:
        rows_of = f"images: {source.get('given')}"
    print(f"{rows_of}; begun: {status.run.get('started', 'not recorded')}")
    for job in status.jobs:
        print(
            f"job of {job.started:%Y-%m-%d %H:%M:%S} UTC: {job.rows} {unit} in "
            f"{format_duration(job.seconds)}, {job.speed:.1f} {unit}/s"
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
        print(f"{kind.rows} x {escape_line(name)}")
        for text in kind.examples:
            print(f"  {escape_line(text)}")
    if status.foreign:
        print(f"files torn or of another run: {len(status.foreign)}; the next job moves them away:")
        for uri in status.foreign[:3]:
            print(f"  {uri}")


def print_retry(kind: str, retry: "RetryManifest") -> None:
    """Print where a new manifest is, and the command that scores it."""
    if not retry.rows:
        print(f"no {kind} pairs: {retry.uri} is not written")
        return
    prefixes = [word for prefix in retry.allow_prefixes for word in ("--allow-prefix", prefix)]
    command = ["roi-ray", "score", "--manifest", retry.uri, *prefixes, "--output"]
    print(f"{retry.rows} {kind} pairs -> {retry.uri}")
    print(f"  score them, with the options of this run: {shlex.join(command)} NEW")
