"""The formats' own decoders give the pixels that roi-ray scores."""

import shutil
import subprocess

import numpy as np
import pytest

from roi_ray.imaging.decode import decode_image
from roi_ray.sweep.builtin import make_codec
from roi_ray.sweep.source import SourceImage
from tests.sweep.builtin.samples import deep_photograph, levels, photograph, psnr

DJXL = ["djxl", "{in}", "{out}.png"]
AVIFDEC_8 = ["avifdec", "{in}", "{out}.png"]
AVIFDEC = ["avifdec", "-d", "16", "{in}", "{out}.png"]
OPJ = ["opj_decompress", "-i", "{in}", "-o", "{out}.png"]
JXR = ["JxrDecApp", "-i", "{in}", "-o", "{out}.tif"]


@pytest.mark.parametrize("is_deep", [False, True])
@pytest.mark.parametrize(
    ("command", "name", "options", "quality"),
    [
        (DJXL, "jpegxl", {}, 1),
        (DJXL, "jpegxl", {}, 0),
        (AVIFDEC_8, "avif", {"speed": 9}, 70),
        (AVIFDEC_8, "avif", {"speed": 9, "422": True}, 70),
        (AVIFDEC, "avif", {"speed": 9, "depth": 10}, 70),
        (AVIFDEC, "avif", {"speed": 9, "depth": 12, "444": True}, 99),
        (OPJ, "jpeg2000", {}, 37),
        (OPJ, "htj2k", {}, 0.02),
        (JXR, "jpegxr", {}, 0.25),
        (JXR, "jpegxr", {}, 0.7),
        (JXR, "jpegxr", {"depth": 16}, 0.2),
    ],
)
def test_decoder_of_the_format_gives_the_same_pixels(
    command, name, options, quality, is_deep, tmp_path
):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    image = deep_photograph() if is_deep else photograph()
    codec = make_codec(name, options)
    data = codec.encode(SourceImage(image), quality).data
    file = tmp_path / f"file{codec.suffix}"
    file.write_bytes(data)
    names = {"{in}": str(file), "{out}": str(tmp_path / "decoded")}
    words = [
        word.replace("{in}", names["{in}"]).replace("{out}", names["{out}"]) for word in command
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    decoded = list(tmp_path.glob("decoded.*"))
    assert decoded, done.stdout + done.stderr
    theirs, ours = decode_image(decoded[0].read_bytes()), decode_image(data)
    # Decoders to 8 bits round differently by a level at most.
    assert np.abs(levels(theirs) - levels(ours)).max() < 1.01 / 255
    assert psnr(theirs, image) == pytest.approx(psnr(ours, image), abs=0.1)
    assert psnr(theirs, ours) > 55
