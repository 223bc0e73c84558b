"""`roi-ray status`: show how far a scoring run is, from its output alone."""

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
            help="Folder or s3:// prefix that `roi-ray score` writes to.", metavar="OUTPUT"
        ),
    ],
    *,
    failed: Annotated[
        str | None,
        typer.Option(
            help="Write the failed pairs to this .parquet file, as a new manifest.",
            show_default=False,
        ),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            help="Write the missing pairs to this .parquet file, as a new manifest.",
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
    """Show how many pairs of a scoring run are done, failed and missing, and how fast it is.

    Reads the output alone, while a job writes to it or afterwards, and changes nothing in it.

    Exit codes: 0 if every pair has scores or an error; 2 if the arguments cannot be used or the
    folder is not an output of `roi-ray score`; 4 if pairs are missing.
    """
    from roi_ray.io import storage
    from roi_ray.pipeline.retry import write_failed, write_missing
    from roi_ray.pipeline.status import read_status

    if failed and missing and storage.absolute(failed) == storage.absolute(missing):
        raise typer.BadParameter("--failed and --missing name the same file")
    status = read_status(output)
    print_status(status)
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

    print(
        f"{status.output}: {status.done} of {status.rows} pairs, {status.failed} failed, "
        f"{status.missing} missing; {len(status.shards)} shards"
    )
    manifest = status.run.get("manifest", {}).get("uri", "not recorded")
    print(f"manifest: {manifest}; begun: {status.run.get('started', 'not recorded')}")
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
