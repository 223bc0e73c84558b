"""`roi-ray serve`: the scorer as a service, for pipelines that score as they encode."""

import sys
from dataclasses import replace

import typer

from roi_ray.cli import options as cli
from roi_ray.cli import serve_options as own
from roi_ray.cli import server_options
from roi_ray.cli.exits import EXIT_INCOMPLETE, exit_with_message
from roi_ray.errors import UsageError
from roi_ray.runtime import logs
from roi_ray.runtime.packages import check_packages
from roi_ray.service.byte_sizes import parse_bytes
from roi_ray.service.options import DEFAULT_HOST, DEFAULT_PORT, Limits, ServiceOptions
from roi_ray.settings import (
    DEFAULT_DISCRIMINATOR,
    DEFAULT_LPIPS,
    DEFAULT_PREFERENCE_MODEL,
    DEFAULT_SALIENCY,
    MAX_PIXELS,
    Settings,
)
from roi_ray.web.key_file import read_key_file

_PACKAGES = ("fastapi", "fastapi_offline", "python_multipart", "uvicorn")
"""What the extra `service` installs; roi-ray itself installs Ray without Serve's packages."""


@exit_with_message
def main(
    *,
    host: own.Host = DEFAULT_HOST,
    port: server_options.Port = DEFAULT_PORT,
    api_keys: own.ApiKeys = None,
    allow_prefix: own.AllowPrefix = None,
    lpips: cli.LpipsOption = DEFAULT_LPIPS,
    saliency: cli.SaliencyOption = DEFAULT_SALIENCY,
    discriminator: cli.DiscriminatorOption = DEFAULT_DISCRIMINATOR,
    roi_weighting: cli.RoiWeighting = "mean",
    precision: cli.Precision = "fp32",
    metrics: cli.Metrics = None,
    weights_dir: cli.WeightsDir = None,
    model: own.Model = DEFAULT_PREFERENCE_MODEL,
    allow_slow_precision: cli.AllowSlowPrecision = False,
    device: cli.Device = "auto",
    replicas: own.Replicas = 1,
    max_replicas: own.MaxReplicas = None,
    gpus_per_replica: own.GpusPerReplica = 1.0,
    threads: own.Threads = None,
    batch: cli.Batch = None,
    decoders: own.Decoders = None,
    apis: own.Apis = 1,
    reference_bytes: own.ReferenceBytes = "1GiB",
    prepared_bytes: own.PreparedBytes = "2GiB",
    max_body_bytes: own.MaxBodyBytes = "256MiB",
    max_waiting_bytes: own.MaxWaitingBytes = "1GiB",
    max_pixels: own.MaxPixels = MAX_PIXELS,
    max_images: own.MaxImages = 64,
    max_requests: own.MaxRequests = 64,
    timeout: own.Timeout = 60.0,
    drain_seconds: own.DrainSeconds = None,
    log_level: server_options.LogLevel = None,
) -> None:
    """Score images over HTTP, while a codec encodes: the numbers of `roi-ray score`, per request.

    Runs until SIGTERM or Control-C: new requests are then refused, those in progress are answered.
    A second signal ends it at once. Runs on this machine, on the cluster at RAY_ADDRESS, or where
    `ray job submit` starts it.

    Exit codes: 0 if every accepted request was answered; 2 if the arguments, the weights or the
    address cannot be used, or the service has failed; 4 if requests were cut off, after
    --drain-seconds or by a second signal; 130 or 143 if it was stopped before it was ready.
    """
    check_packages(_PACKAGES, "the service", "service")
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
