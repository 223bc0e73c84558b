"""What is sent for images and masks."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import roi_ray
from roi_ray.client import sources
from roi_ray.client.sources import (
    Content,
    Unreadable,
    encode_pixels,
    read_batch,
    read_image,
    read_mask,
    read_reference,
)
from roi_ray.errors import ImageReadError, UnusableMask, UsageError
from roi_ray.imaging.decode import decode_image, decode_mask
from roi_ray.imaging.load import load_image
from tests.conftest import deepen, encode, encode_16_bits, write


@pytest.fixture
def photo(photos):
    return photos["chelsea"][:64, :80]


def test_pixels_of_8_bits_are_sent_unchanged(photo):
    for pixels in (photo, photo[::-1, ::2], np.asfortranarray(photo), photo[:, :, ::-1]):
        content = read_image(pixels, "image 1").content
        assert content.startswith(b"\x89PNG")
        decoded = decode_image(content)
        assert decoded.dtype == np.uint8 and (decoded == pixels).all()


@pytest.mark.parametrize("bit_depth", range(9, 17))
def test_pixels_of_more_bits_are_sent_unchanged(photo, bit_depth):
    pixels = deepen(photo, bit_depth)[:, ::-1]
    decoded = decode_image(read_image(pixels, "image 1").content)
    assert decoded.bit_depth == bit_depth and (np.asarray(decoded) == np.asarray(pixels)).all()


def test_masks_are_sent_unchanged(rng):
    levels = rng.integers(0, 256, (40, 50), dtype=np.uint8)
    assert (decode_mask(read_mask(levels).content) == levels).all()
    assert (decode_mask(read_mask(levels > 99).content) == 255 * (levels > 99)).all()
    assert (decode_mask(read_mask(Image.fromarray(levels)).content) == levels).all()
    with pytest.raises(UnusableMask):
        read_mask((levels > 99).astype(np.uint8))


def test_pillow_images_are_sent_as_score_sees_them(photo):
    image = Image.fromarray(photo)
    rgba = image.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(image.size))
    rotated = image.copy()
    rotated.getexif()[0x0112] = 6
    files = (encode(photo, "JPEG", quality=50), encode_16_bits(deepen(photo, 16)))
    opened = [Image.open(io.BytesIO(file)) for file in files]
    others = [image.convert(mode) for mode in ("L", "CMYK", "P", "1")]
    for source in (image, rgba, rotated, *opened, *others):
        expected = load_image(source)
        decoded = decode_image(read_image(source, "image 1").content)
        assert type(decoded) is type(expected)
        assert (np.asarray(decoded) == np.asarray(expected)).all()


def test_files_and_bytes_are_sent_as_they_are(tmp_path, photo, monkeypatch):
    data = encode(photo)
    path = Path(write(tmp_path / "a b.png", data))
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in (str(path), path, "~/a b.png"):
        content = read_image(source, "image 1")
        assert (content.name, content.content) == (os.fspath(source), data)
        assert content.to_part("image").filename == "a b.png"
    content = read_image(data, "image 1")
    assert (content.name, content.content) == ("image 1", data)
    assert content.reference == f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("uri", ["s3://bucket/a.png", "gs://b/c", "az://b/c", "file:///data/x.png"])
def test_uris_are_sent_as_text(uri):
    content = read_image(uri, "image 1")
    assert (content.name, content.content, content.reference) == (uri, uri, uri)
    assert content.to_part("image").filename is None


def test_hash_names_a_reference_and_no_image():
    name = "sha256:" + 64 * "0"
    assert read_reference(name).content == name
    with pytest.raises(ImageReadError):
        read_image(name, "image 1")


def test_errors_are_those_of_score(tmp_path, photo):
    write(tmp_path / "Photo.png", encode(photo))
    for source in (str(tmp_path / "photo.png"), "", str(tmp_path), photo.astype(np.uint16), "a\0b"):
        with pytest.raises(ImageReadError) as expected:
            roi_ray.score(source, photo)
        with pytest.raises(ImageReadError) as caught:
            sources.read_named("reference", lambda source=source: read_reference(source))
        assert str(caught.value) == str(expected.value)
    with pytest.raises(UsageError, match="an object of type int"):
        read_image(3, "image 1")


def test_batch_ends_at_the_number_or_the_bytes_of_its_images(monkeypatch):
    assert len(read_batch([b"x"] * 40, 0)) == sources.MAX_IMAGES == 16
    batch = read_batch([b"%d" % number for number in range(40)], 32)
    assert [(image.name, image.content) for image in batch][::7] == [
        ("image 33", b"32"),
        ("image 40", b"39"),
    ]
    monkeypatch.setattr(sources, "MAX_BYTES", 100)
    assert [len(read_batch([b"x" * 60] * 5, start)) for start in (0, 1, 4)] == [1, 1, 1]
    assert len(read_batch([b"x" * 50] * 5, 0)) == 2
    assert len(read_batch([b"x" * 200] * 2, 0)) == 1


def test_image_that_cannot_be_read_is_one_entry_of_its_batch(tmp_path):
    missing = str(tmp_path / "missing.png")
    first, second, third = read_batch([b"x", missing, b"y"], 0)
    assert (first, third) == (Content("image 1", b"x"), Content("image 3", b"y"))
    assert isinstance(second, Unreadable) and second.name == missing
    assert isinstance(second.error, ImageReadError) and missing in str(second.error)


def test_filename_with_undecodable_bytes_can_be_sent():
    name = os.fsdecode(b"/data/caf\xe9.png")
    assert Content(name, b"x").to_part("image").filename == "caf?.png"


def test_encoding_does_not_change_its_argument(photo):
    before = photo.copy()
    encode_pixels(photo)
    assert (photo == before).all()
