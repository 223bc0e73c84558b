"""Recognise an image's format by its first bytes; refuse other files by name, with what to do."""

import re
import zlib

from roi_ray.errors import ImageReadError

FORMATS = {
    "PNG": "PNG",
    "JPEG": "JPEG",
    "JPEGXL": "JPEG XL",
    "WEBP": "WebP",
    "AVIF": "AVIF",
    "HEIF": "HEIC",
    "JPEG2000": "JPEG 2000",
    "JPEGXR": "JPEG XR",
    "TIFF": "TIFF",
    "BMP": "BMP",
    "GIF": "GIF",
    "PPM": "PBM, PGM or PPM",
}
"""Formats that are read: what people call them, by the name that `identify` returns.

JPEG2000 includes HTJ2K.
"""

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8", "JPEG"),
    (b"\xff\x0a", "JPEGXL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEGXL"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"II\xbc", "JPEGXR"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
_PNM = re.compile(rb"P[1-6][\s#]")

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {
    *(b"mif1", b"mif2", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"),
    *(b"hevm", b"hevs", b"avci", b"avcs", b"j2ki", b"j2is", b"jpeg", b"jpgs", b"vvic", b"vvis"),
}

_CONVERT = "decode it to PNG (16 bits if it has more than 8) with its codec's own decoder"
_TONE_MAP = (
    "its samples are floating-point light without a fixed white; map them to SDR and save them as "
    "a 16-bit PNG"
)
_EXTRACT = "extract its frames as PNG, e.g. `ffmpeg -i FILE -pix_fmt rgb48be frame-%04d.png`"
_RENDER = "render it to PNG at the size that is to be compared"
_DEVELOP = "develop it to a PNG or a TIFF of 16 bits"
_UNPACK = "unpack it first"
_FAILED = "probably a failed download: check the address, the permissions and the file itself"

_REFUSED = (
    (b"P7", "a PAM image", "convert it to PPM, PGM or PNG, e.g. with `pamtopnm` or `pamtopng`"),
    (b"PF", "a PFM image", _TONE_MAP),
    (b"Pf", "a PFM image", _TONE_MAP),
    (b"PH", "a PHM image", _TONE_MAP),
    (b"Ph", "a PHM image", _TONE_MAP),
    (b"\x76\x2f\x31\x01", "an OpenEXR image", _TONE_MAP),
    (b"#?RADIANCE", "a Radiance HDR image", _TONE_MAP),
    (b"#?RGBE", "a Radiance HDR image", _TONE_MAP),
    (b"YUV4MPEG2", "a Y4M video", _EXTRACT),
    (b"DKIF", "an IVF video", _EXTRACT),
    (b"\x1a\x45\xdf\xa3", "a WebM or Matroska video", _EXTRACT),
    (b"\0\0\0\1", "a video elementary stream (H.264, HEVC or VVC)", _EXTRACT),
    (b"\0\0\1", "a video elementary stream (MPEG, H.264, HEVC or VVC)", _EXTRACT),
    (b"\x12\0\x0a", "an AV1 elementary stream", _EXTRACT),
    (b"qoif", "a QOI image", _CONVERT),
    (b"farbfeld", "a farbfeld image", _CONVERT),
    (b"FLIF", "a FLIF image", _CONVERT),
    (b"BPG\xfb", "a BPG image", _CONVERT),
    (b"DDS ", "a DDS texture", _CONVERT),
    (b"\xabKTX", "a KTX texture", _CONVERT),
    (b"\x13\xab\xa1\x5c", "an ASTC texture", _CONVERT),
    (b"\xff\x10\xff\x50", "a JPEG XS image", _CONVERT),
    (b"\0\0\0\x0cJXS ", "a JPEG XS image", _CONVERT),
    (b"\x97JB2", "a JBIG2 image", _CONVERT),
    (b"AT&TFORM", "a DjVu document", _CONVERT),
    (b"\x8aMNG", "an MNG animation", _CONVERT),
    (b"\x8bJNG", "a JNG image", _CONVERT),
    (b"8BPS", "a Photoshop document", "export it as PNG"),
    (b"gimp xcf", "a GIMP document", "export it as PNG"),
    (b"SDPX", "a DPX image", _CONVERT),
    (b"XPDS", "a DPX image", _CONVERT),
    (b"\x80\x2a\x5f\xd7", "a Cineon image", _CONVERT),
    (b"SIMPLE  =", "a FITS image", _CONVERT),
    (b"BA", "an OS/2 bitmap array", "save its image as BMP or PNG"),
    (b"\0\0\1\0", "a Windows icon", "save its image as PNG"),
    (b"\0\0\2\0\0\0", "a TGA image", _CONVERT),
    (b"\0\0\x0a\0\0\0", "a TGA image", _CONVERT),
    (b"\x0a\5\1", "a PCX image", _CONVERT),
    (b"\1\xda", "an SGI image", _CONVERT),
    (b"\x59\xa6\x6a\x95", "a Sun raster image", _CONVERT),
    (b"\x06\x0e\x2b\x34", "an MXF video", _EXTRACT),
    (b"\0\0\2\0", "a Windows cursor", "save its image as PNG"),
    (b"%PDF", "a PDF document", _RENDER),
    (b"%!PS", "a PostScript document", _RENDER),
    (b"\xc5\xd0\xd3\xc6", "an EPS document", _RENDER),
    (b"FUJIFILMCCD-RAW", "a camera's raw file", _DEVELOP),
    (b"IIRO", "a camera's raw file", _DEVELOP),
    (b"IIRS", "a camera's raw file", _DEVELOP),
    (b"IIU\0", "a camera's raw file", _DEVELOP),
    (b"II\x1a\0", "a camera's raw file", _DEVELOP),
    (b"FOVb", "a camera's raw file", _DEVELOP),
    (b"PK\3\4", "a ZIP archive", _UNPACK),
    (b"\x1f\x8b", "a gzip file", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", _UNPACK),
    (b"\xfd7zXZ\0", "an XZ file", _UNPACK),
    (b"BZh", "a bzip2 file", _UNPACK),
    (b"7z\xbc\xaf", "a 7-Zip archive", _UNPACK),
    (b"PAR1", "a Parquet file", "the manifest must name image files"),
    (b"\x93NUMPY", "a NumPy array", "save it as PNG"),
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer, not an image",
        "run `git lfs pull`",
    ),
)
"""First bytes, name and advice for files that are recognised only to be refused."""


def identify(data: bytes) -> str:
    """Recognise the format of an image by its first bytes.

    Args:
        data: the file's content.

    Returns:
        one of `FORMATS`.

    Raises:
        ImageReadError: the file is empty or has another format, which the message names if it is
            recognised.
    """
    if not data:
        raise ImageReadError("the file is empty (0 bytes)")
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if _PNM.match(data):
        return "PPM"
    if data[4:8] == b"ftyp":
        return _identify_brands(data)
    raise ImageReadError(_describe_refused(data))


def _identify_brands(data: bytes) -> str:
    """Tell AVIF, HEIF and videos apart by their brands (ISO/IEC 14496-12, 4.3)."""
    major, *compatible = _read_brands(data)
    if len(major) < 4:
        raise ImageReadError("cannot be decoded: the file ends within its first box (truncated)")
    if major == b"crx ":
        raise ImageReadError(f"a camera's raw file (CR3); {_DEVELOP}")
    for brands in ({major}, set(compatible)):
        if brands & _AVIF_BRANDS:
            return "AVIF"
        # The generic brands say nothing of the codec: an AVIF may have `mif1` as its major brand.
        if brands & (_HEIF_BRANDS - {b"mif1", b"mif2", b"msf1", b"miaf"}):
            return "HEIF"
    if {major, *compatible} & _HEIF_BRANDS:
        return "HEIF"
    name = major.decode("ascii", "replace").strip()
    raise ImageReadError(f"a video or audio file (MP4 or QuickTime, brand {name!r}); {_EXTRACT}")


def _read_brands(data: bytes) -> list[bytes]:
    """Read the brands of an ISO base media file: the major brand, then the compatible ones."""
    end = min(int.from_bytes(data[:4]) or len(data), len(data), 4096)
    return [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]


def _describe_refused(data: bytes) -> str:
    """Say what a file is that is not read, and what to do."""
    if data.count(0) == len(data):
        return f"the file has only zero bytes; {_FAILED}"
    if text := _describe_text(data):
        return text
    for signature, name, advice in _REFUSED:
        if data.startswith(signature):
            return f"{name}, which is not supported; {advice}"
    if data.startswith(b"RIFF"):
        return f"a RIFF file that is not WebP (an AVI video or sound); {_EXTRACT}"
    if data[1:4] == b"PNG":
        return "a PNG whose signature is damaged, as by a transfer in text mode; copy it again"
    known = ", ".join(FORMATS.values())
    return (
        f"not an image of a known format ({known}); raw YUV has no header: convert it to PNG, "
        "e.g. `ffmpeg -f rawvideo -pix_fmt yuv420p -s 1920x1080 -i FILE frame-%04d.png`"
    )


def _describe_text(data: bytes) -> str | None:
    """Describe SVG, HTML, XML and JSON, whether compressed by gzip or not."""
    start = data[:4096]
    if start.startswith(b"\x1f\x8b"):
        try:
            start = zlib.decompressobj(31).decompress(start, 4096)
        except zlib.error:
            return None
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<?xml", b"<!", b"<svg")) and b"<svg" in start:
        return f"an SVG drawing, which is not supported; {_RENDER}"
    if start.startswith((b"<!doctype html", b"<html")):
        return f"an HTML page, not an image; {_FAILED}"
    if re.match(rb"<[?!a-z]", start):
        return f"an XML or HTML document, not an image; {_FAILED}"
    if re.match(rb'[{\[]\s*["{\[\]}]', start):
        return f"a JSON document, not an image; {_FAILED}"
    return None
