"""Choose the compute device, and move images to it and numbers back."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from roi_ray.errors import DeviceError
from roi_ray.imaging.pixels import Pixels


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
    """Copy images of one size to a device.

    Args:
        images: N arrays, uint8, (H, W, 3).
        device: device to copy to.

    Returns:
        uint8, (N, 3, H, W), in channels-last memory format, as image files store pixels.
    """
    shape = (len(images), *images[0].shape)
    # A GPU copies from pinned memory asynchronously, while the CPU continues.
    staged = torch.empty(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
    np.stack(images, out=staged.numpy())
    return staged.to(device, non_blocking=True).permute(0, 3, 1, 2)


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
