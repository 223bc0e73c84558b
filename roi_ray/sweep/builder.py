"""Build a sweep: originals, the same images encoded by several codecs, and a manifest."""

import io
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from roi_ray import schema
from roi_ray.errors import ImageError, UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import HighBitDepthImage, Pixels, Pixels8, check_pixels, to_8_bits
from roi_ray.io import storage
from roi_ray.sweep.codecs import CODECS, Codec

# No leading dot: hidden files are left out when a folder is listed.
_FILE_NAME = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*")
SWEEP_SCHEMA = pa.schema(
    [
        pa.field(schema.REFERENCE, pa.string(), nullable=False),
        pa.field(schema.DISTORTED, pa.string(), nullable=False),
        pa.field(schema.CODEC, pa.string(), nullable=False),
        pa.field(schema.QUALITY, pa.int32(), nullable=False),
        pa.field(schema.BYTES, pa.int64(), nullable=False),
        pa.field(schema.BPP, pa.float64(), nullable=False),
    ]
)


def make_sweep(
    references: Mapping[str, Path | bytes | Pixels],
    folder: str,
    codecs: Sequence[str] = tuple(CODECS),
    qualities: Mapping[str, Sequence[int]] | None = None,
) -> pa.Table:
    """Encode every reference with every codec at every quality, and write a manifest.

    Files below `folder`:

        originals/NAME.png                   the reference as untagged sRGB, which the encoders get:
                                             its profile or CICP is applied;
                                             NAME.ppm if it has more than 8 bits per sample
        decoded/CODEC/NAME-qQQ.SUFFIX        the encoded file; it is decoded when it is scored
        manifest.parquet                     one row per file below `decoded/`

    Columns: `reference` and `distorted` (paths relative to the manifest), `codec`, `quality`
    (higher is better, see `roi_ray.sweep.codecs`), `bytes` (size of the encoded file), `bpp` (bits
    per pixel of the encoded file). Rows are ordered by reference as in the mapping, then by codec
    and quality as given. The same input and versions of Pillow's libraries give the same files.

    A reference of more than 8 bits per sample keeps its bit depth; the encoders, which take 8 bits,
    get it rounded to 8 bits.

    Args:
        references: path, content, or pixels ((H, W, 3), uint8 or `HighBitDepthImage`) of each
            image, by name. Names become file names: no slash, no leading dot.
        folder: output folder, local or `s3://`; existing files are overwritten.
        codecs: names from `CODECS`.
        qualities: qualities by codec name; a codec that is not in it uses its defaults.

    Returns:
        The manifest, as written.

    Raises:
        UsageError: a codec, a quality or a name cannot be used; nothing is written.
        ImageError: a reference, which is named, cannot be decoded, or an array is not an image.
        StorageError: a file cannot be read or written.
    """
    encoders = _select_encoders(codecs, qualities or {})
    for name in references:
        if not _FILE_NAME.fullmatch(name):
            raise UsageError(
                f"reference {name!r} cannot be a file name: empty, a leading dot, a slash or a "
                "control character"
            )
    # Threads suffice, because encoders release the GIL. pool.map keeps the order.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = pool.map(
            lambda item: _sweep_reference(item[0], _to_pixels(*item), folder, encoders),
            references.items(),
        )
        rows = [row for part in parts for row in part]
    table = pa.Table.from_pylist(rows, SWEEP_SCHEMA)
    stream = io.BytesIO()
    pq.write_table(table, stream)
    # Written last, so that a manifest never names a file that does not exist yet.
    storage.write_bytes(storage.join(folder, "manifest.parquet"), stream.getvalue())
    return table


def _select_encoders(
    names: Sequence[str], qualities: Mapping[str, Sequence[int]]
) -> list[tuple[Codec, Sequence[int]]]:
    """Look up the codecs with their qualities, and check all of them."""
    for name in [*names, *qualities]:
        if name not in CODECS:
            raise UsageError(f"unknown codec {name!r}; choose from {', '.join(CODECS)}")
    encoders = [(CODECS[name], qualities.get(name, CODECS[name].qualities)) for name in names]
    for codec, chosen in encoders:
        for quality in chosen:
            codec.check_quality(quality)
        if len(set(chosen)) < len(chosen):
            raise UsageError(f"codec {codec.name!r}: a quality is given twice")
    if len(set(names)) < len(names):
        raise UsageError(f"a codec is given twice: {', '.join(names)}")
    return encoders


def _sweep_reference(
    name: str, pixels: Pixels, folder: str, encoders: Sequence[tuple[Codec, Sequence[int]]]
) -> list[dict[str, object]]:
    """Write one reference and its encoded versions, and return their manifest rows."""
    if isinstance(pixels, HighBitDepthImage):
        reference, data = f"originals/{name}.ppm", _encode_ppm(pixels)
    else:
        reference, data = f"originals/{name}.png", _encode_png(pixels)
    storage.write_bytes(storage.join(folder, reference), data)
    rounded = to_8_bits(pixels)
    height, width, _ = pixels.shape
    rows: list[dict[str, object]] = []
    for codec, chosen in encoders:
        for quality in chosen:
            data = codec.encode(rounded, quality)
            distorted = f"decoded/{codec.name}/{name}-q{quality:02d}{codec.suffix}"
            storage.write_bytes(storage.join(folder, distorted), data)
            rows.append(
                {
                    schema.REFERENCE: reference,
                    schema.DISTORTED: distorted,
                    schema.CODEC: codec.name,
                    schema.QUALITY: quality,
                    schema.BYTES: len(data),
                    schema.BPP: 8 * len(data) / (width * height),
                }
            )
    return rows


def _to_pixels(name: str, source: Path | bytes | Pixels) -> Pixels:
    """Decode a reference or check its pixels; errors name it."""
    data = storage.read_bytes(str(source)) if isinstance(source, Path) else source
    try:
        if isinstance(data, bytes):
            return decode_image(data)
        check_pixels(data)
    except ImageError as error:
        raise type(error)(f"reference {name!r}: {error}") from error
    return data


def _encode_ppm(pixels: HighBitDepthImage) -> bytes:
    """Write a binary PPM, the lossless format that holds samples of any depth unscaled."""
    height, width, _ = pixels.shape
    header = f"P6\n{width} {height}\n{2**pixels.bit_depth - 1}\n"
    return header.encode() + pixels.astype(">u2").tobytes()


def _encode_png(pixels: Pixels8) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
