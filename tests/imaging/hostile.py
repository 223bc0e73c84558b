"""A corpus of hostile image files: truncated, corrupted, with false headers, and bombs.

`corpus` names each file after what is wrong with it. The first word of a name states the expected
outcome: `good` files decode, `large` files are `ImageTooLarge`, all others decode or are an
`ImageError`.
"""

import io
import itertools
import random
import struct
import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np
import pillow_heif
from PIL import Image

from roi_ray.imaging.heif.still import read_still
from roi_ray.imaging.pixels import Pixels
from tests.imaging.deep_files import deep_files
from tests.imaging.heif_files import Part, assemble, ispe
from tests.imaging.jxl_files import hostile_jpegxl_files
from tests.imaging.tiff_files import COMPRESS, write_tiff

File = tuple[str, bytes]

PILLOW_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Formats of the files that Pillow writes."""

CUTS = 50
FLIPS = 100
SIDE = 50_000
BOMB_BLOCKS = 128
"""Blocks of 16 MiB in `zlib_bomb`."""

_EXIF = b"Exif\0\0"
_INLINE = {1: "B", 3: "H", 4: "L"}


def corpus(photo: Pixels, max_pixels: int) -> Iterator[File]:
    """Yield all files; the largest with true headers have about `max_pixels` pixels."""
    side = int(max_pixels**0.5)
    yield from damaged(photo[:64, :96])
    yield from one_pixel(photo[:1, :1])
    yield from not_images()
    yield from pngs()
    yield from deep_pngs(side)
    yield from gifs(side)
    yield from jpegs(photo[:64, :96], side)
    yield from webps(photo[:200, :200])
    yield from avifs(photo[:64, :96])
    yield from jpeg2000s(side)
    yield from hostile_jpegxl_files(photo[:64, :96], side)
    yield from jpegxrs(photo[:64, :96])
    yield from tiffs(photo[:64, :96])
    yield from bmps_and_ppms(max_pixels)


def damaged(photo: Pixels) -> Iterator[File]:
    """Yield every format, truncated and with one bit flipped."""
    generator = random.Random(1)
    files = {name: encode_with_metadata(photo, name) for name in PILLOW_FORMATS}
    for name, data in (files | deep_files(photo)).items():
        yield f"good {name}", data
        for i in range(CUTS):
            yield f"{name} cut {i}", data[: len(data) * i // CUTS]
        for i in range(FLIPS):
            # Half of the flips hit the header, which is a small part of the file.
            end = len(data) if i % 2 else min(len(data), 300)
            yield f"{name} flip {i}", flip_bit(data, generator.randrange(8 * end))


def encode_with_metadata(photo: Pixels, name: str) -> bytes:
    """Encode a photograph with EXIF, if the format supports it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a photograph"
    exif.get_ifd(0x8769)[0x9286] = "a comment"
    options = {"exif": exif} if name in ("PNG", "JPEG", "WEBP", "AVIF", "TIFF") else {}
    return save(Image.fromarray(photo), name, **options)


def save(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def flip_bit(data: bytes, bit: int) -> bytes:
    return overwrite(data, bit // 8, bytes([data[bit // 8] ^ 1 << bit % 8]))


def overwrite(data: bytes, position: int, new: bytes) -> bytes:
    return data[:position] + new + data[position + len(new) :]


def one_pixel(photo: Pixels) -> Iterator[File]:
    for name in PILLOW_FORMATS:
        yield f"good {name} of one pixel", save(Image.fromarray(photo), name)


def not_images() -> Iterator[File]:
    yield "empty", b""
    yield "html", b"<!DOCTYPE html><html><title>404 Not Found</title></html>\n"
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    yield "zeros", bytes(1000)
    yield "ones", b"\xff" * 1000
    yield "noise", random.Random(2).randbytes(10_000)
    yield "zip", b"PK\3\4" + bytes(100)
    for magic in (
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF89a",
        b"BM",
        b"P6\n",
        b"P3 ",
        b"II*\0",
    ):
        yield f"only {magic!r}", magic
        yield f"zeros after {magic!r}", magic + bytes(1000)
        yield f"noise after {magic!r}", magic + random.Random(3).randbytes(1000)


def zlib_bomb() -> bytes:
    """Build a zlib stream of 2 MiB that inflates to 2 GiB of zeros."""
    deflate = zlib.compressobj(9)
    block = bytes(1 << 24)
    first = deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH)
    # After a full flush, a block refers to nothing before it, so it can be repeated.
    middle = deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH)
    return first + middle * (BOMB_BLOCKS - 1) + deflate.flush()


