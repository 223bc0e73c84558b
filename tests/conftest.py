"""Photographs, encoders and servers that tests share."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from roi_ray import images
from roi_ray.images import Pixels
from roi_ray.sweep import photographs

# A local Ray writes an authentication token into the home folder otherwise.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")

Photos = dict[str, Pixels]


@pytest.fixture(scope="session")
def photos() -> Photos:
    """Real photographs by name, uint8 (H, W, 3)."""
    return {name: images.decode(path.read_bytes()) for name, path in photographs().items()}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


def encode(pixels: Pixels, file_format: str = "PNG", **options: object) -> bytes:
    """An image file of these pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """The pixels after a trip through JPEG."""
    return images.decode(encode(pixels, "JPEG", quality=quality))


def write(path: Path, data: bytes) -> str:
    """Write a file, with its folders; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)
