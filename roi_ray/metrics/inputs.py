"""Checks of the tensors that the public metric functions take."""

from typing import get_args

import torch
from torch import Tensor

from roi_ray.errors import SizeMismatch, UnusableMask, UsageError
from roi_ray.imaging.masks import MAX_LABEL, check_levels
from roi_ray.settings import Weighting

_MAX_UINT8 = 255


def check_images(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Check a reference and a distorted image, or batches of them.

    Args:
        x: reference, (3, H, W) or (N, 3, H, W); uint8, or floating-point in [0, 1].
        y: distorted, likewise; any number of images if `x` is a single one.

    Returns:
        both as (N, 3, H, W), of unchanged type.

    Raises:
        UsageError: a tensor has another type, shape or range, or the numbers of images differ.
        SizeMismatch: the images have different heights or widths.
    """
    for name, images in (("x", x), ("y", y)):
        _check_values(name, images)
        if images.ndim not in (3, 4) or images.shape[-3] != 3:
            raise UsageError(
                f"{name} has the shape {tuple(images.shape)}; give (3, H, W) or (N, 3, H, W)"
            )
    _check_size("y", y, x)
    x, y = (images if images.ndim == 4 else images[None] for images in (x, y))
    if len(x) not in (1, len(y)):
        raise UsageError(f"{len(x)} references for {len(y)} distorted images; give 1 or {len(y)}")
    return x, y


def check_mask(mask: Tensor, y: Tensor) -> Tensor:
    """Check a mask of the region of interest.

    Args:
        mask: (H, W) or (N, H, W); uint8 (0 outside to 255 inside), floating-point in [0, 1], or
            bool.
        y: the distorted images, (N, 3, H, W).

    Returns:
        float64, (1 or N, H, W), in [0, 1], on the device of `y`.

    Raises:
        UsageError: the mask has another type, shape or range, or there are neither 1 nor N masks;
            or the uint8 values of a mask are 0 and 1, or labels.
        SizeMismatch: the height or width of the mask is not that of the images.
    """
    if isinstance(mask, Tensor) and mask.dtype == torch.bool:
        mask = mask.double()
    _check_values("mask", mask)
    if mask.ndim not in (2, 3):
        raise UsageError(f"mask has the shape {tuple(mask.shape)}; give (H, W) or (N, H, W)")
    _check_size("mask", mask, y)
    masks = mask if mask.ndim == 3 else mask[None]
    if len(masks) not in (1, len(y)):
        raise UsageError(f"{len(masks)} masks for {len(y)} distorted images; give 1 or {len(y)}")
    values = masks.double()
    if masks.dtype == torch.uint8:
        _check_levels(masks)
        values = values / _MAX_UINT8
    return values.to(y.device)


def check_weighting(weighting: str) -> None:
    """Check the name of a weighting.

    Raises:
        UsageError: no weighting has this name.
    """
    if weighting not in get_args(Weighting):
        raise UsageError(
            f"no weighting is called {weighting!r}; give one of {', '.join(get_args(Weighting))}"
        )


def _check_values(name: str, values: Tensor) -> None:
    if not isinstance(values, Tensor):
        raise UsageError(f"{name} is a {type(values).__name__}; give a torch.Tensor")
    if not values.numel():
        raise UsageError(f"{name} is empty: its shape is {tuple(values.shape)}")
    if values.dtype == torch.uint8:
        return
    if values.dtype == torch.uint16:
        raise UsageError(
            f"{name} has the type torch.uint16, which does not say which value is white; divide "
            "samples of n bits by 2^n - 1"
        )
    if not values.is_floating_point():
        raise UsageError(
            f"{name} has the type {values.dtype}; give torch.uint8, or floating-point in [0, 1]"
        )
    low, high = (float(extreme) for extreme in values.aminmax())
    if not (low >= 0 and high <= 1):  # also refuses NaN
        raise UsageError(
            f"{name} has values from {low:g} to {high:g}; floating-point values must be in [0, 1]"
        )


def _check_levels(masks: Tensor) -> None:
    """Check that uint8 masks, (N, H, W), are levels from 0 to 255, as those in files."""
    is_dim = masks.amax((-2, -1)) <= MAX_LABEL
    for mask in masks[is_dim]:
        try:
            check_levels(mask.numpy(force=True))
        except UnusableMask as error:
            raise UsageError(f"{error}; or give a mask of bool or floating-point values") from error


def _check_size(name: str, tensor: Tensor, reference: Tensor) -> None:
    if tensor.shape[-2:] != reference.shape[-2:]:
        (height, width), (y_height, y_width) = reference.shape[-2:], tensor.shape[-2:]
        raise SizeMismatch(
            f"{name} is {y_width} x {y_height}, but the reference is {width} x {height}"
        )