def png(
    width: int,
    height: int,
    idat: bytes,
    *chunks: tuple[bytes, bytes],
    colour: int = 2,
    depth: int = 8,
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    every = [(b"IHDR", header), *chunks, (b"IDAT", idat), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in every)


def chunk(kind: bytes, data: bytes, claimed: int | None = None) -> bytes:
    length = len(data) if claimed is None else claimed
    return struct.pack(">I", length) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pngs() -> Iterator[File]:
    pixels = zlib.compress(bytes(16 * 49))
    bomb = zlib_bomb()
    yield "good PNG of 16 x 16", png(16, 16, pixels)
    yield f"large PNG of {SIDE} x {SIDE}", png(SIDE, SIDE, zlib.compress(bytes(10**6)))
    yield "large PNG of one row", png((1 << 31) - 1, 1, pixels)
    yield "PNG without pixels", png(0, 16, pixels)
    yield "good PNG, 2 GiB of pixels in 16 x 16", png(16, 16, bomb)
    for kind, head in (
        (b"zTXt", b"Comment\0\0"),
        (b"iTXt", b"Comment\0\1\0en\0\0"),
        (b"iCCP", b"profile\0\0"),
    ):
        yield f"PNG, 2 GiB of {kind.decode()}", png(16, 16, pixels, (kind, head + bomb))
        many = [(kind, head + zlib.compress(bytes(1 << 20)))] * 1000
        yield f"PNG, 1000 MiB in many {kind.decode()}", png(16, 16, pixels, *many)
    texts = [(b"zTXt", b"%d\0\0" % i + zlib.compress(bytes(1 << 20))) for i in range(62)]
    yield "good PNG, 62 MiB of text", png(16, 16, pixels, *texts)
    good = png(16, 16, pixels)
    for kind in (b"eXIf", b"iCCP", b"tEXt", b"PLTE", b"IDAT"):
        lie = chunk(kind, b"name\0\0" + pixels, claimed=100 << 20)
        yield f"PNG, 100 MiB of {kind.decode()} claimed", good[:33] + lie + good[33:]
        yield f"PNG, 4 GiB of {kind.decode()} claimed", good[:33] + b"\xff" * 4 + lie[4:]
    for key in (b"icc_profile", b"transparency", b"exif", b"Raw profile type exif", b"gamma"):
        text = (b"tEXt", key + b"\0" + b"7" * 100)
        yield f"PNG, text that is called {key.decode()}", png(16, 16, pixels, text)
    yield "PNG of 10^5 empty IDAT", good[:33] + chunk(b"IDAT", b"") * 10**5 + good[33:]
    many_texts = b"".join(chunk(b"tEXt", b"%d\0" % i) for i in range(4 * 10**5))
    yield "PNG of 4 x 10^5 texts", good[:33] + many_texts + good[33:]
    animation = (b"acTL", struct.pack(">II", 10**9, 0))
    control = (b"fcTL", struct.pack(">IIIIIHHBB", 0, 16, 16, 0, 0, 1, 1, 1, 1))
    yield "PNG of 10^9 frames claimed", png(16, 16, pixels, animation, control)
    yield "PNG, animated twice", png(16, 16, pixels, animation, animation)
    short = (b"PLTE", b"\1\2\3"), (b"tRNS", b"\0\1\2\3" * 64)
    yield (
        "PNG, palette of one colour",
        png(16, 16, zlib.compress(b"\0" + b"\7" * 16), *short, colour=3),
    )


def deep_pngs(side: int) -> Iterator[File]:
    """Yield files of 16 bits, and animations whose default image is not a frame."""
    bomb = zlib_bomb()
    for colour, size in ((0, 2), (2, 6), (4, 4), (6, 8)):
        pixels = zlib.compress(bytes(16 * (1 + 16 * size)))
        deep = {"colour": colour, "depth": 16}
        kind = f"16 bits and colour type {colour}"
        yield f"good PNG of {kind}", png(16, 16, pixels, **deep)
        yield f"good PNG of {kind}, 2 GiB of pixels", png(16, 16, bomb, **deep)
        yield f"good PNG of {kind}, of many pixels", png(side, side, bomb, **deep)
        yield f"large PNG of {kind}", png(SIDE, SIDE, zlib.compress(bytes(10**6)), **deep)
        yield f"PNG of {kind}, too few pixels", png(side, side, pixels, **deep)
        for name, head in ((b"zTXt", b"Comment\0\0"), (b"iCCP", b"profile\0\0")):
            file = png(16, 16, pixels, (name, head + bomb), **deep)
            yield f"PNG of {kind}, 2 GiB of {name.decode()}", file
    pixels = zlib.compress(bytes(16 * 97))
    file = png(16, 16, pixels, depth=16)
    yield "PNG of 16 bits, 10^5 empty IDAT", file[:33] + chunk(b"IDAT", b"") * 10**5 + file[33:]

    animation = chunk(b"acTL", struct.pack(">II", 2, 0))
    for name, (width, height, left) in {
        "good APNG, a small frame": (2, 2, side - 2),
        "good APNG, all of the canvas": (side, side, 0),
        "APNG, a frame beyond its canvas": (side, 1, 1),
        "APNG, a huge frame": (1 << 31, 1 << 31, 0),
        "APNG, a frame far to the right": (1, 1, (1 << 32) - 1),
        "APNG, a frame without pixels": (0, 1, 0),
    }.items():
        place = struct.pack(">IIIIIHHBB", 0, width, height, left, 0, 1, 1, 0, 0)
        frames = chunk(b"fcTL", place) + chunk(b"fdAT", bytes(4) + bomb)
        for depth in (8, 16):
            file = png(side, side, zlib.compress(b""), depth=depth)
            yield (
                f"{name}, {depth} bits",
                file[:33] + animation + file[33:-12] + frames + file[-12:],
            )
    file = png(16, 16, zlib.compress(bytes(16 * 49)))
    short = chunk(b"fcTL", bytes(3)) + chunk(b"fdAT", b"")
    yield "APNG, short chunks", file[:33] + animation + file[33:-12] + short + file[-12:]
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 16, 16, 0, 0, 1, 1, 0, 0))
    many = control + chunk(b"fdAT", b"") * 10**5
    yield "APNG of 10^5 empty fdAT", file[:33] + animation + file[33:-12] + many + file[-12:]


