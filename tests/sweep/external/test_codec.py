"""Codecs by command line: the real ones, where they are installed."""

import numpy as np
import pytest

from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import to_8_bits
from roi_ray.sweep.external import make_external_codec
from roi_ray.sweep.source import SourceImage
from tests.imaging.heif_files import require_tool

JXL = {
    "encode": ["cjxl", "{in}", "{out}", "-q", "{quality}", "-e", "3"],
    "decode": ["djxl", "{in}", "{out}"],
    "version": ["cjxl", "--version"],
    "input": "ppm",
    "suffix": ".jxl",
}
AVIF = {
    "encode": ["avifenc", "-s", "9", "--min", "{quality}", "--max", "{quality}", "{in}", "{out}"],
    "decode": ["avifdec", "{in}", "{out}"],
    "version": ["avifenc", "--version"],
    "suffix": ".avif",
    "quality_range": [0, 63],
    "higher_is_better": False,
}
WEBP = {
    "encode": ["cwebp", "-quiet", "-q", "{quality}", "{in}", "-o", "{out}"],
    "version": ["cwebp", "-version"],
    "input": "ppm",
    "suffix": ".webp",
}
JP2 = {
    "encode": ["opj_compress", "-i", "{in}", "-o", "{out}", "-q", "{quality}", "-I"],
    "decode": ["opj_decompress", "-i", "{in}", "-o", "{out}"],
    "input": "ppm",
    "output": "ppm",
    "suffix": ".jp2",
    "quality_range": [15, 60],
}
REAL = {"jxl": JXL, "avif": AVIF, "webp": WEBP, "jp2": JP2}
QUALITIES = {"jxl": (30, 60, 90), "avif": (55, 35, 15), "webp": (5, 50, 90), "jp2": (25, 32, 42)}


def make(name, **changes):
    """Make a codec of `REAL`, whose programs must be installed."""
    table = REAL[name] | changes
    for key in ("encode", "decode"):
        if key in table:
            require_tool(table[key][0])
    return make_external_codec(name, table)


@pytest.fixture(scope="module")
def crop(photos):
    return photos["chelsea"][40:168, 100:292]


def decode(codec, data):
    decoded = codec.decode(data).data
    return decode_image(data if decoded is None else decoded)


@pytest.mark.parametrize("name", REAL)
def test_higher_qualities_are_larger_and_closer_to_the_source(name, crop):
    codec = make(name)
    source = SourceImage(crop)
    encoded = [codec.encode(source, quality) for quality in QUALITIES[name]]
    sizes = [len(each.data) for each in encoded]
    closeness = [_psnr(decode(codec, each.data), crop) for each in encoded]
    assert sizes == sorted(sizes) and sizes[0] < 0.5 * sizes[-1]
    assert closeness == sorted(closeness) and closeness[-1] > 35
    assert codec.encode(source, QUALITIES[name][0]).data == encoded[0].data
    for each in encoded:
        assert 0 < each.seconds < 60 and 1 << 20 < each.memory < 1 << 30


def _psnr(image, reference):
    error = to_8_bits(image).astype(float) - to_8_bits(reference)
    return 10 * np.log10(255**2 / np.mean(error**2))
