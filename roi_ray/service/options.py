"""Options of a service, for the command line and for a deployment's YAML. Imports nothing heavy."""

from dataclasses import dataclass, field

from roi_ray.errors import UsageError
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL, MAX_PIXELS, Settings
from roi_ray.web.limits import RequestLimits, check_positive

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000

_POSITIVE = (
    *("replicas", "gpus_per_replica", "threads", "batch", "decoders", "apis"),
    *("reference_bytes", "prepared_bytes"),
)


@dataclass(frozen=True)
class Limits(RequestLimits):
    """What each process that reads requests accepts; see `RequestLimits` for its other limits.

    Attributes:
        max_pixels: width times height of an image; a larger one is a result with an error.
        max_images: distorted images of a request (422).
    """

    max_pixels: int = MAX_PIXELS
    max_images: int = 64


@dataclass(frozen=True)
class ServiceOptions:
    """How a service runs.

    Attributes:
        settings: settings that decide the numbers.
        model: preference model of `/v1/compare`: name of the packaged one, a path or a URI.
        device: `cpu`, `cuda`, or `auto` for GPUs if the cluster has any.
        replicas: processes that score; the smallest number of them if there may be more.
        max_replicas: largest number of processes that score: they are started while requests wait,
            and stopped when there are few. None for always `replicas`.
        gpus_per_replica: share of a GPU per process that scores: 0.5 puts two on each GPU.
        threads: CPU threads of each process that scores; None for an equal share of the machine's
            CPUs, and 1 on a GPU.
        batch: see `roi_ray.Scorer`.
        decoders: processes that decode images; None for 1, or 4 per process that scores on a GPU.
        apis: processes that talk HTTP.
        weights_dir: see `roi_ray.Scorer`.
        allow_slow_precision: see `roi_ray.Scorer`.
        allow_prefixes: folders, or URIs of folders, that requests may name images of; by default
            none.
        api_keys: SHA-256, in hexadecimal, of each key that opens the service; empty if it is open.
        reference_bytes: largest sum of the sizes of the references that are kept as files.
        prepared_bytes: largest sum of the sizes of what is prepared of references, per process that
            scores.
        limits: what the service accepts.

    Raises:
        UsageError: an option cannot be used.
    """

    settings: Settings = field(default_factory=Settings)
    model: str = DEFAULT_PREFERENCE_MODEL
    device: str = "auto"
    replicas: int = 1
    max_replicas: int | None = None
    gpus_per_replica: float = 1.0
    threads: int | None = None
    batch: int | None = None
    decoders: int | None = None
    apis: int = 1
    weights_dir: str | None = None
    allow_slow_precision: bool = False
    allow_prefixes: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    reference_bytes: int = 1 << 30
    prepared_bytes: int = 2 << 30
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"device is {self.device!r}; give auto, cpu or cuda")
        for name in _POSITIVE:
            if (value := getattr(self, name)) is not None:
                check_positive(name, value)
        if self.gpus_per_replica > 1:
            raise UsageError(f"gpus_per_replica is {self.gpus_per_replica}; it must be at most 1")
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise UsageError(
                f"max_replicas is {self.max_replicas}, fewer than replicas, {self.replicas}"
            )