def gif(width: int, height: int, frames: bytes) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frames + b";"


def frame(width: int, height: int, disposal: int = 0) -> bytes:
    control = b"!\xf9\4" + struct.pack("<BHBB", disposal << 2, 1, 0, 0)
    return control + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\2\x4c\1\0"


def gifs(side: int) -> Iterator[File]:
    yield "GIF of 10^5 frames", gif(1, 1, frame(1, 1) * 10**5)
    yield "GIF of 10^5 frames of many pixels", gif(side, side, frame(side, side, 2) * 10**5)
    yield "large GIF of 65535 x 65535", gif(65535, 65535, frame(1, 1))
    for disposal in (0, 2, 3):
        grown = gif(1, 1, frame(65535, 2600, disposal))
        yield f"large GIF of one pixel with a larger frame, disposal {disposal}", grown
    comment = b"!\xfe" + b"\1x" * 10**6 + b"\0"
    yield "GIF of 10^6 comments in one", gif(1, 1, comment + frame(1, 1))
    yield "GIF of 10^6 comments", gif(1, 1, b"!\xfe\1x\0" * 10**6 + frame(1, 1))


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpegs(photo: Pixels, side: int) -> Iterator[File]:
    plain = save(Image.fromarray(photo), "JPEG")
    frame_at = plain.index(b"\xff\xc0")
    yield "large JPEG of 65500 x 65500", overwrite(plain, frame_at + 5, b"\xff\xdc\xff\xdc")
    yield "JPEG without rows", overwrite(plain, frame_at + 5, b"\0\0")
    yield "JPEG that claims more rows than it has", overwrite(plain, frame_at + 5, b"\3\0")
    scan_at = plain.index(b"\xff\xda")
    header = plain[frame_at : frame_at + 19]
    for size in (b"\0\1\0\1", b"\2\0\2\0", b"\xff\xdc\xff\xdc"):
        second = overwrite(header, 5, size)
        yield f"JPEG of two sizes, {size.hex()}", plain[:scan_at] + second + plain[scan_at:]
    blank = save(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    scan = segment(0xDA, b"\1\1\0\1\x3f\0")
    yield "JPEG of 10^5 scans", blank[:-2] + scan * 10**5 + blank[-2:]
    start, rest = plain[:2], plain[2:]
    for name, many in {
        "10^5 EXIF segments": segment(0xE1, _EXIF + b"x" * 100) * 10**5,
        "10^6 comments": segment(0xFE, b"x") * 10**6,
        "10^6 bytes of junk": segment(0xFE, b"x") + bytes(10**6),
        "ICC in parts that are missing": segment(0xE2, b"ICC_PROFILE\0\1\xff" + bytes(1000)),
        "ICC of 100 MiB claimed": segment(0xE2, b"ICC_PROFILE\0\1\1" + profile_header(100 << 20)),
        "malformed MPO": segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff" + bytes(100)),
        "MPO of 10^9 frames": segment(0xE2, b"MPF\0" + tiff({0xB001: 10**9, 0xB002: b"x" * 64})),
        "Photoshop resources": segment(
            0xED, b"Photoshop 3.0\0" + b"8BIM\3\xed\0\0\xff\xff\xff\xff"
        ),
    }.items():
        yield f"JPEG, {name}", start + many + rest
    for name, block in exifs():
        yield f"JPEG, {name}", start + segment(0xE1, _EXIF + block) + rest
        yield f"PNG, {name}", png(16, 16, zlib.compress(bytes(16 * 49)), (b"eXIf", block))


def exifs() -> Iterator[File]:
    yield "EXIF of 100 MiB claimed", tiff({0x0112: 6, 0x9286: (7, 100 << 20, 8)})
    yield (
        "EXIF that refers to itself",
        tiff({0x0112: 6, 0x8769: (4, 1, 8), 0x8825: (4, 1, 8), 0xA005: (4, 1, 8)}),
    )
    yield "EXIF beyond the end", tiff({0x0112: 6, 0x8769: (4, 1, 0xFFFFFFF0)})
    yield "EXIF of an odd orientation", tiff({0x0112: (5, 1, 0)})
    yield "EXIF of many orientations", tiff({0x0112: (3, 20, 8)})
    yield "EXIF that claims 65535 tags", tiff({0x0112: 6}, count=0xFFFF)
    yield "EXIF of 5000 tags of 30 kB", tiff({tag: (7, 30_000, 8) for tag in range(5000)})
    yield "EXIF whose next directory is itself", tiff({0x0112: 6}, following=8)
    yield "empty EXIF", b""
    yield "EXIF of text", b"orientation: 6"


def profile_header(size: int) -> bytes:
    """Build the header of an ICC profile that claims `size` bytes."""
    return struct.pack(">I", size) + b"lcms\4\x40\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(88)


def tiff(
    tags: dict[int, int | bytes | tuple[int, int, int]],
    data: bytes = b"",
    count: int | None = None,
    following: int = 0,
) -> bytes:
    """Build a little-endian TIFF with one directory.

    Args:
        tags: values by tag: an integer, bytes, or any (type, count, value or offset); an offset of
            -1 is where `data` begins.
        data: follows the directory.
        count: number of entries that the directory claims; None for the true number.
        following: offset of the next directory.
    """
    end = 8 + 2 + 12 * len(tags) + 4
    entries, heap = b"", data
    for tag, value in sorted(tags.items()):
        if isinstance(value, bytes):
            entry = struct.pack("<HHLL", tag, 7, len(value), end + len(heap))
            heap += value
        else:
            kind, number, content = (4, 1, value) if isinstance(value, int) else value
            entry = struct.pack("<HHLL", tag, kind, number, end if content == -1 else content)
        entries += entry
    number = len(tags) if count is None else count
    head = b"II*\0" + struct.pack("<LH", 8, number)
    return head + entries + struct.pack("<L", following) + heap


def tiffs(photo: Pixels) -> Iterator[File]:
    rgb = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: -1, 277: 1, 278: 64, 279: 4096}

    def make(data: bytes = bytes(4096), following: int = 0, **changes: object) -> bytes:
        tags = rgb | {int(tag[1:]): value for tag, value in changes.items()}
        tags = {t: (4, 1, -1) if v == -1 else v for t, v in tags.items() if v is not None}
        return tiff(tags, data, following=following)

    yield "good TIFF of few tags", make()
    yield f"large TIFF of {SIDE} x {SIDE}", make(t256=SIDE, t257=SIDE, t278=SIDE)
    yield "TIFF of a strip of 4 GiB", make(t279=0xFFFFFFFF)
    yield (
        "TIFF of strips of 4 GiB rows",
        make(t278=0xFFFFFFFF, t259=8, data=zlib.compress(bytes(4096))),
    )
    yield "TIFF of offsets beyond the end", make(t273=0xFFFFFFF0)
    yield "TIFF of 10^9 strips", make(t273=(4, 10**9, 8), t279=(4, 10**9, 8), t278=1)
    yield "TIFF of 10^9 bit depths", make(t258=(3, 10**9, 8))
    yield "TIFF of 10^9 samples per pixel", make(t277=10**9)
    yield "TIFF whose next directory is itself", make(following=8)
    yield "TIFF, ICC of 100 MiB claimed", make(t34675=(7, 100 << 20, 8))
    yield "TIFF, EXIF that refers to itself", make(t34665=8, t34853=8)
    yield "TIFF of an odd orientation", make(t274=99)
    bomb = zlib_bomb()
    yield "TIFF, 2 GiB of deflate", make(bomb, t259=8, t279=len(bomb))
    for side in (20_000, 40_000):
        tiles = {"t322": side, "t323": side, "t324": -1, "t325": len(bomb), "t273": None}
        yield f"TIFF of a tile of {side}", make(bomb, t259=8, t278=None, t279=None, **tiles)
        yield (
            f"TIFF of a raw tile of {side}",
            make(t278=None, t279=None, **(tiles | {"t325": 4096})),
        )
    for name in ("jpeg", "tiff_lzw", "packbits", "tiff_adobe_deflate"):
        data = save(Image.fromarray(photo), "TIFF", compression=name)
        for i in range(20):
            position = random.Random(i).randrange(8 * len(data))
            yield f"TIFF of {name}, flip {i}", flip_bit(data, position)
    for name, data in hostile_deep_tiffs(photo):
        yield f"good {name}", data
        for i in range(40):
            end = len(data) if i % 2 else 300
            yield f"{name}, flip {i}", flip_bit(data, random.Random(i).randrange(8 * end))
        for i in range(10):
            yield f"{name}, cut {i}", data[: len(data) * i // 10]
    for compression in (5, 8, 34925, 50000):
        # A strip of 64 MiB where 64 x 96 x 3 samples are expected.
        zeros = COMPRESS[compression](bytes(64 << 20))
        layout = {"compression": compression, "tags": {279: (4, [len(zeros)])}}
        data = write_tiff(photo, 16, 2, encode=lambda _, zeros=zeros: zeros, **layout)
        yield f"TIFF of 16 bits, bomb of compression {compression}", data
    grey = photo[..., :1]
    overlapping = {279: (4, [60_000] * 64)}
    yield "TIFF of 16 bits whose strips overlap", write_tiff(grey, 16, 1, rows=1, tags=overlapping)
    many = {256: (4, [1]), 257: (4, [1 << 20]), 278: (4, [1])}
    many |= {273: (4, [8] * (1 << 17)), 279: (4, [2] * (1 << 17))}
    yield "TIFF of 16 bits, 2^20 strips claimed", write_tiff(grey, 16, 1, tags=many)


def hostile_deep_tiffs(photo: Pixels) -> Iterator[File]:
    """Yield TIFFs of 16 and 12 bits: planar, tiled, with alpha, and as JPEG."""
    wide = np.dstack([photo, photo]).astype(np.uint16) * 257
    planar = {"planar": True, "compression": 5, "predictor": 2, "tile": (16, 32)}
    yield "TIFF of 16 bits, planar tiles", write_tiff(wide[..., :3], 16, 2, **planar)
    alpha = {"compression": 8, "rows": 7, "byte_order": ">", "tags": {338: (3, [1])}}
    yield "TIFF of 12 bits, alpha", write_tiff(wide[..., :4] >> 4, 12, 2, **alpha)
    yield "TIFF of 16 bits, CMYK", write_tiff(wide[..., :4], 16, 5, compression=50000, big=True)

    def encode_jpeg(part: np.ndarray) -> bytes:
        part = np.ascontiguousarray(part[..., 0].astype(np.uint16))
        return imagecodecs.jpeg_encode(part, bitspersample=12)

    jpeg = {"compression": 7, "encode": encode_jpeg, "rows": 32}
    yield "TIFF of 12 bits, JPEG", write_tiff(wide[..., :1] >> 4, 12, 1, **jpeg)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<L", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<L", len(body)) + body


