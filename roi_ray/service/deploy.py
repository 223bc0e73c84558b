"""The service for Ray Serve's own commands: `serve deploy`, and KubeRay's RayService.

A configuration names `roi_ray.service.deploy:app` as its import path, and the fields of
`ServiceOptions` as its arguments.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from roi_ray.errors import UsageError
from roi_ray.service.byte_sizes import parse_bytes
from roi_ray.service.lifecycle.checks import check_options
from roi_ray.service.options import Limits, ServiceOptions
from roi_ray.settings import Settings
from roi_ray.web.key_file import check_hash, read_key_file

if TYPE_CHECKING:
    from ray.serve import Application

_KEY_FILE = "api_keys_file"
_SIZES = ("reference_bytes", "prepared_bytes", "max_body_bytes", "max_waiting_bytes")
_NESTED = {"settings": Settings, "limits": Limits}


def app(args: dict[str, Any]) -> "Application":
    """Build the application of a configuration.

    Args:
        args: fields of `ServiceOptions`; see `read_options`.

    Raises:
        UsageError: an argument cannot be used.
        WeightsError: weights or the preference model are missing, altered, or of another layout.
        DeviceError: the device is not available, or too slow in the precision.
    """
    options = read_options(args)
    check_options(options)
    from roi_ray.service.cluster.deployments import build_app

    return build_app(options)


def read_options(args: Mapping[str, Any]) -> ServiceOptions:
    """Read the options of a service from a configuration.

    Args:
        args: fields of `ServiceOptions`, with those of its `settings` and `limits` as mappings.
            Bytes may have a unit. `api_keys_file` names a file of keys, as `--api-keys` does.

    Raises:
        UsageError: a name is unknown, or a value is of another type, or cannot be used.

    Examples:
        >>> options = read_options({"replicas": 2, "limits": {"max_body_bytes": "64MiB"}})
        >>> options.replicas, options.limits.max_body_bytes
        (2, 67108864)
    """
    values = dict(args)
    key_file = values.pop(_KEY_FILE, None)
    options: ServiceOptions = _read(ServiceOptions, values, "")
    hashes = [
        check_hash(text, f"api_keys, entry {n}") for n, text in enumerate(options.api_keys, 1)
    ]
    if key_file is not None:
        hashes += read_key_file(_read_value(str, key_file, _KEY_FILE))
    return replace(options, api_keys=tuple(dict.fromkeys(hashes)))


def _read(kind: type[Any], values: object, path: str) -> Any:  # noqa: ANN401
    """Make a dataclass from a mapping."""
    if not isinstance(values, Mapping):
        raise UsageError(f"{path.rstrip('.')} must have fields, such as {fields(kind)[0].name}")
    names = {field.name: field.type for field in fields(kind)}
    arguments = {}
    for name, value in values.items():
        if name not in names:
            near = get_close_matches(str(name), names, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            raise UsageError(f"{path}{name} is no option of the service; {hint}")
        if name in _NESTED:
            arguments[name] = _read(_NESTED[name], value, f"{name}.")
        elif name in _SIZES and isinstance(value, str):
            arguments[name] = parse_bytes(value)
        else:
            arguments[name] = _read_value(names[name], value, f"{path}{name}")
    return kind(**arguments)


def _read_value(kind: Any, value: object, where: str) -> Any:  # noqa: ANN401
    """Check the type of a value; YAML has lists where Python has tuples."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(
            tuple(value) if isinstance(value, list) else value, strict=True
        )
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        # Somebody may have written a key there.
        given = "" if where.startswith("api_keys") else f" is {value!r}"
        raise UsageError(f"{where}{given}: {message[0].lower()}{message[1:]}") from None
