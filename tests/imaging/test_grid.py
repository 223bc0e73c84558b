"""The grid of formats, depths and colours; its table stands in `roi_ray/imaging/README.md`."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

import roi_ray.imaging
from roi_ray.errors import UnsupportedColour
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import Pixels, bit_depth_of
from tests.conftest import Photos
from tests.imaging import grid
from tests.imaging.grid import COLOURS, HDR, LOSSLESS, Samples, profile

README = Path(roi_ray.imaging.__file__).with_name("README.md")
TOOLS = ("avifdec", "avifenc", "cjxl", "djxl", "JxrDecApp", "opj_decompress", "heif-convert")
DEPTHS = (8, 10, 12, 16)
NO_ALPHA = {"PPM, PGM", "JPEG, lossless", "BMP", "HEIC"}
NO_GREY = {"WebP", "HEIC"}

pytestmark = pytest.mark.skipif(
    "CI" not in os.environ and not all(map(shutil.which, TOOLS)),
    reason=f"needs the command-line tools {', '.join(TOOLS)}",
)


def samples_of(photos: Photos, bits: int, channels: int = 3) -> Samples:
    """Cut a photograph, and add detail below 8 bits; 4 channels have alpha, 1 is grey."""
    photo = photos["coffee"][100:164, 200:296, [0, 1, 2, 0][: max(channels, 3)]]
    detail = np.random.default_rng(0).integers(-128, 128, photo.shape)
    values = (photo.astype(int) * 257 + detail).clip(0, 65535) >> (16 - bits)
    samples = values.astype(np.uint8 if bits == 8 else np.uint16)
    samples[:4], samples[4:8] = (1 << bits) - 1, 0  # white and black
    if channels == 4:  # of 8 bits, because cjxl keeps no more
        samples[..., 3] = np.rint(photo[..., 3] * (((1 << bits) - 1) / 255))
    return np.ascontiguousarray(samples[..., 1] if channels == 1 else samples)


def over_white(samples: Samples, bits: int) -> Samples:
    """Return the RGB samples that a viewer shows, in float64, 0..2^bits - 1."""
    if samples.ndim == 2:
        return np.repeat(samples[..., None], 3, axis=2).astype(float)
    white = (1 << bits) - 1
    alpha = samples[..., 3:].astype(float) / white if samples.shape[2] == 4 else 1.0
    return samples[..., :3] * alpha + white * (1 - alpha)


def describe(image: Pixels, expected: Samples, bits: int) -> str:
    """Say how many levels an image is at most from the expected samples."""
    assert bit_depth_of(image) == bits
    distance = int(np.abs(np.asarray(image, float) - np.rint(expected)).max())
    return f"within {distance}" if distance else "exact"


Table = list[list[str]]


def levels(cell: str) -> int:
    """Return the largest difference that a cell states: 0 for `exact`."""
    return int(cell.removeprefix("within ")) if cell.startswith("within") else 0


def check_readme(name: str, measured: Table) -> None:
    """Check that the README's table claims nothing better than what was measured here.

    Processors and versions of the tools round differently, so that a cell may be better.
    """
    print("\n".join(f"| {' | '.join(line)} |" for line in measured))
    found = re.search(rf"<!-- {name} -->\n(.*?)\n\n", README.read_text(), re.DOTALL)
    assert found, f"{README} has no table after '<!-- {name} -->'"
    claimed = [line.strip("| ").split(" | ") for line in found[1].splitlines()]
    assert len(claimed) == len(measured)
    for claimed_line, line in zip(claimed, measured, strict=True):
        for claim, cell in zip(claimed_line, line, strict=True):
            is_better = levels(cell) < levels(claim) and cell.startswith(("exact", "within"))
            assert cell == claim or is_better, (line[0], claim, cell)


def rule(columns: int) -> list[str]:
    return ["---"] * columns


def test_lossless_files_give_their_exact_samples(photos) -> None:
    measured = [["Lossless", *(f"{bits} bits" for bits in DEPTHS)], rule(5)]
    for name, (encode, depths) in LOSSLESS.items():
        cells = dict.fromkeys(DEPTHS, "-")
        for bits in depths:
            outcomes = set()
            for channels in (1, 3, 4):
                if (channels == 4 and name in NO_ALPHA) or (channels == 1 and name in NO_GREY):
                    continue
                samples = samples_of(photos, bits, channels)
                image = decode_image(encode(samples, bits))
                outcomes.add(describe(image, over_white(samples, bits), bits))
            (cells[bits],) = outcomes
        measured.append([name, *cells.values()])
    assert {cell for line in measured[2:] for cell in line[1:]} == {"exact", "-"}
    check_readme("lossless", measured)


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def read_png(path: Path, bits: int) -> Samples:
    """Read a tool's PNG of 8 or 16 bits, scaled to the range of `bits` bits."""
    samples: Samples = imagecodecs.png_decode(path.read_bytes())
    largest = 255 if samples.dtype == np.uint8 else 65535
    return samples / largest * ((1 << bits) - 1)