def webps(photo: Pixels) -> Iterator[File]:
    frames = [Image.fromarray(photo[i : i + 64, i : i + 64]) for i in range(0, 120, 8)]
    animated = save(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield "good WEBP, animated", animated
    for i in range(CUTS):
        yield f"WEBP, animated, cut {i}", animated[: len(animated) * i // CUTS]
        yield f"WEBP, animated, flip {i}", flip_bit(animated, random.Random(i).randrange(8 * 200))
    still = save(frames[0], "WEBP")[12:]
    body = still[8 : 8 + struct.unpack("<L", still[4:8])[0]]
    for side in (4096, SIDE):
        canvas = struct.pack("<L", side - 1)[:3]
        for flags in (0, 2, 0x3E):
            yield (
                f"WEBP, canvas of {side}, flags {flags}",
                riff((b"VP8X", bytes([flags, 0, 0, 0]) + canvas * 2), (still[:4], body)),
            )
        control = (b"ANIM", bytes(6))
        size = struct.pack("<L", side - 1)[:3]
        motion = bytes(6) + size * 2 + bytes(4) + still
        yield (
            f"WEBP, animation of {side}",
            riff((b"VP8X", b"\2\0\0\0" + canvas * 2), control, (b"ANMF", motion)),
        )
    lossless = save(frames[0], "WEBP", lossless=True)
    yield "WEBP, lossless of 16384", overwrite(lossless, 21, b"\xff\xff\xff\x0f")
    position = animated.index(b"VP8X")
    yield "WEBP, chunk of 4 GiB claimed", overwrite(animated, position + 18 + 4, b"\xff" * 4)


def avifs(photo: Pixels) -> Iterator[File]:
    small = save(Image.fromarray(photo), "AVIF")
    blank = save(Image.new("RGB", (4096, 4096)), "AVIF", speed=10)
    yield "large AVIF of 4096 x 4096", blank
    yield "large AVIF of 64 x 64 that holds 4096 x 4096", resize(blank, 64, 64)
    heic = deep_files(photo)["HEIC"]
    for name, data in (("AVIF", small), ("HEIC", heic)):
        yield f"large {name} of {SIDE} x {SIDE}", resize(data, SIDE, SIDE)
        yield f"large {name} of 16000 x 16000", resize(data, 16000, 16000)
        yield f"{name} of 1000 x 1000 that holds 96 x 64", resize(data, 1000, 1000)
        position = data.index(b"iloc")
        for i in range(12, 40, 4):
            bad = overwrite(data, position + i, b"\x7f\xff\xff\xff")
            yield f"{name} of a bad offset, {i}", bad
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (4096, 4096))).save(
        buffer, enc_params={"preset": "ultrafast"}
    )
    yield "HEIC of 64 x 64 that holds 4096 x 4096", resize(buffer.getvalue(), 64, 64)
    frames = [Image.fromarray(photo)] * 3
    yield "good AVIF, animated", save(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    tile = read_still(small).primary
    for rows, columns in ((1, 1), (16, 16), (256, 256)):
        head = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, 96, 64)
        count = min(rows * columns, 5000)
        whole = Part(b"grid", head, [ispe(96, 64)], [(b"dimg", [2] * count)])
        part = Part(tile.kind, tile.data, tile.properties)
        yield f"AVIF, grid of {rows} x {columns} of one tile", assemble(whole, part)
    hidden = Part(tile.kind, tile.data * 8, tile.properties)
    yield "AVIF of 8 frames", assemble(hidden)


