"""Every built-in codec on photographs: quality, size, colours, determinism, times."""

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

from roi_ray.errors import CodecError, UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.sweep.builtin import BUILTIN, make_codec
from roi_ray.sweep.source import SourceImage
from tests.sweep.builtin.samples import NAMES, deep_photograph, needs_pyjpegli, photograph, psnr

# Options, a quality near the best, and the PSNR in dB that colours right to the last bits reach.
VARIANTS = [
    ("jpeg", {}, 98, 36),
    ("jpeg", {"progressive": True}, 98, 36),
    ("jpeg", {"optimize": False}, 98, 36),
    ("jpeg", {"subsampling": 422}, 98, 37),
    ("jpeg", {"subsampling": 444}, 98, 42),
    pytest.param("jpegli", {}, 100, 36, marks=needs_pyjpegli),
    ("webp", {}, 100, 37),
    ("webp", {"lossless": True}, 50, np.inf),
    ("avif", {"speed": 9}, 98, 39),
    ("avif", {"speed": 9, "subsampling": 422}, 98, 40),
    ("avif", {"speed": 9, "subsampling": 444}, 98, 45),
    ("avif", {"speed": 9, "depth": 10}, 98, 39),
    ("avif", {"speed": 9, "depth": 12, "subsampling": 444}, 99, 55),
    ("jpegxl", {}, 0.05, 43),
    ("jpegxl", {}, 0, np.inf),
    ("jpegxl", {"depth": 16, "effort": 3}, 0, np.inf),
    ("jpegxr", {}, 0.95, 46),
    ("jpegxr", {}, 1, np.inf),
    ("jpegxr", {"depth": 16}, 0.5, 54),
    ("jpeg2000", {}, 55, 49),
    ("htj2k", {}, 0.002, 55),
    ("htj2k", {"depth": 16}, 0.002, 55),
]


@pytest.mark.parametrize(("name", "options", "quality", "expected"), VARIANTS)
def test_file_of_high_quality_has_the_pixels_of_the_photograph(name, options, quality, expected):
    image = photograph()
    codec = make_codec(name, options)
    encoded = codec.encode(SourceImage(image), quality)
    assert psnr(decode_image(encoded.data), image) >= expected
    assert encoded.seconds > 0
    decoded = codec.decode(encoded.data)
    assert decoded.data is None
    assert decoded.seconds > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", [0, 1])
def test_better_quality_is_a_larger_file_and_a_better_image(name, variant):
    variants = ({}, *BUILTIN[name].variants)
    if variant >= len(variants) or variants[variant] == {"lossless": True}:
        pytest.skip("no such variant with a lossy scale")
    codec = make_codec(name, variants[variant])
    qualities = codec.scale.defaults
    assert list(qualities) == sorted(qualities)
    assert len(qualities) == 5
    worst_first = qualities if codec.scale.higher_is_better else qualities[::-1]
    for photo in ("coffee", "chelsea", "rocket"):
        image = photograph(photo)
        files = [codec.encode(SourceImage(image), quality).data for quality in worst_first]
        bits = [8 * len(file) / image[..., 0].size for file in files]
        scores = [psnr(decode_image(file), image) for file in files]
        assert bits == sorted(set(bits))
        assert scores == sorted(set(scores))
        assert 0.03 < bits[0] < 0.8
        assert 0.5 < bits[-1] < 4


@pytest.mark.parametrize("name", NAMES)
def test_encoding_again_from_a_pickle_gives_the_same_bytes(name):
    codec = make_codec(name)
    again = pickle.loads(pickle.dumps(codec))
    assert again == codec
    quality = codec.scale.defaults[1]
    source = SourceImage(photograph())
    assert again.encode(source, quality).data == codec.encode(source, quality).data


@pytest.mark.parametrize("name", NAMES)
def test_version_names_the_library(name):
    assert re.fullmatch(
        r"[A-Za-z-]+ [0-9][0-9.]*( with aom [0-9][0-9.]*)?", make_codec(name).version()
    )


@pytest.mark.parametrize("name", NAMES)
def test_ends_of_the_scale_work_and_qualities_beyond_or_between_are_refused(name):
    codec = make_codec(name)
    source = SourceImage(photograph(side=48))
    for quality in (codec.scale.lowest, codec.scale.highest):
        assert decode_image(codec.encode(source, quality).data).shape == (48, 48, 3)
    scale = codec.scale
    outside = (scale.lowest - scale.step, scale.highest + scale.step)
    for quality in (*outside, scale.lowest + scale.step / 2):
        with pytest.raises(UsageError, match=f"{name} has no quality"):
            codec.encode(source, quality)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3), (15, 17), (33, 31)])
def test_odd_and_tiny_images_keep_their_size_and_colours(name, size):
    height, width = size
    image = photograph()[:height, :width]
    codec = make_codec(name)
    source = SourceImage(image)
    quality = {"jpegxr": 0.6, "jpeg2000": 42}.get(name, codec.scale.defaults[2])
    decoded = decode_image(codec.encode(source, quality).data)
    assert decoded.shape == image.shape
    if (name, size) != ("jpeg2000", (1, 1)):  # OpenJPEG drops all it can of a single pixel
        assert np.abs(decoded.mean((0, 1)) - image.mean((0, 1))).max() < 30
    codec.decode(codec.encode(source, quality).data)


