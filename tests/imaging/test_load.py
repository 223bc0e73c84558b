"""Pillow images are loaded with the same pixels as their files."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from roi_ray.errors import ImageReadError, ImageTooLarge
from roi_ray.imaging.decode import convert_image, decode_image, decode_mask
from roi_ray.imaging.load import load_image, load_mask


def save(image, file_format="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"></x:xmpmeta>'


@pytest.fixture(scope="module")
def files(photos):
    photo = Image.fromarray(photos["chelsea"][:60, :90])
    alpha = Image.linear_gradient("L").resize(photo.size)
    palette = photo.quantize(16)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    return {
        "RGB": save(photo),
        "RGBA": save(Image.merge("RGBA", (*photo.split(), alpha))),
        "LA": save(Image.merge("LA", (photo.convert("L"), alpha))),
        "palette": save(palette),
        "transparent palette": save(palette, transparency=3),
        "grey": save(photo.convert("L")),
        "grey RGB": save(photo.convert("L").convert("RGB")),
        "bilevel": save(photo.convert("1")),
        "16 bits": save(Image.fromarray(np.arange(5400, dtype=np.uint16).reshape(60, 90) * 12)),
        "CMYK": save(photo.convert("CMYK"), "JPEG", quality=90),
        "EXIF": save(photo, "JPEG", quality=90, exif=rotated()),
        "XMP": save(photo, "JPEG", quality=90, xmp=XMP),
        "TIFF": save(photo, "TIFF", exif=rotated()),
        "GIF": save(palette, "GIF"),
        "unusable profile": save(photo, icc_profile=lab),
    }


KINDS = (
    "RGB",
    "RGBA",
    "LA",
    "palette",
    "transparent palette",
    "grey",
    "bilevel",
    "16 bits",
    "CMYK",
    "EXIF",
    "XMP",
    "TIFF",
    "GIF",
    "unusable profile",
)


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_pillow_image_equals_its_decoded_file(files, kind, loaded) -> None:
    image = Image.open(io.BytesIO(files[kind]))
    if loaded:
        image.load()
    expected = decode_image(files[kind])
    for _ in range(2):
        assert np.array_equal(load_image(image), expected)


def test_pillow_image_is_not_modified(files) -> None:
    image = Image.open(io.BytesIO(files["XMP"]))
    before = dict(image.info)
    load_image(image)
    assert image.info == before
    assert "xmp" in before


@pytest.mark.parametrize("kind", ["grey", "grey RGB", "bilevel"])
def test_pillow_mask_equals_its_decoded_file(files, kind) -> None:
    expected = decode_mask(files[kind])
    assert np.array_equal(load_mask(Image.open(io.BytesIO(files[kind]))), expected)
    assert np.array_equal(load_mask(files[kind]), expected)


def test_unusable_pillow_image_is_refused(files) -> None:
    with pytest.raises(ImageTooLarge, match="90 x 60 is 5400 pixels"):
        convert_image(Image.open(io.BytesIO(files["RGB"])), max_pixels=5399)
    truncated = Image.open(io.BytesIO(files["RGB"][:2000]))
    with pytest.raises(ImageReadError, match="cannot be decoded"):
        load_image(truncated)
    with pytest.raises(ImageReadError, match="transparent"):
        load_mask(Image.open(io.BytesIO(files["RGBA"])))


def test_error_names_the_file(tmp_path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"no image")
    with pytest.raises(ImageReadError, match=r"broken\.png: not an image of a known format"):
        load_image(path)
    with pytest.raises(ImageReadError, match=r"missing\.png: No such file"):
        load_image(tmp_path / "missing.png")