def resize(data: bytes, width: int, height: int) -> bytes:
    """Overwrite the size that the boxes of an AVIF or HEIC file give."""
    return overwrite(data, data.index(b"ispe") + 8, struct.pack(">LL", width, height))


def codestream(
    width: int,
    height: int,
    tile: int = 0,
    precinct: int | None = None,
    block: int = 4,
    components: int = 1,
    bits: int = 8,
) -> bytes:
    """Build the headers of a JPEG 2000 codestream; `precinct` and `block` are log2 of sides."""
    size = struct.pack(">HLLLLLLLL", 0, width, height, 0, 0, tile or width, tile or height, 0, 0)
    size += struct.pack(">H", components) + bytes([bits - 1, 1, 1]) * components
    style = bytes([precinct is not None, 0, 0, 1, 0, 5, block - 2, block - 2, 0, 1])
    style += b"" if precinct is None else bytes([precinct * 17]) * 6
    steps = b"\x40" + b"\x48" * 16
    empty = segment(0x90, struct.pack(">HLBB", 0, 0, 0, 1)) + b"\xff\x93"
    heads = segment(0x51, size) + segment(0x52, style) + segment(0x5C, steps)
    return b"\xff\x4f" + heads + empty + bytes(1000) + b"\xff\xd9"


def jpeg2000s(side: int) -> Iterator[File]:
    yield f"large JPEG2000 of {SIDE} x {SIDE}", codestream(SIDE, SIDE)
    yield "JPEG2000 of 4 GiB rows", codestream(1, 0xFFFFFFFF)
    for precinct in (None, 0, 1, 2, 3, 4, 5):
        for block, bits in itertools.product((2, 3), (8, 12)):
            data = codestream(side, side, 0, precinct, block, components=4, bits=bits)
            name = f"precincts of 2^{precinct}, blocks of 2^{block}, {bits} bits"
            yield f"JPEG2000, {name}", data
    yield "JPEG2000 of 1000 components", codestream(side, side, components=1000)
    for tile, bits in itertools.product((1, 4, 5, 16, 32, 100), (8, 12)):
        data = codestream(side, side, tile, components=4, bits=bits)
        yield f"JPEG2000, tiles of {tile}, {bits} bits", data
    small = save(Image.new("L", (64, 64)), "JPEG2000")
    position = small.index(b"ihdr") + 4
    yield (
        f"large JPEG2000, box of {SIDE}",
        overwrite(small, position, struct.pack(">LL", SIDE, SIDE)),
    )
    inner = small[: small.index(b"\xff\x4f\xff\x51")]
    yield f"JPEG2000 of 64 x 64 that holds {SIDE}", inner + codestream(SIDE, SIDE)
    yield "JPEG2000 of 64 x 64 that holds 8192", inner + codestream(8192, 8192)
    yield "JPEG2000 of 64 x 64 that holds precincts", inner + codestream(8192, 8192, precinct=1)