@pytest.mark.parametrize("name", NAMES)
def test_grey_image_stays_grey(name):
    grey = np.repeat(photograph()[..., 1:2], 3, 2)
    codec = make_codec(name)
    decoded = decode_image(codec.encode(SourceImage(grey), codec.scale.defaults[2]).data)
    chroma = decoded.astype(int) - decoded[..., 1:2]
    assert np.abs(chroma).max() <= 8
    assert np.abs(chroma).mean() < 1


@pytest.mark.parametrize("name", NAMES)
def test_transposed_or_strided_pixels_are_encoded_as_they_look(name):
    image = photograph()[::2, ::-1]
    codec = make_codec(name)
    quality = codec.scale.defaults[1]
    strided = codec.encode(SourceImage(image), quality).data
    assert strided == codec.encode(SourceImage(np.ascontiguousarray(image)), quality).data


@pytest.mark.parametrize(
    ("name", "eight", "deeper", "quality"),
    [
        ("avif", {"444": True}, {"444": True, "depth": 10}, 99),
        ("avif", {"444": True, "depth": 10}, {"444": True, "depth": 12}, 99),
        ("jpegxl", {"depth": 8}, {"depth": 16}, 0.05),
        ("jpegxl", {"depth": 8}, {}, 0.05),
        ("htj2k", {"depth": 8}, {"depth": 16}, 0.001),
        ("htj2k", {"depth": 8}, {}, 0.001),
    ],
)
def test_more_bits_are_closer_to_a_deep_source(name, eight, deeper, quality):
    source = SourceImage(deep_photograph())
    scores = [
        psnr(decode_image(make_codec(name, options).encode(source, quality).data), source.pixels)
        for options in (eight, deeper)
    ]
    assert scores[0] + 0.1 < scores[1]


def test_deep_source_is_encoded_at_16_bits_without_loss():
    source = SourceImage(deep_photograph())
    for name, options, quality in (("jpegxl", {}, 0), ("jpegxr", {"depth": 16}, 1)):
        decoded = decode_image(make_codec(name, options).encode(source, quality).data)
        assert decoded.bit_depth == 16
        assert np.array_equal(decoded, source.pixels)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("webp", (2, 16_384), "^cannot encode 16384 x 2: its files have sides of at most 16383"),
        ("jpeg", (65_501, 1), "^cannot encode 1 x 65501: its files have sides of at most 65500"),
        ("avif", (1, 32_769), "^cannot encode 32769 x 1: its files have sides of at most 32768"),
        ("jpegxr", (40, 16), r"^cannot encode 16 x 40: below quality 0\.5 .* 17 pixels wide"),
    ],
)
def test_size_that_a_codec_cannot_take_is_an_error_of_the_image(name, size, message):
    image = np.resize(photograph()[:, 0], (*size, 3))
    codec = make_codec(name)
    with pytest.raises(CodecError, match=message):
        codec.encode(SourceImage(image), codec.scale.defaults[0])


@pytest.mark.parametrize("name", NAMES)
def test_damaged_file_is_a_codec_error(name):
    codec = make_codec(name)
    data = codec.encode(SourceImage(photograph()), codec.scale.defaults[2]).data
    # jxrlib does not notice that a file ends early; roi-ray's reader does.
    truncated = [] if name == "jpegxr" else [data[: len(data) // 8]]
    for damaged in (b"", b"not an image", *truncated):
        with pytest.raises(CodecError, match="^cannot decode its file: "):
            codec.decode(damaged)


COUNT_TIME = """
import time
from roi_ray.sweep.builtin import make_codec
from roi_ray.sweep.source import SourceImage
from tests.sweep.builtin.samples import photograph

source = SourceImage(photograph(side=256))
for name, options in {variants}:
    codec = make_codec(name, options)
    codec.decode(codec.encode(source, codec.scale.defaults[-1]).data)
    start = time.process_time(), time.thread_time()
    encoded = [codec.encode(source, codec.scale.defaults[-1]) for _ in range(3)]
    decoded = [codec.decode(encoded[0].data) for _ in range(3)]
    process, thread = time.process_time() - start[0], time.thread_time() - start[1]
    counted = sum(result.seconds for result in [*encoded, *decoded])
    assert process < 1.05 * thread + 0.005, (codec.label, process, thread)
    assert 0.5 * process - 0.005 < counted <= process, (codec.label, process, counted)
"""


def test_no_library_works_in_threads_of_its_own():
    variants = [("avif", {"depth": 10, "speed": 9}), ("webp", {"lossless": True})]
    variants += [
        (name, {"speed": 9} if name == "avif" else {}) for name in BUILTIN if name != "jpegli"
    ]
    subprocess.run([sys.executable, "-c", COUNT_TIME.format(variants=variants)], check=True)
