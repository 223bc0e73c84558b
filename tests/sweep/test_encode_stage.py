"""The encode stage: files and rows of cells, and what goes wrong with them."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from roi_ray import schema
from roi_ray.errors import CodecError, UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.io.allowlist import Allowlist
from roi_ray.sweep.builtin import make_codec
from roi_ray.sweep.codec import Decoded, Encoded
from roi_ray.sweep.codec_run import EncodeOptions
from roi_ray.sweep.encode_stage import (
    Stopped,
    encode_cells,
)
from roi_ray.sweep.sweep_kind import SWEEP_RESULT_ROWS
from roi_ray.sweep.target import measure
from tests.conftest import deepen, encode, encode_16_bits, write
from tests.sweep.sweep_items import JpegWith, jpeg_with, make_items

BUILTIN = {
    codec.label: codec
    for codec in (make_codec("jpeg"), make_codec("webp"), make_codec("avif", {"speed": 9}))
}


@pytest.fixture
def folder(tmp_path, photos) -> Path:
    """A folder with originals: 8 bits, 16 bits, and what cannot be used."""
    photo = photos["chelsea"][:120, :150]
    for name, data in {
        "cat.png": encode(photo),
        "deep.png": encode_16_bits(deepen(photo, 16)),
        "coffee.png": encode(photos["coffee"][100:240, 100:240]),
        "broken.png": encode(photo)[:200],
    }.items():
        write(tmp_path / name, data)
    return tmp_path


def run(folder: Path, items: pa.Table, codecs, **options) -> list[dict]:
    """Encode the cells, and return the rows in their order."""
    tables = encode_cells(
        items,
        str(folder),
        Allowlist((str(folder),)),
        codecs,
        str(folder / "out"),
        EncodeOptions(**options),
    )
    table = pa.concat_tables(tables)
    assert table.schema == SWEEP_RESULT_ROWS
    return sorted(table.to_pylist(), key=lambda row: row["row"])


def list_files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_files_and_numbers_of_cells(folder) -> None:
    items = make_items(["cat.png", "deep.png"], BUILTIN, [("quality", 20.0), ("quality", 80.0)])
    rows = run(folder, items, BUILTIN)
    assert [row["row"] for row in rows] == list(range(12))
    assert [row["shard"] for row in rows] == [0] * 6 + [1] * 6
    uris = [uri for item in items.to_pylist() for uri in item["bitstream"]]
    assert list_files(folder / "out") == sorted(uris)
    for row, uri in zip(rows, uris, strict=True):
        file = folder / "out" / uri
        assert row["error"] is None and row["error_kind"] is None
        assert row["bytes"] == file.stat().st_size
        assert row["bpp"] == 8 * row["bytes"] / (120 * 150)
        assert row["quality"] == row["reached"] == (20 if "quality20" in uri else 80)
        assert row["encode_seconds"] > 0 and row["decode_seconds"] > 0
        assert row["encode_memory_bytes"] is None
        label = uri.split("/")[1]
        assert row["codec_version"] == BUILTIN[label].version()
        assert row["processor"]
        assert decode_image(file.read_bytes()).shape == (120, 150, 3)
    for low, high in zip(rows[0::2], rows[1::2], strict=True):
        assert low["bytes"] < high["bytes"]


def test_same_files_each_time(folder) -> None:
    items = make_items(["cat.png"], BUILTIN, [("quality", 50.0), ("bpp", 1.0)])
    run(folder, items, BUILTIN)
    first = {uri: (folder / "out" / uri).read_bytes() for uri in list_files(folder / "out")}
    run(folder, items, BUILTIN, repeat=2)
    assert {uri: (folder / "out" / uri).read_bytes() for uri in first} == first


def test_targets_are_met_by_what_is_written(folder, photos) -> None:
    targets = [("bpp", 0.8), ("psnr", 32.0), ("ms_ssim", 0.97), ("ssimulacra2", 60.0)]
    rows = run(folder, make_items(["cat.png"], BUILTIN, targets), BUILTIN)
    uris = make_items(["cat.png"], BUILTIN, targets)["bitstream"][0].as_py()
    original = photos["chelsea"][:120, :150]
    tolerances = {"bpp": 0.04, "psnr": 0.5, "ms_ssim": 0.005, "ssimulacra2": 1.0}
    for row, uri, (metric, value) in zip(rows, uris, targets * 3, strict=True):
        assert row["error"] is None
        data = (folder / "out" / uri).read_bytes()
        has = row["bpp"] if metric == "bpp" else measure(metric, original, decode_image(data))
        assert row["reached"] == has
        assert abs(has - value) <= tolerances[metric]
        label = uri.split("/")[1]
        again = BUILTIN[label].encode(source(original), row["quality"])
        assert again.data == data


def source(pixels):
    from roi_ray.sweep.source import SourceImage

    return SourceImage(pixels)


def test_each_quality_is_encoded_once_however_many_targets(folder) -> None:
    asked = []

    def encoding(quality, data):
        asked.append(quality)
        return Encoded(data, 0.001)

    codecs = {"jpeg": jpeg_with("jpeg", encoding=encoding)}
    targets = [("bpp", 0.8), ("bpp", 1.5), ("psnr", 32.0), ("quality", 50.0)]
    rows = run(folder, make_items(["cat.png"], codecs, targets), codecs)
    assert all(row["error"] is None for row in rows)
    assert len(asked) == len(set(asked)) < 30


def test_missed_target_is_a_row_and_writes_nothing(folder) -> None:
    codecs = {"jpeg": BUILTIN["jpeg"]}
    items = make_items(["cat.png"], codecs, [("psnr", 99.0), ("quality", 40.0)])
    missed, good = run(folder, items, codecs)
    assert missed["error_kind"] == "TargetMissed"
    assert missed["error"].startswith("jpeg, psnr 99: no quality gives psnr 99 within 0.5 dB: ")
    assert "quality 100 gives" in missed["error"]
    assert missed["quality"] is None and missed["bytes"] is None
    assert good["error"] is None
    assert list_files(folder / "out") == ["encoded/jpeg/cat-quality40.jpg"]


def test_tolerance_can_be_chosen(folder) -> None:
    codecs = {"jpeg": BUILTIN["jpeg"]}
    items = make_items(["cat.png"], codecs, [("bpp", 0.8)])
    assert run(folder, items, codecs)[0]["error"] is None
    (row,) = run(folder, items, codecs, tolerance=1e-6)
    assert row["error_kind"] == "TargetMissed"
    assert "within 0.0001 %" in row["error"]


@pytest.mark.parametrize("options", [{"repeat": 0}, {"tolerance": 0}, {"tolerance": float("nan")}])
def test_unusable_options(options) -> None:
    with pytest.raises(UsageError):
        EncodeOptions(**options)


def test_median_of_repeats_and_largest_memory(folder) -> None:
    seconds = iter([0.5, 0.1, 0.3])
    memory = iter([10, 30, 20])

    def encoding(quality, data):
        return Encoded(data, next(seconds), next(memory))

    codecs = {"jpeg": jpeg_with("jpeg", encoding=encoding)}
    (row,) = run(folder, make_items(["cat.png"], codecs, [("quality", 50.0)]), codecs, repeat=3)
    assert (row["encode_seconds"], row["encode_memory_bytes"]) == (0.3, 30)
    assert (row["decode_seconds"], row["decode_memory_bytes"]) == (0.005, None)


def to_png(data: bytes) -> Decoded:
    return Decoded(encode(decode_image(data)), 0.02, 1000)


def test_file_of_the_codecs_own_decoder_is_what_is_scored(folder) -> None:
    def encoding(quality, data):
        return Encoded(b"own" + data, 0.01, 2000)

    def decoding(data):
        return to_png(data.removeprefix(b"own"))

    codec = jpeg_with("mine", encoding=encoding, decoding=decoding, decoded_suffix=".png")
    codecs = {"mine": codec}
    targets = [("quality", 30.0), ("psnr", 33.0)]
    rows = run(folder, make_items(["cat.png"], codecs, targets), codecs)
    assert [row["error"] for row in rows] == [None, None]
    assert (rows[0]["decode_memory_bytes"], rows[0]["encode_memory_bytes"]) == (1000, 2000)
    assert list_files(folder / "out") == [
        "decoded/mine/cat-psnr33.png",
        "decoded/mine/cat-quality30.png",
        "encoded/mine/cat-psnr33.jpg",
        "encoded/mine/cat-quality30.jpg",
    ]
    file = (folder / "out/encoded/mine/cat-quality30.jpg").read_bytes()
    assert rows[0]["bytes"] == len(file)
    shown = decode_image((folder / "out/decoded/mine/cat-quality30.png").read_bytes())
    assert np.array_equal(shown, decode_image(file.removeprefix(b"own")))


def fail(error: Exception, *_: object):
    raise error


SMALL = encode(np.zeros((7, 9, 3), np.uint8))

HOSTILE = {
    "raises": (dict(encoding=partial(fail, ValueError("no"))), "CodecError", "ValueError: no"),
    "codec-error": (dict(encoding=partial(fail, CodecError("c"))), "CodecError", "y 50: c"),
    "no-memory": (dict(encoding=partial(fail, MemoryError())), "OutOfMemory", "too little memory"),
    "disk": (dict(encoding=partial(fail, OSError(28, "full"))), "CodecError", "OSError"),
    "empty": (dict(encoding=lambda q, d: Encoded(b"", 0.1)), "CodecError", "an empty file"),
    "none": (dict(encoding=lambda q, d: None), "CodecError", "NoneType"),
    "rubbish": (
        dict(encoding=lambda q, d: Encoded(b"rubbish" * 9, 0.1)),
        "ImageReadError",
        "the encoder's file cannot be scored",
    ),
    "torn": (
        dict(encoding=lambda q, d: Encoded(d[: len(d) // 2], 0.1)),
        "ImageReadError",
        "the encoder's file cannot be scored",
    ),
    "other-size": (
        dict(encoding=lambda q, d: Encoded(SMALL, 0.1)),
        "SizeMismatch",
        "the encoder's file cannot be scored: 9 x 7, but the reference is 150 x 120",
    ),
    "decoder-raises": (dict(decoding=partial(fail, RuntimeError("x"))), "CodecError", "x"),
    "decoder-empty": (
        dict(decoding=lambda d: Decoded(b"", 0.1), decoded_suffix=".png"),
        "CodecError",
        "the decoder made no file, or an empty one",
    ),
    "decoder-none": (
        dict(decoding=lambda d: Decoded(None, 0.1), decoded_suffix=".png"),
        "CodecError",
        "the decoder made no file",
    ),
    "decoder-rubbish": (
        dict(decoding=lambda d: Decoded(b"P6 rubbish", 0.1), decoded_suffix=".png"),
        "ImageReadError",
        "the decoder's file cannot be scored",
    ),
    "decoder-unasked": (dict(decoding=to_png), "CodecError", "has no suffix"),
}


@pytest.mark.parametrize("target", [("quality", 50.0), ("psnr", 33.0)])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_codec_fails_its_rows_alone(folder, name, target) -> None:
    options, kind, text = HOSTILE[name]
    codecs = {name: jpeg_with(name, **options), "jpeg": BUILTIN["jpeg"]}
    bad, good = run(folder, make_items(["cat.png"], codecs, [target]), codecs)
    if name == "codec-error" and target[0] == "psnr":
        text = "at quality 50: c"
    assert bad["error_kind"] == kind
    assert text in bad["error"]
    assert bad["error"].startswith(f"{name}, {target[0]} ")
    assert good["error"] is None
    assert list_files(folder / "out") == [f"encoded/jpeg/cat-{target[0]}{target[1]:g}.jpg"]


class Missing(JpegWith):
    def version(self) -> str:
        raise CodecError("cjxl is not installed; install libjxl-tools")


def test_codec_that_is_not_available_or_not_known(folder) -> None:
    codecs = {
        "missing": Missing("missing", "", jpeg_with("x").scale, ".jxl"),
        "jpeg": BUILTIN["jpeg"],
        "unknown": jpeg_with("unknown"),
    }
    items = make_items(["cat.png"], codecs, [("quality", 50.0)])
    del codecs["unknown"]
    missing, good, unknown = run(folder, items, codecs)
    assert missing["error_kind"] == unknown["error_kind"] == "CodecError"
    assert missing["error"] == "missing: cjxl is not installed; install libjxl-tools"
    assert unknown["error"] == "unknown: the job has no such codec"
    assert good["error"] is None


@pytest.mark.parametrize(
    ("reference", "kind", "text"),
    [
        ("broken.png", "ImageReadError", "reference broken.png: "),
        ("gone.png", "ImageReadError", "reference gone.png: cannot read"),
        ("/etc/hostname", "NotAllowed", "reference /etc/hostname: "),
        ("http://host/x.png", "NotAllowed", "reference http://host/x.png: "),
    ],
)
def test_original_that_cannot_be_used_fails_its_cells(folder, reference, kind, text) -> None:
    codecs = {"jpeg": BUILTIN["jpeg"]}
    items = make_items([reference, "cat.png"], codecs, [("quality", 50.0), ("bpp", 1.0)])
    rows = run(folder, items, codecs)
    assert [row["error_kind"] for row in rows] == [kind, kind, None, None]
    assert all(row["error"].startswith(text) for row in rows[:2])


def test_large_original_is_refused(folder) -> None:
    codecs = {"jpeg": BUILTIN["jpeg"]}
    items = make_items(["cat.png"], codecs, [("quality", 50.0)])
    (row,) = run(folder, items, codecs, max_pixels=10_000)
    assert row["error_kind"] == "ImageTooLarge"


def test_output_that_cannot_be_written_is_the_last_row(folder) -> None:
    write(folder / "out", b"a file where the folder should be")
    items = make_items(["cat.png"], BUILTIN, [("quality", 50.0), ("quality", 60.0)])
    (row,) = run(folder, items, BUILTIN)
    assert row["error_kind"] == "StorageError"
    assert row["error"].startswith(f"cannot write {folder}/out/encoded/jpeg/cat-quality50.jpg: ")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux")
def test_name_that_is_too_long_fails_its_cell_alone(folder) -> None:
    codecs = {"jpeg": BUILTIN["jpeg"]}
    items = make_items(["cat.png"], codecs, [("quality", 50.0), ("quality", 60.0)])
    names = pa.array([[f"encoded/{'x' * 300}.jpg", "encoded/y.jpg"]])
    for column in ("bitstream", "distorted"):
        items = items.set_column(items.schema.get_field_index(column), column, names)
    long, good = run(folder, items, codecs)
    assert long["error_kind"] == "CodecError" and "File name too long" in long["error"]
    assert good["error"] is None


def test_stopped_job_encodes_nothing_further(folder) -> None:
    encoded = []

    def encoding(quality, data):
        encoded.append(quality)
        return Encoded(data, 0.01)

    codecs = {"jpeg": jpeg_with("jpeg", encoding=encoding)}
    items = make_items(["cat.png"], codecs, [("bpp", 0.9)])
    cells = encode_cells(
        items,
        str(folder),
        Allowlist((str(folder),)),
        codecs,
        str(folder / "out"),
        EncodeOptions(),
        lambda: len(encoded) == 3,
    )
    with pytest.raises(Stopped):
        next(cells)
    assert len(encoded) == 3


def test_stage_needs_no_torch_and_no_ray() -> None:
    code = "import sys, roi_ray.sweep.encode_stage, roi_ray.sweep.engines; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "pyarrow" in modules
    assert not {"torch", "ray"} & set(modules)


def test_every_result_column_is_in_the_schema() -> None:
    assert SWEEP_RESULT_ROWS.names == ["shard", "row", *schema.SWEEP_RESULTS]