def jpegxrs(photo: Pixels) -> Iterator[File]:
    data = imagecodecs.jpegxr_encode(photo)
    width, height = (data.index(struct.pack("<HHL", tag, 4, 1)) + 8 for tag in (0xBC80, 0xBC81))
    large = overwrite(overwrite(data, width, struct.pack("<L", SIDE)), height, b"\0\0\0\1")
    yield f"large JPEGXR of {SIDE} x 16777216", large
    image = data.index(b"WMPHOTO\0")
    yield "JPEGXR that holds 65536 x 64", overwrite(data, image + 12, b"\xff\xff")
    yield (
        "JPEGXR of 1000 x 1000 that holds 96 x 64",
        overwrite(overwrite(data, width, b"\xe8\3"), height, b"\xe8\3"),
    )
    for position in range(image + 8, image + 40):
        for byte in (0, 0x55, 0xA0, 0xFF):
            name = f"JPEGXR, byte {position - image} of the header is {byte}"
            yield name, overwrite(data, position, bytes([byte]))
    yield "JPEGXR of 65535 tags", overwrite(data, data[4], b"\xff\xff")
    yield "JPEGXR whose directory is itself", overwrite(data, 4, b"\0\0\0\0")


def bmps_and_ppms(max_pixels: int) -> Iterator[File]:
    def bmp(width: int, height: int, compression: int, data: bytes, bits: int = 8) -> bytes:
        head = struct.pack("<LllHHLLllLL", 40, width, height, 1, bits, compression, 0, 0, 0, 256, 0)
        return (
            b"BM"
            + struct.pack("<LLL", 54 + 1024 + len(data), 0, 54 + 1024)
            + head
            + bytes(range(256)) * 4
            + data
        )

    yield f"large BMP of {SIDE} x {SIDE}", bmp(SIDE, SIDE, 0, bytes(100))
    yield "BMP upside down", bmp(16, -16, 0, bytes(256))
    yield "BMP of a negative width", bmp(-16, 16, 0, bytes(256))
    yield "BMP of jumps beyond the image", bmp(max_pixels, 1, 1, b"\0\2\xff\xff" * 1000)
    yield "BMP of lines without pixels", bmp(max_pixels, 1, 1, b"\1\1\0\0" * 1000)
    yield "BMP of runs of nothing", bmp(1, max_pixels, 1, b"\2\1" * 10**5)
    yield "BMP of 4 bits, runs of nothing", bmp(1, max_pixels, 2, b"\2\1" * 10**5, bits=4)
    for kind in (1, 2, 3, 4, 5, 6):
        yield f"large P{kind} of {SIDE} x {SIDE}", b"P%d %d %d 255\n\0\0" % (kind, SIDE, SIDE)
        yield f"P{kind} of 10^6 comments", b"P%d 16 16 255\n" % kind + b"#\n" * 10**6 + b"1 " * 768
        yield f"P{kind} of huge numbers", b"P%d 16 16 255\n" % kind + b"9" * 10**6
        yield f"P{kind} of numbers of 10^6 digits", b"P%d 1%s 1 255\n" % (kind, b"0" * 10**6)
        yield f"P{kind} of spaces", b"P%d 16 16 255\n" % kind + b" " * 10**6
        yield f"P{kind} of a negative size", b"P%d -16 -16 255\n" % kind + bytes(768)
        yield f"P{kind} of 16 bits, too few", b"P%d %d 9 65535\n" % (kind, max_pixels // 9)
    side = int(max_pixels**0.5)
    head = b"%d %d 1000\n" % (side, side)
    yield "good PPM of many deep pixels", b"P6 " + head + bytes(6 * side * side)
    yield "good PPM of many deep pixels, as text", b"P3 " + head + b"1000 " * (3 * side * side)
    yield "PPM of text, far more than it needs", b"P3 1 1 1000 " + b"9 " * (16 << 20)
    yield "PPM of text, comments between samples", b"P3 9 9 1000 " + b"9#\n" * 9000
    for bits in (16, 32):
        for masks in ((0xF800, 0x7E0, 0x1F), (0xFFFFFFFF,) * 3, (1, 2, 4), (0, 0, 0), (5, 10, 15)):
            fields = struct.pack("<3L", *masks)
            name = f"{bits} bits and masks of {fields.hex()}"
            yield f"BMP of {name}", bmp(16, 16, 3, fields + bytes(2048), bits)
            yield f"BMP of {name}, upside down", bmp(16, -16, 3, fields + bytes(2048), bits)
            yield f"BMP of {name}, too large", bmp(1 << 30, -(1 << 31), 3, fields, bits)
    profile = bytearray(bmp(16, 16, 0, bytes(256), bits=8))
    profile[14:18], profile[70:74] = struct.pack("<L", 124), b"DEBM"
    profile[126:134] = struct.pack("<LL", 0xFFFFFFFF, 0xFFFFFFFF)
    yield "BMP of 4 GiB of profile claimed", bytes(profile)
    yield "PPM of an odd range", b"P6 100 100 254\n" + bytes(30_000)
    yield "PPM of comments in its head", b"P6 " + b"#\n" * 10**5 + b"16 16 255\n" + bytes(768)
