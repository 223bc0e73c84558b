"""`roi-ray serve`: the scorer as a service, for pipelines that score as they encode."""

import importlib.util
import sys
from dataclasses import replace
from typing import Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import EXIT_INCOMPLETE, exit_with_message
from roi_ray.errors import UsageError
from roi_ray.runtime import logs
from roi_ray.service.byte_sizes import parse_bytes
from roi_ray.service.key_file import read_key_file
from roi_ray.service.options import DEFAULT_PORT, Limits, ServiceOptions
from roi_ray.settings import (
    DEFAULT_DISCRIMINATOR,
    DEFAULT_LPIPS,
    DEFAULT_PREFERENCE_MODEL,
    DEFAULT_SALIENCY,
    MAX_PIXELS,
    Settings,
)

_ADDRESS = "Address"
_LIMITS = "Limits (more is refused)"
_PACKAGES = ("fastapi", "fastapi_offline", "python_multipart", "uvicorn")
"""What the extra `service` installs; roi-ray itself installs Ray without Serve's packages."""


@exit_with_message
def main(
    *,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen at. The default is reached from this machine only; 0.0.0.0 is "
            "every address of it, which needs --api-keys.",
            rich_help_panel=_ADDRESS,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="Port; 0 for any that is free.", rich_help_panel=_ADDRESS
        ),
    ] = DEFAULT_PORT,
    api_keys: Annotated[
        str | None,
        typer.Option(
            help="File of the keys that open the service, as SHA-256, one per line, then a name if "
            "you like; # begins a comment. Make a key by `openssl rand -hex 32`, and its line by "
            "`printf %s KEY | sha256sum`.",
            show_default="no key is needed",
            rich_help_panel=_ADDRESS,
        ),
    ] = None,
    allow_prefix: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder, or URI of one, whose images requests may name instead of sending them. "
            "Repeatable.",
            show_default="none: images are sent",
            rich_help_panel=_ADDRESS,
        ),
    ] = None,
    lpips: cli.LpipsOption = DEFAULT_LPIPS,
    saliency: cli.SaliencyOption = DEFAULT_SALIENCY,
    discriminator: cli.DiscriminatorOption = DEFAULT_DISCRIMINATOR,
    roi_weighting: cli.RoiWeighting = "mean",
    precision: cli.Precision = "fp32",
    metrics: cli.Metrics = None,
    weights_dir: cli.WeightsDir = None,
    model: Annotated[
        str,
        typer.Option(
            help="Preference model of /v1/compare: the packaged one, or a file that `roi-ray "
            "train` wrote.",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = DEFAULT_PREFERENCE_MODEL,
    allow_slow_precision: cli.AllowSlowPrecision = False,
    device: cli.Device = "auto",
    replicas: Annotated[
        int,
        typer.Option(min=1, help="Number of processes that score.", rich_help_panel=cli.RUN_PANEL),
    ] = 1,
    max_replicas: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Start more processes that score while requests wait, up to this number, and stop "
            "them when there are few.",
            show_default="--replicas",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = None,
    gpus_per_replica: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=1,
            help="Share of a GPU per process that scores: 0.5 puts two on each GPU.",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = 1.0,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CPU threads of each process that scores.",
            show_default="an equal share of the CPUs; 1 on a GPU",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = None,
    batch: cli.Batch = None,
    decoders: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of processes that decode images.",
            show_default="1; 4 per process that scores on a GPU",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = None,
    apis: Annotated[
        int,
        typer.Option(
            min=1, help="Number of processes that read requests.", rich_help_panel=cli.RUN_PANEL
        ),
    ] = 1,
    reference_bytes: Annotated[
        str,
        typer.Option(
            help="Size of the cache of references as files.", rich_help_panel=cli.RUN_PANEL
        ),
    ] = "1GiB",
    prepared_bytes: Annotated[
        str,
        typer.Option(
            help="Size of the cache of prepared references, in each process that scores. One of a "
            "megapixel takes about 130 MB.",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = "2GiB",
    max_body_bytes: Annotated[
        str,
        typer.Option(help="Size of a request, such as 64MiB.", rich_help_panel=_LIMITS),
    ] = "256MiB",
    max_waiting_bytes: Annotated[
        str,
        typer.Option(help="Size of all requests at a time.", rich_help_panel=_LIMITS),
    ] = "1GiB",
    max_pixels: Annotated[
        int,
        typer.Option(
            min=1,
            help="Width times height of an image. A larger one is a result with an error.",
            rich_help_panel=_LIMITS,
        ),
    ] = MAX_PIXELS,
    max_images: Annotated[
        int, typer.Option(min=1, help="Images of a request.", rich_help_panel=_LIMITS)
    ] = 64,
    max_requests: Annotated[
        int, typer.Option(min=1, help="Requests at a time.", rich_help_panel=_LIMITS)
    ] = 64,
    timeout: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Seconds from a request's first byte until its answer.",
            rich_help_panel=_LIMITS,
        ),
    ] = 60.0,
    drain_seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Seconds to finish the requests in progress after SIGTERM or Control-C.",
            show_default="--timeout and 5 more",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = None,
    log_level: Annotated[
        logs.LogLevel | None,
        typer.Option(
            help="Lines logged to standard error.",
            show_default="warning on a terminal, else info",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = None,
) -> None:
    """Score images over HTTP, while a codec encodes: the numbers of `roi-ray score`, per request.

    Runs until SIGTERM or Control-C: new requests are then refused, those in progress are answered.
    A second signal ends it at once. Runs on this machine, on the cluster at RAY_ADDRESS, or where
    `ray job submit` starts it.

    Exit codes: 0 if every accepted request was answered; 2 if the arguments, the weights or the
    address cannot be used, or the service has failed; 4 if requests were cut off, after
    --drain-seconds or by a second signal; 130 or 143 if it was stopped before it was ready.
    """
    _check_packages()
    logs.log_to_stderr(log_level)
    limits = Limits(
        max_body_bytes=_parse("--max-body-bytes", max_body_bytes),
        max_pixels=max_pixels,
        max_images=max_images,
        max_requests=max_requests,
        max_waiting_bytes=_parse("--max-waiting-bytes", max_waiting_bytes),
        timeout_seconds=timeout,
    )
    options = ServiceOptions(
        settings=Settings(
            lpips, saliency, discriminator, roi_weighting, precision, tuple(metrics or ())
        ),
        model=model,
        device=device,
        replicas=replicas,
        max_replicas=max_replicas,
        gpus_per_replica=gpus_per_replica,
        threads=threads,
        batch=batch,
        decoders=decoders,
        apis=apis,
        weights_dir=weights_dir,
        allow_slow_precision=allow_slow_precision,
        allow_prefixes=tuple(allow_prefix or ()),
        reference_bytes=_parse("--reference-bytes", reference_bytes),
        prepared_bytes=_parse("--prepared-bytes", prepared_bytes),
        limits=limits,
    )
    if api_keys is not None:
        options = replace(options, api_keys=read_key_file(api_keys))
    from roi_ray.service.lifecycle.run import serve

    output = sys.stdout  # `serve` sends what Ray prints to standard error
    if left := serve(
        options,
        host,
        port,
        drain_seconds,
        lambda url: print(_describe(url), file=output, flush=True),
    ):
        requests = "1 request was" if left == 1 else f"{left} requests were"
        typer.echo(f"error: {requests} cut off", err=True)
        raise typer.Exit(EXIT_INCOMPLETE)


def _check_packages() -> None:
    """Check that the extra `service` is installed; loads none of it."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the service needs the package {missing[0]}: pip install 'roi-ray[service]'"
        )


def _parse(option: str, text: str) -> int:
    try:
        return parse_bytes(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from error


def _describe(url: str) -> str:
    return (
        f"serving at {url} - try: curl -F reference=@original.png -F image=@decoded.jpg "
        f"{url}/v1/score"
    )
