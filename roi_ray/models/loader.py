"""A weight's name or URI -> tensors and their identity, never through code that a file brings.

Three sources: files packaged in `roi_ray/weights/`, files that the user names (a path or `s3://`),
and the ImageNet backbones that torchvision publishes. `.safetensors` holds tensors only; `.pth`,
`.pt` and `.ckpt` are unpickled by `torch.load(weights_only=True)`, which builds tensors and
containers and refuses anything else.
"""

import hashlib
import io
import json
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from roi_ray.errors import StorageError, WeightsError
from roi_ray.io import storage

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"

_DAMAGED = (
    SafetensorError,
    pickle.UnpicklingError,
    # What torch.load falls over in damaged files.
    RuntimeError,
    EOFError,
    struct.error,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
)


@dataclass(frozen=True)
class Weights:
    """Tensors by name, with what is needed to say later exactly which ones they were.

    Attributes:
        name: file name, as recorded with the results.
        sha256: of the file's bytes, in hex.
        tensors: a state dict, on the CPU.
        metadata: texts that a `.safetensors` file holds beside them.
    """

    name: str
    sha256: str
    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, str]:
        """Name and SHA-256, as recorded with the results."""
        return {"name": self.name, "sha256": self.sha256}


def load_packaged(name: str) -> Weights:
    """The weights that roi-ray ships as `roi_ray/weights/NAME.safetensors`."""
    return load_weights(str(WEIGHTS_FOLDER / f"{name}.safetensors"))


def load_weights(uri: str, digits: str = "") -> Weights:
    """Weights from a `.safetensors`, `.pth`, `.pt` or `.ckpt` file, local or on S3.

    Args:
        uri: of the file.
        digits: that its SHA-256 must begin with, in hex.

    Raises:
        WeightsError: the file is missing, another one, or not of that kind, or holds more than
            tensors.
    """
    try:
        data = storage.read_bytes(uri)
    except StorageError as error:
        raise WeightsError(str(error)) from error
    sha256 = hashlib.sha256(data).hexdigest()
    if not sha256.startswith(digits):
        raise WeightsError(
            f"{uri} is not the file that its name says: its SHA-256 begins with "
            f"{sha256[: len(digits)]}, not {digits}; delete it and get it again"
        )
    name = uri.rstrip("/").split("/")[-1]
    try:
        safe = name.endswith(".safetensors")
        tensors = load_safetensors(data) if safe else _unpickle(data)
        metadata = _metadata(data) if safe else {}
    except _DAMAGED as error:
        raise WeightsError(f"{uri} is not a file of plain tensors: {_first_line(error)}") from error
    if not tensors:
        raise WeightsError(f"{uri} holds no tensors")
    return Weights(name, sha256, tensors, metadata)


def check_weights_output(uri: str) -> None:
    """Check that weights can be written to a file, and loaded from it, before they are trained.

    Raises:
        WeightsError: its name does not end in `.safetensors`.
        StorageError: its folder cannot be written to.
    """
    if not storage.absolute(uri).endswith(".safetensors"):
        raise WeightsError(f"{uri} does not end in .safetensors, which is what is written")
    storage.check_writable(storage.parent(storage.absolute(uri)))


def load_torchvision_backbone(url: str, folder: str | None) -> Weights:
    """ImageNet weights by the file name that torchvision gives them.

    The name ends in the first eight digits of the file's SHA-256 (`alexnet-owt-7be5be79.pth`).
    Looked for in `folder`, then in the torch hub cache, then downloaded into that cache; checked
    against those digits wherever it was found.

    Args:
        url: torchvision's address, e.g. `torchvision.models.AlexNet_Weights.IMAGENET1K_V1.url`.
        folder: the user's `--weights-dir`, or None.
    """
    file = url.split("/")[-1]
    digits = file.removesuffix(".pth").split("-")[-1]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / file
    if folder is not None and storage.is_file(storage.join(folder, file)):
        found = storage.join(folder, file)
    elif cached.is_file():
        found = str(cached)
    else:
        found = _download(url, cached, digits, folder)
    return load_weights(found, digits)


def _download(url: str, target: Path, digits: str, folder: str | None) -> str:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(target), hash_prefix=digits, progress=False)
    except (OSError, RuntimeError) as error:
        looked_in = [str(target.parent)] if folder is None else [folder, str(target.parent)]
        raise WeightsError(
            f"{target.name} is in none of {', '.join(looked_in)} and cannot be downloaded "
            f"({_first_line(error)}); put the file into a folder and name it with --weights-dir, "
            "or use --lpips st-alex, which needs no download"
        ) from error
    return str(target)


def _metadata(data: bytes) -> dict[str, str]:
    """Of a `.safetensors` file: its header is a length in eight bytes, and JSON."""
    length = int.from_bytes(data[:8], "little")
    texts: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return texts


def _unpickle(data: bytes) -> dict[str, Tensor]:
    content: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    # Training frameworks wrap the state dict into a checkpoint with other things.
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise RuntimeError("no state dict in it")
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
