"""The device that computes: which one, and the way there and back."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from roi_ray.errors import WeightsError
from roi_ray.imaging.pixels import Pixels


def find_device(name: str) -> torch.device:
    """The device of that name; for `auto`, a GPU if there is one.

    Raises:
        WeightsError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise WeightsError(f"no device {name!r} here: {str(error).splitlines()[0]}") from error
    return device


def upload(images: Sequence[Pixels], device: torch.device) -> Tensor:
    """Images of one size as uint8, (N, 3, H, W), laid out as files have them: channels last."""
    shape = (len(images), *images[0].shape)
    # From pinned memory a GPU fetches them by itself, while the CPU goes on.
    staged = torch.empty(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
    np.stack(images, out=staged.numpy())
    return staged.to(device, non_blocking=True).permute(0, 3, 1, 2)


class Download:
    """Numbers on their way from a device that may still be working on them.

    Args:
        values: (rows, columns).
    """

    def __init__(self, values: Tensor) -> None:
        self._values = values.to("cpu", non_blocking=True)
        # torch leaves its events without types.
        self._there = torch.cuda.Event() if values.is_cuda else None  # type: ignore[no-untyped-call]
        if self._there is not None:
            self._there.record(torch.cuda.current_stream(values.device))

    def wait(self) -> list[list[float]]:
        """Wait for them."""
        if self._there is not None:
            self._there.synchronize()
        rows: list[list[float]] = self._values.tolist()
        return rows
