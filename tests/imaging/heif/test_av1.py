"""Headers of AV1 streams against what the encoder was told."""

import imagecodecs
import numpy as np
import pytest

from roi_ray.errors import ImageReadError
from roi_ray.imaging.heif.av1 import read_sequence_headers
from roi_ray.imaging.heif.still import read_still
from roi_ray.imaging.raster import Cicp
from tests.imaging.heif_files import avifenc, run_tool


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "400"])
@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("size", [(1, 1), (47, 61), (300, 2)])
def test_header_of_a_still(photos, tmp_path, size, bits, subsampling) -> None:
    width, height = size
    photo = np.ascontiguousarray(photos["coffee"][:height, :width])
    options = ["-d", bits, "-y", subsampling, "--cicp", "9/16/9"]
    item = read_still(avifenc(tmp_path, photo, *options)).primary
    (header,) = read_sequence_headers(item.data)
    assert header == (width, height, bits, Cicp(9, 16), 9)


def test_header_of_a_sequence(photos, tmp_path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(2)] + [tmp_path / "file.avif"]
    for i in range(2):
        frame = np.ascontiguousarray(photos["coffee"][i : 40 + i, :50])
        paths[i].write_bytes(imagecodecs.png_encode(frame))
    run_tool("avifenc", "-s", 10, "-d", 10, "--cicp", "12/13/1", *paths)
    item = read_still(paths[2].read_bytes()).primary
    headers = read_sequence_headers(item.data)
    assert set(headers) == {(50, 40, 10, Cicp(12, 13), 1)}


@pytest.fixture
def stream(photos) -> bytes:
    photo = np.ascontiguousarray(photos["coffee"][:40, :50])
    return read_still(imagecodecs.avif_encode(photo, 50, speed=10)).primary.data


def test_truncated_header_is_an_error(stream) -> None:
    header = next(i for i in range(len(stream)) if stream[i] >> 3 == 1)
    with pytest.raises(ImageReadError, match="truncated"):
        read_sequence_headers(stream[: header + 6])
    with pytest.raises(ImageReadError, match="no valid size"):
        read_sequence_headers(stream[: header + 1] + b"\xff" * 9)
    assert read_sequence_headers(b"") == []


def test_streams_of_many_units_are_refused(stream) -> None:
    delimiter = b"\x12\0"
    assert read_sequence_headers(delimiter * 9_000 + stream)
    with pytest.raises(ImageReadError, match="too many for a still"):
        read_sequence_headers(delimiter * 11_000 + stream)
    with pytest.raises(ImageReadError, match="too many for a still"):
        read_sequence_headers(stream * 20)
