"""The files are those of the libraries' own interfaces."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from roi_ray.sweep.builtin import make_codec
from roi_ray.sweep.source import SourceImage
from tests.sweep.builtin.samples import deep_photograph, needs_pyjpegli, photograph


def pillow(image, format, **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "options", "quality", "format", "pillow_options"),
    [
        ("jpeg", {}, 50, "JPEG", {"quality": 50, "optimize": True}),
        ("jpeg", {"optimize": False}, 50, "JPEG", {"quality": 50}),
        (
            "jpeg",
            {"progressive": True, "444": True},
            50,
            "JPEG",
            {"quality": 50, "progressive": True, "subsampling": 0},
        ),
        ("jpeg", {"422": True}, 9, "JPEG", {"quality": 9, "optimize": True, "subsampling": 1}),
        ("webp", {}, 20, "WEBP", {"quality": 20, "method": 4}),
        ("webp", {"method": 6}, 20, "WEBP", {"quality": 20, "method": 6}),
        (
            "webp",
            {"lossless": True},
            50,
            "WEBP",
            {"quality": 50, "method": 4, "lossless": True},
        ),
        (
            "jpeg2000",
            {},
            33,
            "JPEG2000",
            {"quality_mode": "dB", "quality_layers": [33], "irreversible": True, "mct": 1},
        ),
        ("avif", {}, 35, "AVIF", {"quality": 35, "speed": 6, "max_threads": 1}),
        (
            "avif",
            {"speed": 9, "422": True},
            70,
            "AVIF",
            {"quality": 70, "speed": 9, "max_threads": 1, "subsampling": "4:2:2"},
        ),
    ],
)
def test_file_is_the_one_that_pillow_writes(name, options, quality, format, pillow_options):
    image = photograph()
    codec = make_codec(name, options)
    data = codec.encode(SourceImage(image), quality).data
    assert data == pillow(image, format, **pillow_options)
    assert Image.registered_extensions()[codec.suffix] == format


def test_subsampling_is_that_of_the_file():
    for subsampling, expected in ((420, (2, 2)), (422, (2, 1)), (444, (1, 1))):
        codec = make_codec("jpeg", {"subsampling": subsampling})
        data = codec.encode(SourceImage(photograph()), 75).data
        with Image.open(io.BytesIO(data)) as image:
            assert image.layer[0][1:3] == expected


@pytest.mark.parametrize("depth", [8, 10, 12])
@pytest.mark.parametrize(("subsampling", "halved"), [(420, (1, 1)), (422, (1, 0)), (444, (0, 0))])
def test_avif_has_the_subsampling_and_the_depth_of_the_options(depth, subsampling, halved):
    codec = make_codec("avif", {"depth": depth, "speed": 9, "subsampling": subsampling})
    data = codec.encode(SourceImage(photograph(side=64)), 70).data
    # AV1CodecConfigurationBox of the AV1 Codec ISO Media File Format Binding, 2.3.3.
    flags = data[data.index(b"av1C") + 6]
    assert (flags >> 3 & 1, flags >> 2 & 1) == halved
    assert (flags >> 6 & 1, flags >> 5 & 1) == (depth > 8, depth == 12)


@pytest.mark.parametrize(("depth", "subsampling"), [(10, 420), (12, 444)])
def test_avif_of_many_bits_is_the_one_that_imagecodecs_writes(depth, subsampling):
    deep = deep_photograph()
    codec = make_codec("avif", {"depth": depth, "speed": 9, "subsampling": subsampling})
    data = codec.encode(SourceImage(deep), 70).data
    samples = np.asarray(SourceImage(deep).at_bit_depth(depth))
    pixel_format = imagecodecs.AVIF.PIXEL_FORMAT[f"YUV{subsampling}"]
    options = {"pixelformat": pixel_format, "bitspersample": depth, "numthreads": 1}
    tags = {"primaries": 1, "transfer": 13, "matrix": 6}
    assert data == imagecodecs.avif_encode(samples, level=70, speed=9, **options, **tags)


@pytest.mark.parametrize("distance", [0.5, 1, 8])
def test_jpegxl_has_the_pixels_of_imagecodecs(distance):
    image = photograph()
    data = make_codec("jpegxl", {"effort": 5}).encode(SourceImage(image), distance).data
    other = imagecodecs.jpegxl_encode(image, distance=distance, effort=5, numthreads=1)
    assert np.array_equal(imagecodecs.jpegxl_decode(data), imagecodecs.jpegxl_decode(other))
    assert abs(len(data) - len(other)) < 64


@pytest.mark.parametrize("depth", [8, 16])
def test_htj2k_and_jpegxr_are_those_that_imagecodecs_writes(depth):
    source = SourceImage(deep_photograph())
    samples = np.asarray(source.at_bit_depth(depth))
    htj2k = make_codec("htj2k", {"depth": depth}).encode(source, 0.05).data
    assert htj2k == imagecodecs.htj2k_encode(samples, level=0.05, reversible=False)
    jpegxr = make_codec("jpegxr", {"depth": depth}).encode(source, 0.25).data
    assert jpegxr == imagecodecs.jpegxr_encode(samples, level=0.25)


@needs_pyjpegli
def test_jpegli_is_the_file_that_pyjpegli_writes():
    import pyjpegli

    image = photograph()
    data = make_codec("jpegli").encode(SourceImage(image), 50).data
    assert data == pyjpegli.encode(image.tobytes(), image.shape[1], image.shape[0], quality=50)
    assert data != pillow(image, "JPEG", quality=50, optimize=True)
