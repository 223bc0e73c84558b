"""Codecs by command line: the real ones, where they are installed."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from roi_ray.errors import CodecError
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import bit_depth_of, to_8_bits
from roi_ray.sweep.external import KEYS, make_external_codec
from roi_ray.sweep.plan import make_plan
from roi_ray.sweep.source import SourceImage
from tests.conftest import deepen
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
    closeness = [psnr_of(decode(codec, each.data), crop) for each in encoded]
    assert sizes == sorted(sizes) and sizes[0] < 0.5 * sizes[-1]
    assert closeness == sorted(closeness) and closeness[-1] > 35
    assert codec.encode(source, QUALITIES[name][0]).data == encoded[0].data
    for each in encoded:
        assert 0 < each.seconds < 60 and 1 << 20 < each.memory < 1 << 30


def psnr_of(image, reference):
    """PSNR in dB, at the depths of both."""
    values, wanted = (
        np.asarray(each) / ((1 << bit_depth_of(each)) - 1) for each in (image, reference)
    )
    mse = np.mean((values - wanted) ** 2)
    return -10 * np.log10(mse) if mse else np.inf


DEEP = {
    "jxl": ({"input_bits": 16}, 100),
    "avif": (
        {"input_bits": 16, "encode": [*AVIF["encode"][:1], "-d", "12", *AVIF["encode"][1:]]},
        0,
    ),
    "avif-y4m": ({"input": "y4m", "input_bits": 12}, 0),
    "jp2": ({"input_bits": 16, "quality_range": [15, 90]}, 75),
    "jp2-10": ({"input_bits": 10, "quality_range": [15, 90]}, 75),
}


@pytest.mark.parametrize("name", DEEP)
def test_input_of_more_bits_keeps_more_than_8(name, crop):
    changes, quality = DEEP[name]
    deep = deepen(crop, 16)
    codec = make(name.partition("-")[0], quality_step=0.5, **changes)
    decoded = decode(codec, codec.encode(SourceImage(deep), quality).data)
    assert bit_depth_of(decoded) > 8
    of_8_bits = psnr_of(to_8_bits(deep), deep)
    assert 58 < of_8_bits < 59.5  # what no codec of 8 bits gets above
    assert psnr_of(decoded, deep) > of_8_bits + 3


@pytest.mark.parametrize("bits", [8, 10])
def test_colours_of_y4m_are_those_that_avifenc_assumes(bits, photos):
    """With another matrix or range, the colours would be up to 30 levels away."""
    crop = photos["astronaut"][:96, 150:300]
    codec = make("avif", input="y4m", input_bits=bits)
    data = codec.encode(SourceImage(crop), 0).data
    by_avifdec = decode(codec, data)
    by_roi_ray = decode_image(data)
    by_y4m = decode(make("avif", input="y4m", input_bits=bits, output="y4m"), data)
    for decoded in (by_avifdec, by_roi_ray, by_y4m):
        error = np.asarray(decoded) / ((1 << bit_depth_of(decoded)) - 1) * 255 - crop
        assert np.abs(error).max() <= (2 if bits == 8 else 0.6)
        assert np.abs(error.mean((0, 1))).max() < 0.15


# CI does not install ffmpeg, which brings hundreds of packages.
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_ffmpeg_takes_y4m_and_gives_it_back(crop):
    ffmpeg = ["ffmpeg", "-loglevel", "error", "-i", "{in}"]
    table = {
        "encode": [*ffmpeg, "-c:v", "ffv1", "-metadata", "title={quality}", "{out}"],
        "decode": [*ffmpeg, "-strict", "-1", "{out}"],
        "version": ["ffmpeg", "-version"],
        "suffix": ".mkv",
        "input": "y4m",
        "input_bits": 10,
        "output": "y4m",
    }
    codec = make_external_codec("ffv1", table)
    decoded = decode(codec, codec.encode(SourceImage(crop), 50).data)
    np.testing.assert_array_equal(to_8_bits(decoded), crop)  # lossless but for the conversion
    assert codec.version().startswith("ffmpeg version ")


def test_versions_of_real_programs():
    for name, text in {"jxl": "cjxl v", "avif": "avifenc: Version: ", "webp": "cwebp: 1."}.items():
        assert make(name).version().startswith(text)
    assert re.fullmatch(r"opj_compress \(SHA-256 [0-9a-f]{16}\)", make("jp2").version())


def test_real_program_that_fails_gives_its_reason(crop):
    codec = make("jxl", encode=["cjxl", "{in}", "{out}", "--no-such-option", "{quality}"])
    with pytest.raises(CodecError, match="exit code 1; .* no-such-option|no-such-option"):
        codec.encode(SourceImage(crop), 50)
    with pytest.raises(CodecError, match="^`djxl input.jxl output.png` failed with exit code"):
        codec.decode(b"rubbish")


README = Path(__file__).parents[3] / "roi_ray" / "sweep" / "README.md"


def test_plan_of_the_readme_works(tmp_path, crop):
    (plan,) = re.findall(r"```toml\n(\[codecs\.cjxl\].*?)```", README.read_text(), re.DOTALL)
    for program in re.findall(r'(?:en|de)code = \["(\w+)"', plan):
        require_tool(program)
    (tmp_path / "plan.toml").write_text(plan)
    planned = make_plan(file=str(tmp_path / "plan.toml"))
    assert [codec.label for codec, _ in planned] == ["cjxl", "avifenc", "cwebp", "opj"]
    for codec, targets in planned:
        qualities = sorted(target.value for target in targets)
        best = qualities[-1 if codec.scale.higher_is_better else 0]
        encoded = codec.encode(SourceImage(crop), best)
        assert psnr_of(decode(codec, encoded.data), crop) > 35
        assert codec.version()


def test_readme_lists_every_key():
    text = README.read_text().partition("## Any codec by command line")[2]
    keys = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))
    assert keys == set(KEYS) - {"quality"}
