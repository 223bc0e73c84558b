"""Files for the grid of formats, depths and colours, and the exact values that they stand for."""

import io
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from PIL import Image

Samples = np.ndarray
Encode = Callable[[Samples, int], bytes]

D65 = (0.3127, 0.3290)
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))


def decode_srgb(values: Samples) -> Samples:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def decode_bt709(values: Samples) -> Samples:
    return np.where(
        values < 0.081243, values / 4.5, ((values + 0.0992968) / 1.0992968) ** (1 / 0.45)
    )


COLOURS = {
    "sRGB": (BT709, decode_srgb, (1, 13), "RGB_D65_SRG_Rel_SRG"),
    "Display P3": (P3, decode_srgb, (12, 13), "RGB_D65_DCI_Rel_SRG"),
    "BT.2020": (BT2020, decode_bt709, (9, 14), "RGB_D65_202_Rel_709"),
    "linear": (BT709, lambda values: values, (1, 8), "RGB_D65_SRG_Rel_Lin"),
    "gamma 2.2": (BT709, lambda values: values**2.2, (1, 4), "RGB_D65_SRG_Rel_g0.45454545"),
}
"""Primaries, transfer function to linear light, CICP code points, and libjxl's name, by colour."""

HDR = {"PQ": ((9, 16), "RGB_D65_202_Rel_PeQ"), "HLG": ((9, 18), "RGB_D65_202_Rel_HLG")}


def to_srgb(values: Samples, colour: str) -> Samples:
    """Convert values, 0..1, to sRGB by the definition of their colour space, in float64."""
    primaries, decode, _, _ = COLOURS[colour]
    matrix = np.linalg.inv(_to_xyz(BT709)) @ _to_xyz(primaries)
    linear = (decode(values) @ matrix.T).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _to_xyz(primaries: tuple[tuple[float, float], ...]) -> Samples:
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    x, y = D65
    return columns * np.linalg.solve(columns, [x / y, 1, (1 - x - y) / y])


def profile(colour: str) -> bytes:
    """Make an ICC profile of a colour space, by Little CMS."""
    primaries, decode, _, _ = COLOURS[colour]
    curve = decode(np.linspace(0, 1, 4096)).astype(np.float32)
    flat = [coordinate for point in primaries for coordinate in point]
    made: bytes = imagecodecs.cms_profile(
        "rgb", whitepoint=D65, primaries=flat, transferfunction=curve
    )
    return made


def insert_png_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """Insert a chunk after a PNG's IHDR."""
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return png[:33] + struct.pack(">I", len(data)) + kind + data + crc + png[33:]


def pnm(samples: Samples, bits: int) -> bytes:
    kind = b"P5" if samples.ndim == 2 else b"P6"
    header = b"%s\n%d %d\n%d\n" % (kind, samples.shape[1], samples.shape[0], (1 << bits) - 1)
    return header + samples.astype(">u2" if bits > 8 else "u1").tobytes()


def tiff(samples: Samples, bits: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    photometric = "minisblack" if samples.ndim == 2 else "rgb"
    extra = {"extrasamples": ["unassalpha"]} if samples.shape[-1] == 4 else {}
    tifffile.imwrite(
        buffer, samples, photometric=photometric, bitspersample=bits, **extra, **options
    )
    return buffer.getvalue()


def save(samples: Samples, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, name, **options)
    return buffer.getvalue()


def avif(samples: Samples, bits: int, primaries: int = 1, transfer: int = 13) -> bytes:
    return imagecodecs.avif_encode(
        samples,
        level=100,
        speed=10,
        bitspersample=bits,
        pixelformat="400" if samples.ndim == 2 else "444",
        **({} if samples.ndim == 2 else {"matrix": 0}),
        primaries=primaries,
        transfer=transfer,
    )


def heic(
    samples: Samples,
    bits: int,
    cicp: tuple[int, int] = (1, 13),
    chroma: int = 444,
    quality: int = -1,
) -> bytes:
    """Encode by x265: losslessly with the identity matrix, or lossy with YCbCr of BT.601."""
    wide = samples if bits == 8 else samples.astype(np.uint16) << (16 - bits)
    height, width = samples.shape[:2]
    image = pillow_heif.from_bytes(
        mode="RGB" if bits == 8 else "RGB;16", size=(width, height), data=wide.tobytes()
    )
    buffer = io.BytesIO()
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    image.save(
        buffer,
        quality=quality,
        chroma=chroma,
        matrix_coefficients=0 if quality == -1 else 6,
        color_primaries=cicp[0],
        transfer_characteristics=cicp[1],
        full_range_flag=1,
    )
    return buffer.getvalue()


def widen(samples: Samples, bits: int) -> Samples:
    """Scale samples to 16 bits; encoders that reduce them again find the same values."""
    return (samples * (65535 / ((1 << bits) - 1))).round().astype(np.uint16)


def jxl(samples: Samples, bits: int, *options: str, icc: bytes | None = None) -> bytes:
    """Encode by `cjxl`, from a PNG. imagecodecs would mark more than 8 bits as linear light."""
    png: bytes = imagecodecs.png_encode(samples if bits == 8 else widen(samples, bits))
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "source.png"), Path(folder, "target.jxl")
        source.write_bytes(png if icc is None else insert_profile(png, icc))
        command = ["cjxl", "-e", "3", f"--override_bitdepth={bits}", *options, source, target]
        subprocess.run(command, check=True, capture_output=True)
        return target.read_bytes()