def lossy_avif(samples: Samples, bits: int, chroma: str, folder: Path) -> tuple[bytes, Samples]:
    data = imagecodecs.avif_encode(
        samples, level=60, speed=10, bitspersample=bits, pixelformat=chroma.replace(":", "")
    )
    (folder / "a.avif").write_bytes(data)
    run("avifdec", folder / "a.avif", folder / "a.png")
    return data, read_png(folder / "a.png", bits)


def lossy_jxl(samples: Samples, bits: int, _chroma: str, folder: Path) -> tuple[bytes, Samples]:
    data = grid.jxl(samples, bits, "-d", "1")
    (folder / "a.jxl").write_bytes(data)
    # djxl 0.7 writes garbage where it has to choose between 8 and 16 bits for 10 or 12.
    wide = [] if bits == 8 else ["--bits_per_sample=16"]
    run("djxl", *wide, folder / "a.jxl", folder / "a.png")
    return data, read_png(folder / "a.png", bits)


def lossy_jpeg2000(
    samples: Samples, bits: int, _chroma: str, folder: Path
) -> tuple[bytes, Samples]:
    data = imagecodecs.jpeg2k_encode(samples, level=40, codecformat="jp2", bitspersample=bits)
    (folder / "a.jp2").write_bytes(data)
    run("opj_decompress", "-i", folder / "a.jp2", "-o", folder / "a.ppm")
    raw = (folder / "a.ppm").read_bytes()[-samples.nbytes :]
    return data, np.frombuffer(raw, "u1" if bits == 8 else ">u2").reshape(samples.shape)


def lossy_jpegxr(samples: Samples, bits: int, _chroma: str, folder: Path) -> tuple[bytes, Samples]:
    data = imagecodecs.jpegxr_encode(samples, level=0.9)
    (folder / "a.jxr").write_bytes(data)
    run("JxrDecApp", "-i", folder / "a.jxr", "-o", folder / "a.tif")
    return data, tifffile.imread(folder / "a.tif")


def lossy_heic(samples: Samples, bits: int, chroma: str, folder: Path) -> tuple[bytes, Samples]:
    data = grid.heic(samples, bits, chroma=int(chroma.replace(":", "")), quality=70)
    (folder / "a.heic").write_bytes(data)
    run("heif-convert", folder / "a.heic", folder / "a.png")
    return data, read_png(folder / "a.png", bits)


