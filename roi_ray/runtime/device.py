"""Choose the compute device, and move images to it and numbers back."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from roi_ray.errors import DeviceError
from roi_ray.imaging.pixels import HighBitDepthImage, Pixels


def find_device(name: str) -> torch.device:
    """Return a device after checking that tensors can be created on it.

    Args:
        name: a torch device such as `cpu`, `cuda` or `cuda:1`; `auto` means a GPU if there is one,
            else the CPU.

    Raises:
        DeviceError: the device is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(
            f"device {name!r} is not available: {str(error).splitlines()[0]}"
        ) from error
    return device


def upload(images: Sequence[Pixels], device: torch.device) -> Tensor:
    """Copy images of one size and type to a device.

    Args:
        images: N images, (H, W, 3): all uint8, or all of more than 8 bits.
        device: device to copy to.

    Returns:
        the samples, (N, 3, H, W), in channels-last memory format, as image files store pixels:
        uint8; of images of more than 8 bits int32, because torch has few operations on uint16.
    """
    shape = (len(images), *images[0].shape)
    is_deep = isinstance(images[0], HighBitDepthImage)
    dtype = torch.int16 if is_deep else torch.uint8
    # A GPU copies from pinned memory asynchronously, while the CPU continues.
    staged = torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")
    np.stack(images, out=staged.numpy().view(images[0].dtype))
    samples = staged.to(device, non_blocking=True)
    if is_deep:
        samples = samples.int().bitwise_and_(0xFFFF)  # the int16 samples read as uint16
    return samples.permute(0, 3, 1, 2)


class Download:
    """An asynchronous copy of numbers from a device that may still be computing them.

    Args:
        values: (rows, columns), on any device. The copy starts at once.
    """

    def __init__(self, values: Tensor) -> None:
        self._values = values.to("cpu", non_blocking=True)
        # torch.cuda.Event has no type annotations.
        self._copied = torch.cuda.Event() if values.is_cuda else None  # type: ignore[no-untyped-call]
        if self._copied is not None:
            self._copied.record(torch.cuda.current_stream(values.device))

    def wait(self) -> list[list[float]]:
        """Wait for the copy and return the values, one list per row."""
        if self._copied is not None:
            self._copied.synchronize()
        rows: list[list[float]] = self._values.tolist()
        return rows