LOSSLESS: dict[str, tuple[Encode, tuple[int, ...]]] = {
    "PNG": (lambda samples, _: imagecodecs.png_encode(samples), (8, 16)),
    "TIFF": (tiff, (8, 10, 12, 16)),
    "TIFF, planar": (
        lambda samples, bits: tiff(
            np.moveaxis(samples, -1, 0).copy() if samples.ndim == 3 else samples,
            bits,
            planarconfig="separate",
        ),
        (8, 16),
    ),
    "PPM, PGM": (pnm, (8, 10, 12, 16)),
    "BMP": (lambda samples, _: save(samples, "BMP"), (8,)),
    "WebP": (lambda samples, _: save(samples, "WEBP", lossless=True, exact=True), (8,)),
    "JPEG, lossless": (
        lambda samples, bits: imagecodecs.jpeg8_encode(samples, lossless=True, bitspersample=bits),
        (8, 10, 12, 16),
    ),
    "JPEG 2000": (
        lambda samples, bits: imagecodecs.jpeg2k_encode(
            samples, level=0, reversible=True, codecformat="jp2", bitspersample=bits
        ),
        (8, 10, 12, 16),
    ),
    "HTJ2K": (lambda samples, _: imagecodecs.htj2k_encode(samples), (8, 16)),
    "AVIF": (avif, (8, 10, 12)),
    "HEIC": (heic, (8, 10, 12)),
    "JPEG XL": (lambda samples, bits: jxl(samples, bits, "-d", "0"), (8, 10, 12, 16)),
    "JPEG XR": (lambda samples, _: imagecodecs.jpegxr_encode(samples, level=1.0), (8, 16)),
}
"""Lossless encoders and their depths. Samples of 10 and 12 bits are in the low bits of a uint16."""


def jxl_with_colour(samples: Samples, bits: int, colour: str) -> bytes:
    """Encode losslessly by `cjxl`, which enumerates the colour space."""
    name = HDR[colour][1] if colour in HDR else COLOURS[colour][3]
    return jxl(samples, bits, "-d", "0", "-x", f"color_space={name}")


def png_with_profile(samples: Samples, icc: bytes) -> bytes:
    return insert_profile(imagecodecs.png_encode(samples), icc)


def insert_profile(png: bytes, icc: bytes) -> bytes:
    return insert_png_chunk(png, b"iCCP", b"a profile\0\0" + zlib.compress(icc))


def png_with_cicp(samples: Samples, colour: str) -> bytes:
    cicp = bytes([*cicp_of(colour), 0, 1])
    return insert_png_chunk(imagecodecs.png_encode(samples), b"cICP", cicp)


def avif_with_profile(samples: Samples, bits: int, icc: bytes) -> bytes:
    """Encode losslessly by `avifenc`, from a PNG of 16 bits."""
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "source.png"), Path(folder, "target.avif")
        source.write_bytes(png_with_profile(widen(samples, bits), icc))
        options = ["--min", "0", "--max", "0", "-y", "444", "--cicp", "2/2/0", "-d", str(bits)]
        subprocess.run(["avifenc", *options, source, target], check=True, capture_output=True)
        return target.read_bytes()


def cicp_of(colour: str) -> tuple[int, int]:
    return HDR[colour][0] if colour in HDR else COLOURS[colour][2]


def jp2_with_profile(samples: Samples, bits: int, icc: bytes) -> bytes:
    """Replace a JP2's colour box by one with a profile (ISO/IEC 15444-1, I.5.3.3)."""
    jp2 = LOSSLESS["JPEG 2000"][0](samples, bits)
    header = jp2.index(b"jp2h") - 4
    colour = jp2.index(b"colr", header) - 4
    length = int.from_bytes(jp2[colour : colour + 4])
    box = struct.pack(">I4s", 11 + len(icc), b"colr") + b"\2\0\0" + icc
    grown = int.from_bytes(jp2[header : header + 4]) - length + len(box)
    return (
        jp2[:header]
        + struct.pack(">I", grown)
        + jp2[header + 4 : colour]
        + box
        + jp2[colour + length :]
    )
