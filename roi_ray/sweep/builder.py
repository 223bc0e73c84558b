"""Makes a sweep: originals, decodable files of every codec and quality, and their manifest."""

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
from roi_ray.errors import ManifestError
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import Pixels
from roi_ray.io import storage
from roi_ray.sweep.codecs import CODECS, Codec

# Hidden files are left out by whoever lists a folder.
_NAME = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*")
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
    """Encode every reference with every codec at every quality, and write it all down.

    Written below `folder`:

        originals/NAME.png                   the reference, as `roi_ray.imaging.decode` sees it
        decoded/CODEC/NAME-qQQ.SUFFIX        the encoded file itself: whoever scores it decodes it
        manifest.parquet                     one row a file of `decoded/`

    Columns: `reference` and `distorted` (paths relative to the manifest), `codec`, `quality`
    (higher is better, see `roi_ray.sweep.codecs`), `bytes` (of the encoded file), `bpp` (its bits
    per pixel). Rows go by reference in the mapping's order, then codec, then quality as given. The
    same input and the same versions of Pillow's libraries give the same files.

    Args:
        references: name -> an image file's path, its content, or uint8 (height, width, 3) pixels.
            A name becomes a file name: no slash, no leading dot.
        folder: local or `s3://`; made if it does not exist, overwritten where it does.
        codecs: names from `CODECS`.
        qualities: codec name -> qualities, where the codec's own defaults are not wanted.

    Returns:
        The manifest, as written.

    Raises:
        ManifestError: a codec, a quality or a name cannot be used; nothing was written.
        ImageError: a reference cannot be decoded.
        StorageError: a file cannot be read or written.
    """
    plan = _plan(codecs, qualities or {})
    for name in references:
        if not _NAME.fullmatch(name):
            raise ManifestError(
                f"reference {name!r} cannot be a file name: empty, a leading dot, a slash or a "
                "control character"
            )
    # Encoders let go of Python's lock; the order of the rows is that of the mapping all the same.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = pool.map(
            lambda item: _sweep_reference(item[0], _pixels(item[1]), folder, plan),
            references.items(),
        )
        rows = [row for part in parts for row in part]
    table = pa.Table.from_pylist(rows, SWEEP_SCHEMA)
    stream = io.BytesIO()
    pq.write_table(table, stream)
    # Last, so that a manifest never names a file that is not there yet.
    storage.write_bytes(storage.join(folder, "manifest.parquet"), stream.getvalue())
    return table


def _plan(
    names: Sequence[str], qualities: Mapping[str, Sequence[int]]
) -> list[tuple[Codec, Sequence[int]]]:
    for name in [*names, *qualities]:
        if name not in CODECS:
            raise ManifestError(f"unknown codec {name!r}; there are {', '.join(CODECS)}")
    plan = [(CODECS[name], qualities.get(name, CODECS[name].qualities)) for name in names]
    for codec, steps in plan:
        for quality in steps:
            codec.check(quality)
        if len(set(steps)) < len(steps):
            raise ManifestError(f"codec {codec.name!r}: a quality is given twice")
    if len(set(names)) < len(names):
        raise ManifestError(f"a codec is given twice: {', '.join(names)}")
    return plan


def _sweep_reference(
    name: str, pixels: Pixels, folder: str, plan: Sequence[tuple[Codec, Sequence[int]]]
) -> list[dict[str, object]]:
    reference = f"originals/{name}.png"
    storage.write_bytes(storage.join(folder, reference), _png(pixels))
    height, width, _ = pixels.shape
    rows: list[dict[str, object]] = []
    for codec, steps in plan:
        for quality in steps:
            data = codec.encode(pixels, quality)
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


def _pixels(source: Path | bytes | Pixels) -> Pixels:
    if isinstance(source, Path):
        return decode_image(storage.read_bytes(str(source)))
    if isinstance(source, bytes):
        return decode_image(source)
    return source


def _png(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
