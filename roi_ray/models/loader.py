"""Load weights as checked tensors, without running code from the file.

There are three sources: files packaged in `roi_ray/weights/`, files that the user names (a path or
`s3://` URI), and torchvision's ImageNet backbones. `.safetensors` files hold tensors only. `.pth`,
`.pt` and `.ckpt` files are read by `torch.load(weights_only=True)`, which refuses anything but
tensors and containers.
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

from roi_ray.errors import AccessError, StorageError, WeightsError
from roi_ray.io import storage

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"

_DAMAGED = (
    SafetensorError,
    pickle.UnpicklingError,
    # Raised by torch.load on damaged files
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
    """The content and the identity of a weights file.

    Attributes:
        name: file name, as recorded with the results.
        sha256: SHA-256 of the file's bytes, in hex.
        tensors: state dict, on the CPU.
        metadata: metadata of a `.safetensors` file; empty for other files.
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
    """Load the packaged file `roi_ray/weights/NAME.safetensors`."""
    return load_weights(str(WEIGHTS_FOLDER / f"{name}.safetensors"))


def load_weights(uri: str, sha256_prefix: str = "") -> Weights:
    """Load a `.safetensors`, `.pth`, `.pt` or `.ckpt` file.

    Args:
        uri: local path or `s3://` URI.
        sha256_prefix: hex digits that the file's SHA-256 must begin with.

    Raises:
        WeightsError: the file is missing, has another SHA-256, is damaged, holds no tensors, or
            holds other objects than tensors.
    """
    try:
        data = storage.read_bytes(uri)
    except StorageError as error:
        raise WeightsError(str(error)) from error
    sha256 = hashlib.sha256(data).hexdigest()
    if not sha256.startswith(sha256_prefix):
        raise WeightsError(
            f"{uri} is not the file that its name claims: its SHA-256 begins with "
            f"{sha256[: len(sha256_prefix)]}, not {sha256_prefix}; delete it and download it again"
        )
    name = uri.rstrip("/").split("/")[-1]
    try:
        is_safetensors = name.endswith(".safetensors")
        tensors = load_safetensors(data) if is_safetensors else _unpickle(data)
        metadata = _read_metadata(data) if is_safetensors else {}
    except _DAMAGED as error:
        raise WeightsError(f"{uri} is not a file of plain tensors: {_first_line(error)}") from error
    if not tensors:
        raise WeightsError(f"{uri} holds no tensors")
    return Weights(name, sha256, tensors, metadata)


def check_weights_output(uri: str) -> None:
    """Check before a training that its weights can be written to a file and loaded from it.

    Raises:
        WeightsError: the name does not end in `.safetensors`.
        StorageError: the folder cannot be written to.
    """
    if not storage.absolute(uri).endswith(".safetensors"):
        raise WeightsError(
            f"{uri} does not end in .safetensors, the format in which weights are written"
        )
    storage.check_writable(storage.parent(storage.absolute(uri)))


def load_torchvision_backbone(url: str, folder: str | None) -> Weights:
    """Load torchvision's ImageNet weights from a folder, the torch hub cache, or the internet.

    A download is stored in the torch hub cache. The file's name ends in the first eight digits of
    its SHA-256 (`alexnet-owt-7be5be79.pth`), which are checked wherever the file comes from.

    Args:
        url: torchvision's URL, such as `torchvision.models.AlexNet_Weights.IMAGENET1K_V1.url`.
        folder: folder to search first: the user's `--weights-dir`, or None.

    Raises:
        WeightsError: the file is not found and cannot be downloaded, or is not the published one.
    """
    file = url.split("/")[-1]
    sha256_prefix = file.removesuffix(".pth").split("-")[-1]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / file
    if folder is not None and _is_file(storage.join(folder, file)):
        path = storage.join(folder, file)
    elif cached.is_file():
        path = str(cached)
    else:
        path = _download(url, cached, sha256_prefix, folder)
    return load_weights(path, sha256_prefix)


def _is_file(uri: str) -> bool:
    try:
        return storage.is_file(uri)
    except AccessError:
        raise
    except StorageError as error:
        raise WeightsError(str(error)) from error


def _download(url: str, target: Path, sha256_prefix: str, folder: str | None) -> str:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(target), hash_prefix=sha256_prefix, progress=False)
    except (OSError, RuntimeError) as error:
        searched = [str(target.parent)] if folder is None else [folder, str(target.parent)]
        raise WeightsError(
            f"{target.name} is in none of {', '.join(searched)} and cannot be downloaded "
            f"({_first_line(error)}); put the file into a folder and pass --weights-dir FOLDER, "
            "or use --lpips alex, which needs no download"
        ) from error
    return str(target)


def _read_metadata(data: bytes) -> dict[str, str]:
    """Read the metadata of a `.safetensors` file, whose header is an 8-byte length and JSON."""
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return metadata


def _unpickle(data: bytes) -> dict[str, Tensor]:
    content: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    # Training frameworks store the state dict in a checkpoint, beside other values.
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise RuntimeError("it holds no state dict")
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
