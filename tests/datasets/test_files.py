import io
import math
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import pytest

from roi_ray.datasets import files
from roi_ray.errors import ManifestError
from tests.conftest import encode, write


def test_listings_leave_out_hidden_files_and_folders(tmp_path) -> None:
    for path in ("b/x.png", "a/c/y.png", "z.csv", "__MACOSX/z.csv", "a/.cache/y.png", "a/._y.png"):
        write(tmp_path / path, b"")
    assert files.list_folders(str(tmp_path)) == ["a", "b"]
    assert files.list_files_below(str(tmp_path)) == ["a/c/y.png", "b/x.png", "z.csv"]
    assert (
        files.list_folders(str(tmp_path / "none"))
        == files.list_files_below(str(tmp_path / "none"))
        == []
    )


def test_image_finder_resolves_paths_and_refuses_ambiguous_names(tmp_path) -> None:
    for path in (
        "one/x.png",
        "crops/a/y.png",
        "crops/b/y.png",
        "more/b/y.png",
        "z.png",
        "in/z.png",
    ):
        write(tmp_path / path, b"")
    finder = files.ImageFinder(str(tmp_path))

    def find_relative(name: str) -> str | None:
        path = finder.find(name)
        return path and str(Path(path).relative_to(tmp_path))

    assert find_relative("one/x.png") == "one/x.png"
    assert find_relative("x.png") == "one/x.png"
    assert find_relative("archive/x.png") == "one/x.png"
    assert find_relative("z.png") == "z.png"
    assert find_relative("b/y.png") == "crops/b/y.png"
    # Three files have this name, so it is ambiguous.
    assert find_relative("c/y.png") is None
    assert find_relative("w.png") is None


def test_bits_per_pixel_count_the_whole_file(tmp_path) -> None:
    data = encode(np.zeros((20, 30, 3), np.uint8), "JPEG")
    uri = write(tmp_path / "x.jpg", data)
    assert files.read_bits_per_pixel(uri) == 8 * len(data) / 600
    assert files.read_byte_size(uri) == len(data)
    assert math.isnan(files.read_byte_size(str(tmp_path / "y.jpg")))


@pytest.mark.parametrize("suffix", ["jxl", "heic", "png", "jpg"])
def test_bits_per_pixel_of_deep_images_and_of_formats_that_pillow_does_not_open(
    tmp_path, suffix
) -> None:
    samples = np.linspace(0, 4095, 20 * 30 * 3).reshape(20, 30, 3).astype(np.uint16)
    if suffix == "heic":
        heif = pillow_heif.from_bytes("RGB;16", (30, 20), (samples * 16).tobytes())
        stream = io.BytesIO()
        heif.save(stream)
        data = stream.getvalue()
    else:
        data = {
            "jxl": lambda: imagecodecs.jpegxl_encode(samples, bitspersample=12),
            "png": lambda: imagecodecs.png_encode(samples),
            "jpg": lambda: imagecodecs.jpeg8_encode(samples, bitspersample=12),
        }[suffix]()
    uri = write(tmp_path / f"x.{suffix}", data)
    assert files.read_bits_per_pixel(uri) == 8 * len(data) / 600


def test_bits_per_pixel_of_an_unreadable_image_is_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match=r"cannot read .*y\.jpg.*; the data set's table names"):
        files.read_bits_per_pixel(str(tmp_path / "y.jpg"))
    for data in (b"", b"not an image"):
        uri = write(tmp_path / "x.jpg", data)
        with pytest.raises(ManifestError, match=r"x\.jpg is not a readable image"):
            files.read_bits_per_pixel(uri)


def test_map_in_threads_keeps_the_order() -> None:
    assert files.map_in_threads(lambda x: x * x, range(100)) == [x * x for x in range(100)]
