"""Peak memory of decoding large images, in bytes per pixel, above that of the process before."""

import json
import os
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.imaging import grid

HEIGHT, WIDTH = 2000, 2400
FIXED = 6 << 20
"""Bytes that buffers and the heap may take, whatever the size; a byte or so per pixel here."""

CHILD = """
import json, sys
from pathlib import Path
from roi_ray.imaging.decode import decode_image, decode_mask

def read_memory(name):
    status = Path("/proc/self/status").read_text()
    return int(status.split(name + ":")[1].split()[0]) << 10

for name in json.load(sys.stdin):
    decode = decode_mask if name.startswith("mask") else decode_image
    decode(Path("small", name).read_bytes())  # loads the libraries
    data = Path("large", name).read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = read_memory("VmRSS")
    decode(data)
    print(json.dumps([name, read_memory("VmHWM") - before]), flush=True)
"""


def _encode_all(pixels: np.ndarray) -> dict[str, tuple[bytes, float]]:
    """Encode a photograph: files, and the bytes per pixel that decoding each may take, by name."""
    deep = pixels.astype(np.uint16) << 8 | pixels
    image, profile = Image.fromarray(pixels), grid.profile("Display P3")
    turned = Image.Exif()
    turned[274] = 6
    rgba = image.copy()
    rgba.putalpha(image.convert("L"))
    deep_png = imagecodecs.png_encode(deep, 1)
    iccp = b"p\0\0" + zlib.compress(profile)
    fast = {"compress_level": 1}
    both = {"icc_profile": profile, "exif": turned}
    return {
        "jpeg": (grid.save(pixels, "JPEG"), 7.5),
        "jpeg, profile, turned": (grid.save(pixels, "JPEG", **both), 7.5),
        "png, profile, turned": (grid.save(pixels, "PNG", **fast, **both), 7.5),
        "png, alpha, profile, turned": (grid.save(np.asarray(rgba), "PNG", **fast, **both), 8.5),
        "png, 16 bits, profile": (grid.insert_png_chunk(deep_png, b"iCCP", iccp), 7.5),
        "png, 16 bits, cicp": (grid.insert_png_chunk(deep_png, b"cICP", b"\x0c\r\0\1"), 7.5),
        "gif": (grid.save(np.asarray(image.convert("L")), "GIF"), 4.5),
        "webp": (grid.save(pixels, "WEBP", method=0), 4),
        "webp, profile, turned": (grid.save(pixels, "WEBP", method=0, **both), 7),
        "tiff, alpha": (grid.tiff(np.asarray(rgba), 8), 3.5),
        "ppm": (grid.pnm(pixels, 8), 0.5),
        "ppm, 16 bits": (grid.pnm(deep, 16), 6.5),
        "mask": (grid.save(np.asarray(image.convert("L")), "PNG", **fast), 2.5),
    }


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_large_images_are_decoded_in_few_bytes_per_pixel(tmp_path, photos) -> None:
    limits = {}
    for folder, size in {"small": (60, 50), "large": (WIDTH, HEIGHT)}.items():
        (tmp_path / folder).mkdir()
        resized = Image.fromarray(photos["coffee"]).resize(size, Image.Resampling.LANCZOS)
        for name, (data, limit) in _encode_all(np.asarray(resized)).items():
            (tmp_path / folder / name).write_bytes(data)
            limits[name] = limit
    run = subprocess.run(
        [sys.executable, "-c", CHILD],
        cwd=tmp_path,
        input=json.dumps(list(limits)),
        check=False,
        capture_output=True,
        text=True,
        # Large arrays go back to the system at once, so that each decode starts afresh.
        env=os.environ
        | {"MALLOC_MMAP_THRESHOLD_": "1000000", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.returncode == 0, run.stderr
    peaks = dict(map(json.loads, run.stdout.splitlines()))
    assert set(peaks) == set(limits)
    print({name: round(peak / HEIGHT / WIDTH, 1) for name, peak in peaks.items()})
    for name, peak in peaks.items():
        allowed = limits[name] * HEIGHT * WIDTH + FIXED
        assert peak < allowed, f"{name}: {peak >> 20} MiB of {int(allowed) >> 20}"
