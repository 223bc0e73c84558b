"""Read AVIF by libavif: 8, 10 and 12 bits at their own depth.

Through `imagecodecs`, it gives the digits of `avifdec`, and for 8 bits those of Pillow, in half of
Pillow's memory. Pillow drops the lower bits of 10 and 12 bits, and neither tells CICP nor applies
the clean aperture; `imagecodecs` applies neither this nor the orientation.
"""

from dataclasses import replace

from roi_ray.errors import ImageReadError
from roi_ray.imaging.heif.av1 import SequenceHeader, read_sequence_headers
from roi_ray.imaging.heif.still import (
    Colours,
    Still,
    check_sizes,
    is_derived,
    match_profile,
    read_colours,
    read_still,
    rename_exif,
)
from roi_ray.imaging.heif.transforms import apply_transforms
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.raster import Cicp, Raster
from roi_ray.imaging.readers.pillow import read_pillow

_EXTRA_BITS = {16: 2, 17: 1}
"""Bits that the matrices YCgCo-Re and YCgCo-Ro add to those of RGB (ITU-T H.273)."""


def read_avif(data: bytes, max_pixels: int) -> Raster:
    """Read the primary image of an AVIF file, or the first frame of a sequence.

    Args:
        data: the file's content.
        max_pixels: largest width times height that is decoded.

    Raises:
        ImageReadError: the boxes are damaged; the image is not coded by AV1; its size is not that
            of its AV1 data; or it is of a kind that libavif does not decode.
        ImageTooLarge: the image, its tiles or its AV1 data have too many pixels.
    """
    still = read_still(data)
    check_sizes(still, max_pixels)
    header = _check_streams(still, max_pixels)
    colours = read_colours(still)
    raster = _decode(data, max_pixels, still, header, colours)
    if raster.samples.shape[:2] != still.primary.size[::-1]:
        raise ImageReadError(
            "cannot be decoded: its pixels do not have the size that its boxes give"
        )
    samples, orientation = apply_transforms(raster.samples, still.primary.properties)
    # With a profile, `nclx` gives the matrix only (ISO/IEC 23000-22, 7.3.6.4). With neither,
    # libavif takes the colours of the AV1 data.
    cicp: Cicp | None = None
    if colours.icc_profile is None:
        cicp = colours.cicp or header.cicp
    return replace(
        raster,
        samples=match_profile(samples, colours.icc_profile),
        icc_profile=colours.icc_profile,
        cicp=None if cicp == (2, 2) else cicp,
        orientation=orientation,
    )


def _check_streams(still: Still, max_pixels: int) -> SequenceHeader:
    """Check the AV1 data that will be decoded, and return the first sequence header."""
    items = still.parts[1:] if is_derived(still) else still.parts
    first: SequenceHeader | None = None
    headers_of: dict[bytes, list[SequenceHeader]] = {}
    for item in items:
        if item.kind not in (b"av01", b"grid"):
            kind = item.kind.decode("ascii", "replace")
            advice = "; export its SDR rendition" if kind == "tmap" else ""
            raise ImageReadError(
                f"an image item of type {kind!r}, which AVIF files cannot show{advice}"
            )
        if item.kind == b"grid":  # of the alpha channel; its tiles follow
            continue
        if item.data not in headers_of:
            configuration = item.get(b"av1C")[4:]
            headers_of[item.data] = read_sequence_headers(item.data) or read_sequence_headers(
                configuration
            )
        headers = headers_of[item.data]
        if not headers:
            raise ImageReadError(
                "cannot be decoded: its AV1 data has no sequence header; is the file truncated?"
            )
        for header in headers:
            check_pixel_count(header.width, header.height, max_pixels)
            _check_size(item.size if item.get(b"ispe") else still.primary.size, header)
        first = first or headers[0]
    if first is None:
        raise ImageReadError("cannot be decoded: its grid has no tiles")
    return first


def _check_size(size: tuple[int, int], header: SequenceHeader) -> None:
    """Refuse an image whose boxes give another size: libavif would scale it."""
    if size != (header.width, header.height):
        raise ImageReadError(
            f"cannot be decoded: its boxes give a size of {size[0]} x {size[1]}, but its AV1 data "
            f"one of {header.width} x {header.height}"
        )


def _decode(
    data: bytes, max_pixels: int, still: Still, header: SequenceHeader, colours: Colours
) -> Raster:
    import imagecodecs

    matrix = header.matrix if colours.matrix is None else colours.matrix
    bit_depth = header.bit_depth - _EXTRA_BITS.get(matrix, 0)
    if bit_depth == 8 and (still.is_sequence or matrix in _EXTRA_BITS):
        return read_pillow(data, max_pixels, formats=("AVIF",))
    if matrix in _EXTRA_BITS:
        raise ImageReadError(
            f"YCgCo-R (matrix {matrix}) of {header.bit_depth} bits is not supported; decode the "
            "file to PNG with `avifdec`"
        )
    if still.is_sequence and not _is_still_too(data, still):
        raise ImageReadError(
            f"a sequence (avis) of {bit_depth} bits whose first frame is not a still image too is "
            "not supported; save the frame as an AVIF or PNG of its own"
        )
    # By this major brand, libavif takes the primary item. Of a sequence, `imagecodecs` would decode
    # all frames, or, told to decode one, write beyond the end of its array.
    data = rename_exif(data[:8] + b"avif" + data[12:])
    samples = imagecodecs.avif_decode(data, numthreads=1)
    samples = samples[..., None] if samples.ndim == 2 else samples
    return Raster(samples, bit_depth, has_alpha=samples.shape[2] in (2, 4))


def _is_still_too(data: bytes, frame: Still) -> bool:
    """Return whether the primary item of a sequence is its first frame, alpha included."""
    still = read_still(data, with_tracks=False)
    return [part.data for part in still.parts] == [part.data for part in frame.parts]
