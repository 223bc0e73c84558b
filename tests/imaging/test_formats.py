import gzip

import pytest

from roi_ray.errors import ImageReadError
from roi_ray.imaging.decode import READERS
from roi_ray.imaging.formats import FORMATS, identify
from tests.conftest import encode


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    """Build the first box of an ISO base media file."""
    brands = major + bytes(4) + b"".join(compatible)
    return (8 + len(brands)).to_bytes(4) + b"ftyp" + brands + b"\0\0\0\x08mdat"


@pytest.mark.parametrize(
    "file_format", ["PNG", "JPEG", "WEBP", "JPEG2000", "AVIF", "TIFF", "BMP", "GIF", "PPM"]
)
def test_encoded_photo_is_identified(photos, file_format) -> None:
    assert identify(encode(photos["coffee"][:32, :32], file_format)) == file_format


@pytest.mark.parametrize(
    ("data", "file_format"),
    [
        (b"\xff\x0a\xfa\x7f", "JPEGXL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + ftyp(b"jxl ", b"jxl "), "JPEGXL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + ftyp(b"jph ", b"jph "), "JPEG2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG2000"),
        (b"II\xbc\1", "JPEGXR"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0\x08\0\0\0", "TIFF"),
        (b"MM\0+\0\x08\0\0", "TIFF"),
        (b"\xff\xd8\xff\xf7", "JPEG"),
        (b"P1 ", "PPM"),
        (b"P5#", "PPM"),
        (b"P6\n", "PPM"),
        (ftyp(b"avif", b"mif1"), "AVIF"),
        (ftyp(b"avis", b"avif", b"msf1"), "AVIF"),
        (ftyp(b"mif1", b"avif", b"miaf"), "AVIF"),
        (ftyp(b"heic", b"mif1"), "HEIF"),
        (ftyp(b"mif1", b"heic"), "HEIF"),
        (ftyp(b"heix", b"avif"), "HEIF"),
        (ftyp(b"mif1"), "HEIF"),
    ],
)
def test_signature_is_identified(data, file_format) -> None:
    assert identify(data) == file_format
    assert file_format in FORMATS


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (bytes(1000), "only zero bytes"),
        (b"P7\nWIDTH 2\n", "a PAM image.*pamtopnm"),
        (b"PF\n2 2\n-1.0\n", "a PFM image.*SDR"),
        (b"Pf\n2 2\n-1.0\n", "a PFM image"),
        (b"PH\n2 2\n-1.0\n", "a PHM image"),
        (b"\x76\x2f\x31\x01\2\0\0\0", "OpenEXR"),
        (b"#?RADIANCE\n", "Radiance HDR"),
        (b"YUV4MPEG2 W2 H2", "Y4M.*ffmpeg"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing.*render it to PNG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- x --><svg/>', "an SVG drawing"),
        (gzip.compress(b'<?xml version="1.0"?><svg/>', mtime=0), "an SVG drawing"),
        (gzip.compress(b"\x89PNG", mtime=0), "a gzip file.*unpack"),
        (b"PK\3\4" + bytes(100), "a ZIP archive"),
        (b"%PDF-1.7", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"\0\0\2" + bytes(15), "a TGA image"),
        (b"\0\0\2\0\1\0", "a Windows cursor"),
        (b"\x0a\5\1\1", "a PCX image"),
        (b"qoif\0\0\0\1", "QOI.*decode it to PNG"),
        (b"farbfeld", "farbfeld"),
        (b"FLIF", "FLIF"),
        (b"BPG\xfb", "BPG"),
        (b"DDS |", "DDS"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\xff\x10\xff\x50", "JPEG XS"),
        (b"\x1a\x45\xdf\xa3", "WebM"),
        (ftyp(b"isom", b"iso2", b"mp41"), "a video or audio file.*'isom'.*ffmpeg"),
        (b"\0\0\0\x20ftypav", "truncated"),
        (ftyp(b"qt  "), "a video or audio file.*'qt'"),
        (ftyp(b"crx "), "CR3"),
        (b"\0\0\0\1\x67\x42", "elementary stream"),
        (b"RIFF\0\0\0\0AVI LIST", "not WebP"),
        (b"\n<!DOCTYPE html><title>404</title>", "an HTML page, not an image"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML or HTML"),
        (b"<Error><Code>NoSuchKey</Code></Error>", "an XML or HTML document, not an image"),
        (b'{"error": "not found"}', "a JSON document, not an image"),
        (b"PAR1", "a Parquet file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"\x89PNG\n\x1a\n", "signature is damaged"),
        (b"\x80" * 1000, r"not an image of a known format \(PNG, .*raw YUV has no header"),
        (b"P", "not an image of a known format"),
    ],
)
def test_other_file_is_refused_by_name(data, message) -> None:
    with pytest.raises(ImageReadError, match=message) as caught:
        identify(data)
    assert len(str(caught.value)) < 300


def test_every_format_has_a_reader() -> None:
    assert set(READERS) == set(FORMATS)
