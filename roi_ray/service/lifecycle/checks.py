"""What can be checked before a service starts: a wrong option ends the command within seconds."""

import os
from typing import TYPE_CHECKING

from roi_ray.errors import DeviceError, UsageError
from roi_ray.runtime.logs import LOGGER
from roi_ray.service.options import ServiceOptions

if TYPE_CHECKING:
    from roi_ray.models.networks import Networks


def check_options(options: ServiceOptions) -> None:
    """Check settings, weights, the preference model and the folders that requests may read from.

    Raises:
        WeightsError: weights or the preference model are missing, altered, or of another layout.
        UsageError: a folder cannot be allowed.
        DeviceError: the precision is too slow on a CPU.
        StorageError: the URI of a folder cannot be used.
    """
    _check_prefixes(options.allow_prefixes)
    from roi_ray.scoring.scorer import load_networks_for

    networks = load_networks_for(options.settings, options.weights_dir)
    if options.device == "cpu":
        _check_precision(options)
    _check_model(options, networks)


def _check_prefixes(prefixes: tuple[str, ...]) -> None:
    from roi_ray.io import storage, uris

    for prefix in prefixes:
        folder = storage.absolute(prefix)
        if not uris.is_remote(folder) and not os.path.isdir(folder):
            raise UsageError(f"--allow-prefix {prefix} is not a folder")


def _check_precision(options: ServiceOptions) -> None:
    """Check that the precision is fast enough on a CPU."""
    if options.settings.precision != "auto" and not options.allow_slow_precision:
        import torch

        from roi_ray.runtime.precision import check_precision

        check_precision(options.settings.precision, torch.device("cpu"))


def _check_model(options: ServiceOptions, networks: "Networks") -> None:
    """Load the preference model; warn if it is for other measurements than the service makes."""
    from roi_ray.preference.model.needs import add_needs, check_scoring
    from roi_ray.preference.model.preference_model import load_preference_model

    model = load_preference_model(options.model)
    try:
        check_scoring(model, add_needs(model, options.settings), networks.provenance)
    except UsageError as error:
        LOGGER.warning("/v1/compare cannot be used: %s", error)


def check_device(options: ServiceOptions, gpus: int) -> None:
    """Check that a machine has the device that the service needs.

    Args:
        options: how the service runs.
        gpus: GPUs of the machine. A cluster may get more of them, so that it is not checked.

    Raises:
        DeviceError: there are too few GPUs, or the precision is too slow on a CPU.
    """
    if options.device == "cpu" or (options.device == "auto" and not gpus):
        _check_precision(options)
        return
    if not gpus:
        raise DeviceError(
            "device 'cuda' is not available: Ray sees no GPU on this machine; use --device cpu or "
            "auto"
        )
    # A process cannot use parts of two GPUs.
    places = gpus * int(1 / options.gpus_per_replica + 1e-9)
    replicas = options.max_replicas or options.replicas
    if replicas > places:
        raise DeviceError(
            f"{replicas} replicas of {options.gpus_per_replica:g} GPUs do not fit on {gpus} GPUs; "
            "use fewer --replicas, or smaller --gpus-per-replica"
        )
