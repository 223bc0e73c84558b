"""JPEG XL files for the hostile corpora: ordinary ones to be damaged, and decompression bombs."""

from collections.abc import Iterator

import numpy as np

from roi_ray.imaging.pixels import Pixels8
from tests.imaging import jxl_encoder
from tests.imaging.heif_files import SRGB


def jpegxl_files(photo: Pixels8) -> dict[str, bytes]:
    """Encode a photograph in several ways, by a name of the file."""
    rgba = np.dstack([photo, photo[..., 0]])
    layers = [jxl_encoder.Frame(rgba), jxl_encoder.Frame(rgba[:9, :9], left=-2, top=5)]
    frames = [frame._replace(duration=2) for frame in layers]
    return {
        "JPEG XL": jxl_encoder.encode(photo, lossless=False),
        "JPEG XL, lossless of 10 bits": jxl_encoder.encode(photo.astype(np.uint16) * 4, bits=10),
        "JPEG XL, container": jxl_encoder.encode(photo[..., :1], orientation=6, container=True),
        "JPEG XL, profile": jxl_encoder.encode(photo, icc_profile=SRGB),
        "JPEG XL, layers": jxl_encoder.encode(frames=layers),
        "JPEG XL, animation": jxl_encoder.encode(frames=frames, lossless=False),
    }


def hostile_jpegxl_files(photo: Pixels8, side: int) -> Iterator[tuple[str, bytes]]:
    """Yield files by what is wrong with them, named as in `hostile.corpus`.

    Args:
        photo: a small photograph.
        side: side of the largest square that is decoded.
    """
    yield "large JPEG XL of 50000 x 50000", jxl_encoder.header(50_000, 50_000)
    yield "large JPEG XL of 2^30 x 2^30", jxl_encoder.header(1 << 30, 1 << 30)
    yield f"JPEG XL of {side} x {side} without pixels", jxl_encoder.header(side, side)
    blank = np.full((side, side, 4), 200, np.uint8)
    yield "good JPEG XL of one colour", jxl_encoder.encode(blank, effort=1)
    for lossless in (True, False):
        kind = "lossless" if lossless else "lossy"
        options = {"lossless": lossless, "effort": 1}
        for size in (1, 16, side):
            layer = jxl_encoder.Frame(blank[:size, :size])
            layers = jxl_encoder.encode_layers(layer, 3000, canvas=(side, side), **options)
            yield f"JPEG XL, {kind}, 3000 layers of {size} on a large canvas", layers
        layers = jxl_encoder.encode_layers(jxl_encoder.Frame(blank), 100, canvas=(1, 1), **options)
        yield f"JPEG XL, {kind}, 100 layers of {side} on one pixel", layers
    channels = [(16, blank[:128, :128, 0])] * 200
    yield (
        "JPEG XL of 200 extra channels",
        jxl_encoder.encode(blank[:128, :128], extra_channels=channels, effort=1),
    )
    size = 20 << 20
    profile = size.to_bytes(4) + SRGB[4:]
    profile += bytes(size - len(profile))
    yield "JPEG XL, ICC of 20 MiB", jxl_encoder.encode(photo, icc_profile=profile)
    boxes = jxl_encoder.encode(photo, container=True)
    position = boxes.index(b"jxlc") - 4
    yield "JPEG XL, box of 4 GiB claimed", boxes[:position] + b"\xff" * 4 + boxes[position + 4 :]
    empty = (8).to_bytes(4) + b"free"
    yield "good JPEG XL of 10^5 empty boxes", boxes[:position] + empty * 10**5 + boxes[position:]
    parts = b"".join((12).to_bytes(4) + b"jxlp" + i.to_bytes(4) for i in range(10**5))
    yield "JPEG XL of 10^5 empty parts", boxes[:position] + parts
