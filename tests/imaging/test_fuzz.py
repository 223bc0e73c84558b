"""Fuzzing of everything that parses foreign files: mutated input raises only roi-ray's own errors.

By default it takes seconds and uses the same examples each time. To run longer with new examples
and print their number:

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
from roi_ray.imaging.decode import decode_image, decode_mask
from roi_ray.io.manifest import read_manifest
from roi_ray.sweep import photographs
from tests.imaging import hostile
from tests.imaging.deep_files import deep_files

SECONDS = float(os.environ.get("ROI_RAY_FUZZ_SECONDS", "0"))
TARGETS = 6
MAX_PIXELS = 1 << 16

# Values that parsers are likely to compare header fields with, in both byte orders.
NUMBERS = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
FIELDS = [struct.pack(order + "L", n)[-4:] for n in NUMBERS for order in "<>"]
FIELDS += [struct.pack(order + "H", n) for n in NUMBERS if n <= 0xFFFF for order in "<>"]
FIELDS += [bytes([n]) for n in NUMBERS if n <= 0xFF]


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes], words: list[bytes]) -> bytes:
    """Change a seed in some places, most of them near its beginning, where the header is."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 6))):
        end = max(len(data) - 1, 0)
        position = draw(st.integers(0, min(end, draw(st.sampled_from([32, 400, end])))))
        length = draw(st.sampled_from([0, 1, 2, 4, 16, 100, 1000]))
        kind = draw(st.sampled_from(["flip", "field", "bytes", "cut", "drop", "repeat", "splice"]))
        if kind == "flip" and data:
            data = hostile.flip_bit(data, 8 * position + draw(st.integers(0, 7)))
        elif kind == "field":
            data = hostile.overwrite(data, position, draw(st.sampled_from(words)))
        elif kind == "bytes":
            data = data[:position] + draw(st.binary(max_size=16)) + data[position + length :]
        elif kind == "cut":
            data = data[:position]
        elif kind == "drop":
            data = data[:position] + data[position + length :]
        elif kind == "repeat":
            data = data[: position + length] + data[position:]
        elif kind == "splice":
            other = draw(st.sampled_from(seeds))
            source = draw(st.integers(0, max(len(other) - 1, 0)))
            data = data[:position] + other[source : source + length] + data[position + length :]
    return data


def fuzz(strategy: st.SearchStrategy[bytes], check: Callable[[bytes], None], examples: int) -> None:
    """Run a check on a few fixed examples, or on new ones for this test's share of SECONDS."""
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
    profile = hostile.profile_header(128 + 400) + bytes(400)
    seeds = [hostile.encode_with_metadata(photo, name) for name in hostile.PILLOW_FORMATS]
    seeds += deep_files(photo).values()
    seeds += [
        hostile.save(rgba, name) for name in ("PNG", "WEBP", "AVIF", "TIFF", "JPEG2000", "GIF")
    ]
    seeds += [hostile.save(image.quantize(9), name) for name in ("PNG", "TIFF", "BMP", "GIF")]
    seeds += [hostile.save(image.convert("1"), name) for name in ("PNG", "TIFF", "BMP", "PPM")]
    seeds += [hostile.save(wide, name) for name in ("PNG", "TIFF", "JPEG2000", "PPM")]
    seeds += [hostile.save(image.convert("CMYK"), name) for name in ("JPEG", "TIFF")]
    seeds += [hostile.save(image, name, icc_profile=profile) for name in ("PNG", "JPEG", "WEBP")]
    seeds += [hostile.save(image, "JPEG", progressive=True)]
    seeds += [
        hostile.save(image, "TIFF", compression=name)
        for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    ]
    seeds += [
        hostile.save(image, name, save_all=True, append_images=[image.rotate(180)])
        for name in ("GIF", "WEBP", "AVIF", "PNG", "TIFF", "MPO")
    ]
    seeds += [data for _, data in hostile.hostile_deep_tiffs(photo)]
    return [*seeds, b"P3 2 2 255 # c\n1 2 3 4 5 6 7 8 9 10 11 12\n", b"P1 3 2\n010 #\n101\n"]


@pytest.mark.parametrize("decode", [decode_image, decode_mask])
def test_mutated_image_decodes_or_raises_an_image_error(decode) -> None:
    def check_image(data: bytes) -> None:
        try:
            pixels = decode(data, MAX_PIXELS)
        except ImageError:
            return
        assert pixels.dtype in (np.uint8, np.uint16)
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


def manifest_check(path: str, part_rows: int = 1000) -> Callable[[bytes], None]:
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
def test_mutated_text_manifest_is_read_or_raises_a_manifest_error(tmp_path, suffix) -> None:
    seeds = [CSV, JSONL]
    changed = mutated(seeds, WORDS) | st.binary(max_size=200)
    changed |= st.lists(st.sampled_from(WORDS)).map(b"".join)
    fuzz(changed, manifest_check(str(tmp_path / f"manifest{suffix}")), 200)


@pytest.mark.parametrize("part_rows", [2, 1000])
def test_mutated_parquet_manifest_is_read_or_raises_a_manifest_error(tmp_path, part_rows) -> None:
    def reverse(data: bytes) -> bytes:
        return data[::-1]

    seeds = parquets()
    # Parquet's header is a footer: mutate the reversed file, then reverse it again.
    backwards = mutated([reverse(seed) for seed in seeds], FIELDS).map(reverse)
    check = manifest_check(str(tmp_path / "manifest.parquet"), part_rows)
    fuzz(mutated(seeds, FIELDS) | backwards, check, 200)
