"""Mutated files into all that reads other people's bytes: only roi-ray's own errors come out.

Takes seconds, with the same examples each time. For a longer run with new examples, and the number
of them printed:

    ROI_RAY_FUZZ_SECONDS=300 uv run pytest -s tests/imaging/test_fuzz.py
"""

import io
import os
import struct
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from roi_ray.errors import ImageError, ManifestError
from roi_ray.imaging.decode import FORMATS, decode_image, decode_mask
from roi_ray.io.manifest import read_manifest
from roi_ray.sweep import photographs
from tests.imaging import hostile

SECONDS = float(os.environ.get("ROI_RAY_FUZZ_SECONDS", "0"))
TARGETS = 6
MAX_PIXELS = 1 << 16

# What a header's field is likely to be compared with, in either byte order.
NUMBERS = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
FIELDS = [struct.pack(order + "L", n)[-4:] for n in NUMBERS for order in "<>"]
FIELDS += [struct.pack(order + "H", n) for n in NUMBERS if n <= 0xFFFF for order in "<>"]
FIELDS += [bytes([n]) for n in NUMBERS if n <= 0xFF]


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes], words: list[bytes]) -> bytes:
    """A seed after some changes: most of them near its beginning, where its header is."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 6))):
        end = max(len(data) - 1, 0)
        at = draw(st.integers(0, min(end, draw(st.sampled_from([32, 400, end])))))
        length = draw(st.sampled_from([0, 1, 2, 4, 16, 100, 1000]))
        kind = draw(st.sampled_from(["flip", "field", "bytes", "cut", "drop", "repeat", "splice"]))
        if kind == "flip" and data:
            data = hostile.flipped(data, 8 * at + draw(st.integers(0, 7)))
        elif kind == "field":
            data = hostile.overwritten(data, at, draw(st.sampled_from(words)))
        elif kind == "bytes":
            data = data[:at] + draw(st.binary(max_size=16)) + data[at + length :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "drop":
            data = data[:at] + data[at + length :]
        elif kind == "repeat":
            data = data[: at + length] + data[at:]
        elif kind == "splice":
            other = draw(st.sampled_from(seeds))
            source = draw(st.integers(0, max(len(other) - 1, 0)))
            data = data[:at] + other[source : source + length] + data[at + length :]
    return data


def fuzz(strategy: st.SearchStrategy[bytes], check: Callable[[bytes], None], examples: int) -> None:
    """Run a check on examples: a few, always the same; or for this test's share of SECONDS."""
    deadline, runs = time.monotonic() + SECONDS / TARGETS, 0

    @settings(
        max_examples=500 if SECONDS else examples,
        derandomize=not SECONDS,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(data: bytes) -> None:
        nonlocal runs
        runs += 1
        check(data)

    run()
    while time.monotonic() < deadline:
        run()
    if SECONDS:
        print(f"\n{runs} executions of {check.__name__}")


def image_seeds() -> list[bytes]:
    photo = decode_image(photographs()["coffee"].read_bytes())[:24, :32]
    image = Image.fromarray(photo)
    rgba = image.convert("RGBA")
    rgba.putalpha(image.convert("L"))
    wide = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    profile = hostile.profile(128 + 400) + bytes(400)
    seeds = [hostile.encoded(photo, name) for name in FORMATS]
    seeds += [
        hostile.saved(rgba, name) for name in ("PNG", "WEBP", "AVIF", "TIFF", "JPEG2000", "GIF")
    ]
    seeds += [hostile.saved(image.quantize(9), name) for name in ("PNG", "TIFF", "BMP", "GIF")]
    seeds += [hostile.saved(image.convert("1"), name) for name in ("PNG", "TIFF", "BMP", "PPM")]
    seeds += [hostile.saved(wide, name) for name in ("PNG", "TIFF", "JPEG2000", "PPM")]
    seeds += [hostile.saved(image.convert("CMYK"), name) for name in ("JPEG", "TIFF")]
    seeds += [hostile.saved(image, name, icc_profile=profile) for name in ("PNG", "JPEG", "WEBP")]
    seeds += [hostile.saved(image, "JPEG", progressive=True)]
    seeds += [
        hostile.saved(image, "TIFF", compression=name)
        for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    ]
    seeds += [
        hostile.saved(image, name, save_all=True, append_images=[image.rotate(180)])
        for name in ("GIF", "WEBP", "AVIF", "PNG", "TIFF", "MPO")
    ]
    return [*seeds, b"P3 2 2 255 # c\n1 2 3 4 5 6 7 8 9 10 11 12\n", b"P1 3 2\n010 #\n101\n"]


@pytest.mark.parametrize("decode", [decode_image, decode_mask])
def test_images(decode) -> None:
    def check_image(data: bytes) -> None:
        try:
            pixels = decode(data, MAX_PIXELS)
        except ImageError:
            return
        assert pixels.dtype == np.uint8
        assert pixels.ndim == (3 if decode is decode_image else 2)
        assert 0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS

    fuzz(mutated(image_seeds(), FIELDS), check_image, 300)


ROWS = [
    {"reference": "a.png", "distorted": f"b {i}.jpg", "pair_id": str(i), "quality": i, "bpp": i / 7}
    for i in range(5)
]
CSV = b"reference,distorted,pair_id,quality\n" + b"".join(
    b'a.png,"b, %d.jpg",%d,%d\n' % (i, i, 10 * i) for i in range(5)
)
JSONL = b"".join(
    b'{"reference": "a.png", "distorted": "\xc3\xa9%d.jpg", "mask": null, "more": [{"x": %d}]}\n'
    % (i, i)
    for i in range(5)
)
WORDS = [
    *(b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"{", b"}", b"[", b":", b"\\", b"\\ud800", b"null"),
    *(b"1e999", b"9" * 30, b"pair_id", b"reference", b"mse", b'{"reference": ', b"\xef\xbb\xbf"),
    *(b"2020-01-01", b"true", b"-0", b"NaN"),
]


def parquets() -> list[bytes]:
    table = pa.Table.from_pylist(ROWS)
    nested = table.append_column("tags", pa.array([[{"k": 1}]] * 5)).replace_schema_metadata(
        {"k": "v"}
    )
    seeds = []
    for rows, compression in ((table, "NONE"), (table, "ZSTD"), (nested, "SNAPPY")):
        buffer = io.BytesIO()
        pq.write_table(rows, buffer, compression=compression)
        seeds.append(buffer.getvalue())
    return seeds


def reads(path: str, part_rows: int = 1000) -> Callable[[bytes], None]:
    def check_manifest(data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data)
        try:
            manifest = read_manifest(path, part_rows=part_rows)
        except ManifestError as error:
            text = str(error)
        else:
            text = path
            assert manifest.table.num_rows == manifest.rows > 0
            assert manifest.table["pair_id"].null_count == 0
        assert path in text

    return check_manifest


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_manifests_of_text(tmp_path, suffix) -> None:
    seeds = [CSV, JSONL]
    changed = mutated(seeds, WORDS) | st.binary(max_size=200)
    changed |= st.lists(st.sampled_from(WORDS)).map(b"".join)
    fuzz(changed, reads(str(tmp_path / f"manifest{suffix}")), 200)


@pytest.mark.parametrize("part_rows", [2, 1000])
def test_manifests_of_parquet(tmp_path, part_rows) -> None:
    def at_the_end(data: bytes) -> bytes:
        """Reversed, mutated and reversed again: Parquet's header is at its end."""
        return data[::-1]

    seeds = parquets()
    backwards = mutated([at_the_end(seed) for seed in seeds], FIELDS).map(at_the_end)
    check = reads(str(tmp_path / "manifest.parquet"), part_rows)
    fuzz(mutated(seeds, FIELDS) | backwards, check, 200)