Lossy = Callable[[Samples, int, str, Path], tuple[bytes, Samples]]
LOSSY: dict[str, tuple[Lossy, str, tuple[int, ...]]] = {
    **{
        f"AVIF {chroma}, `avifdec`": (lossy_avif, chroma, (8, 10, 12))
        for chroma in ("4:2:0", "4:2:2", "4:4:4")
    },
    "HEIC 4:2:0, `heif-convert`": (lossy_heic, "4:2:0", (8, 10, 12)),
    "HEIC 4:4:4, `heif-convert`": (lossy_heic, "4:4:4", (8, 10, 12)),
    "JPEG XL, `djxl`": (lossy_jxl, "", (8, 10, 12, 16)),
    "JPEG 2000, `opj_decompress`": (lossy_jpeg2000, "", (8, 10, 12, 16)),
    "JPEG XR, `JxrDecApp`": (lossy_jpegxr, "", (8, 16)),
}
"""A function that encodes, and decodes by another program; its chroma and depths."""


def test_lossy_files_agree_with_other_decoders(tmp_path, photos) -> None:
    measured = [["Lossy", *(f"{bits} bits" for bits in DEPTHS)], rule(5)]
    for name, (encode, chroma, depths) in LOSSY.items():
        cells = dict.fromkeys(DEPTHS, "-")
        for bits in depths:
            data, expected = encode(samples_of(photos, bits), bits, chroma, tmp_path)
            cells[bits] = describe(decode_image(data), expected, bits)
        measured.append([name, *cells.values()])
    check_readme("lossy", measured)


Signal = Callable[[Samples, int, str], bytes]
SIGNALS: dict[str, tuple[Signal, int]] = {
    "PNG, `cICP`, 8 bits": (lambda s, _, colour: grid.png_with_cicp(s, colour), 8),
    "PNG, `cICP`, 16 bits": (lambda s, _, colour: grid.png_with_cicp(s, colour), 16),
    "AVIF, `nclx`, 8 bits": (lambda s, b, colour: grid.avif(s, b, *grid.cicp_of(colour)), 8),
    "AVIF, `nclx`, 10 bits": (lambda s, b, colour: grid.avif(s, b, *grid.cicp_of(colour)), 10),
    "HEIC, `nclx`, 10 bits": (lambda s, b, colour: grid.heic(s, b, grid.cicp_of(colour)), 10),
    "JPEG XL, enumerated, 8 bits": (grid.jxl_with_colour, 8),
    "JPEG XL, enumerated, 16 bits": (grid.jxl_with_colour, 16),
    "PNG, ICC, 8 bits": (lambda s, _, colour: grid.png_with_profile(s, profile(colour)), 8),
    "PNG, ICC, 16 bits": (lambda s, _, colour: grid.png_with_profile(s, profile(colour)), 16),
    "TIFF, ICC, 16 bits": (lambda s, b, colour: grid.tiff(s, b, iccprofile=profile(colour)), 16),
    "WebP, ICC, 8 bits": (
        lambda s, _, colour: grid.save(s, "WEBP", lossless=True, icc_profile=profile(colour)),
        8,
    ),
    "JPEG 2000, ICC, 12 bits": (
        lambda s, b, colour: grid.jp2_with_profile(s, b, profile(colour)),
        12,
    ),
    "AVIF, ICC, 10 bits": (lambda s, b, colour: grid.avif_with_profile(s, b, profile(colour)), 10),
    "JPEG XL, ICC, 16 bits": (
        lambda s, b, colour: grid.jxl(s, b, "-d", "0", icc=profile(colour)),
        16,
    ),
}
"""A function that signals a colour in a lossless file, and the file's depth."""


def test_signalled_colours_are_converted_to_srgb_or_refused(photos) -> None:
    measured = [["Colour by", *COLOURS, *HDR], rule(8)]
    for name, (encode, bits) in SIGNALS.items():
        samples = samples_of(photos, bits)
        white = (1 << bits) - 1
        cells = []
        for colour in COLOURS:
            image = decode_image(encode(samples, bits, colour))
            cells.append(describe(image, grid.to_srgb(samples / white, colour) * white, bits))
        for colour in HDR:
            if "ICC" in name:
                cells.append("-")
                continue
            with pytest.raises(UnsupportedColour, match=colour):
                decode_image(encode(samples, bits, colour))
            cells.append("refused")
        measured.append([name, *cells])
    check_readme("signalled", measured)
