"""Read PNG and the first frame of APNG, at 1 to 16 bits per sample.

PNG Specification, third edition (W3C, 2025).
"""

from dataclasses import replace

from roi_ray.errors import ImageReadError
from roi_ray.imaging.colour.cicp import read_rgb_code_points
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.raster import Cicp, Raster
from roi_ray.imaging.readers.pillow import read_pillow
from roi_ray.imaging.readers.png_16_bits import read_16_bits
from roi_ray.imaging.readers.png_chunks import (
    METADATA,
    Chunk,
    Frame,
    Header,
    assemble_png,
    find_hidden_frame,
    inflate,
    list_passes,
    read_chunks,
    read_header,
)
from roi_ray.imaging.samples import place_on_canvas


def read_png(data: bytes, max_pixels: int) -> Raster:
    """Read a PNG file, or the first frame of an animated one.

    cICP takes precedence over iCCP, and both over sRGB (4.3); gAMA and cHRM alone are ignored.
    sBIT is ignored too: samples of 16 bits are scaled to 16 bits, whatever their origin.

    Raises:
        ImageReadError, ImageTooLarge, UnsupportedColour: see `decode_image`.
    """
    chunks = list(read_chunks(data))
    header = read_header(chunks)
    check_pixel_count(header.width, header.height, max_pixels)
    cicp = _read_cicp(chunks)
    frame = find_hidden_frame(chunks)
    if frame is None:
        idat = [content for kind, content in chunks if kind == b"IDAT"]
        raster = _read_image(header, chunks, idat, max_pixels, data)
    else:
        right, bottom = frame.left + frame.width, frame.top + frame.height
        if right > header.width or bottom > header.height or not frame.width * frame.height:
            raise ImageReadError("cannot be decoded: the APNG's first frame exceeds its canvas")
        part = header._replace(width=frame.width, height=frame.height)
        raster = _place(_read_image(part, chunks, frame.idat, max_pixels), header, frame)
    return replace(raster, cicp=cicp)


def _read_cicp(chunks: list[Chunk]) -> Cicp | None:
    """Read the cICP chunk (11.3.2.6), which must precede the palette and the pixels."""
    for kind, content in chunks:
        if kind in (b"PLTE", b"IDAT"):
            break
        if kind == b"cICP" and len(content) == 4:
            primaries, transfer, matrix, full_range = content
            return read_rgb_code_points("a PNG", primaries, transfer, matrix, full_range == 1)
    return None


def _place(raster: Raster, canvas: Header, frame: Frame) -> Raster:
    """Place a frame on its canvas, which is transparent around it."""
    size = canvas.height, canvas.width
    if raster.samples.shape[:2] == size:
        return raster
    samples = place_on_canvas(raster.samples, size, (frame.top, frame.left))
    return replace(raster, samples=samples, has_alpha=True)


def _read_image(
    header: Header,
    chunks: list[Chunk],
    idat: list[memoryview],
    max_pixels: int,
    data: bytes | None = None,
) -> Raster:
    """Read compressed pixels, with the file's palette and metadata.

    Args:
        header: size and type of the pixels.
        chunks: all chunks of the file.
        idat: the compressed pixels.
        max_pixels: see `read_png`.
        data: the file, if these are the pixels that its own IDAT chunks hold.
    """
    if header.depth == 16:
        return read_16_bits(header, chunks, idat)
    kept = [chunk for chunk in chunks if chunk[0] in (*METADATA, b"PLTE", b"tRNS")]
    file = data or assemble_png(header, kept, b"".join(idat))
    raster = read_pillow(file, max_pixels, ("PNG",))
    # Pillow leaves rows that a file lacks as they are: black, or the first colour of the palette.
    if header.interlacing or (raster.samples[-1] == raster.samples[-1, 0]).all():
        for _ in inflate(idat, (part.height * part.row_size for part in list_passes(header))):
            pass
    return raster
