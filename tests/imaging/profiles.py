"""ICC profiles made by hand (ICC.1:2022), and the float64 arithmetic that they stand for."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

D50 = np.array([0.9642, 1.0, 0.8249])
D65 = (0.3127, 0.3290)
PRIMARIES = {
    "sRGB": (0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    "P3": (0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    "BT.2020": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    "Adobe RGB": (0.64, 0.33, 0.21, 0.71, 0.15, 0.06),
}

BT709_ALPHA, BT709_BETA = 1.09929682680944, 0.018053968510807

BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)

Curve = Callable[[NDArray], NDArray]


def decode_srgb(values: NDArray) -> NDArray:
    """Convert sRGB values to linear light (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encode_srgb(light: NDArray) -> NDArray:
    """Convert linear light to sRGB values; clipped to 0..1."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def decode_bt709(values: NDArray) -> NDArray:
    """Invert the camera curve of BT.709 (H.273, table 3)."""
    power = ((values + BT709_ALPHA - 1) / BT709_ALPHA) ** (1 / 0.45)
    return np.where(values < 4.5 * BT709_BETA, values / 4.5, power)


def decode_pq(values: NDArray) -> NDArray:
    """Convert PQ to light (SMPTE ST 2084); 1 is 10,000 cd/m2."""
    power = values ** (32 / 2523)
    light = np.maximum(power - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * power)
    return light ** (8192 / 1305)


def decode_hlg(values: NDArray) -> NDArray:
    """Invert the camera curve of HLG (BT.2100, table 5)."""
    upper = (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.where(values <= 0.5, values**2 / 3, upper)


def xyz_of(x: float, y: float) -> NDArray:
    return np.array([x / y, 1, (1 - x - y) / y])


def to_xyz_d50(primaries: str, white: tuple[float, float] = D65) -> NDArray:
    """Compute the matrix from linear RGB to the profile connection space, unrounded."""
    chromaticities = np.reshape(PRIMARIES[primaries], (3, 2))
    columns = np.stack([xyz_of(*chromaticity) for chromaticity in chromaticities], axis=1)
    columns = columns * np.linalg.solve(columns, xyz_of(*white))
    gains = (BRADFORD @ D50) / (BRADFORD @ xyz_of(*white))
    return np.linalg.inv(BRADFORD) @ np.diag(gains) @ BRADFORD @ columns


def xyz_to_srgb(xyz: NDArray) -> NDArray:
    """Convert colours of the connection space to sRGB values, 0..1."""
    return encode_srgb(xyz @ np.linalg.inv(to_xyz_d50("sRGB")).T)


def s15_16(*numbers: float) -> bytes:
    return b"".join(round(number * 65536).to_bytes(4, signed=True) for number in numbers)


def u16(values: NDArray) -> bytes:
    return np.rint(np.clip(values, 0, 1) * 65535).astype(">u2").tobytes()


def xyz_tag(numbers: NDArray) -> bytes:
    return b"XYZ " + bytes(4) + s15_16(*numbers)


def gamma_tag(gamma: float) -> bytes:
    return b"para" + bytes(4) + bytes(4) + s15_16(gamma)


def bt709_tag() -> bytes:
    scale = 1 / BT709_ALPHA
    parameters = (1 / 0.45, scale, 1 - scale, 1 / 4.5, 4.5 * BT709_BETA)
    return b"para" + bytes(4) + (3).to_bytes(2) + bytes(2) + s15_16(*parameters)


def srgb_curve_tag() -> bytes:
    parameters = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para" + bytes(4) + (3).to_bytes(2) + bytes(2) + s15_16(*parameters)


def table_tag(curve: Curve, entries: int = 4096) -> bytes:
    table = u16(curve(np.linspace(0, 1, entries)))
    return b"curv" + bytes(4) + entries.to_bytes(4) + table


def cicp_tag(primaries: int, transfer: int) -> bytes:
    return b"cicp" + bytes(4) + bytes([primaries, transfer, 0, 1])


def text_tag(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return (
        b"mluc"
        + bytes(4)
        + (1).to_bytes(4)
        + (12).to_bytes(4)
        + b"enUS"
        + len(encoded).to_bytes(4)
        + (28).to_bytes(4)
        + encoded
    )


def build_profile(
    space: bytes,
    tags: dict[bytes, bytes],
    pcs: bytes = b"XYZ ",
    device: bytes = b"mntr",
    version: int = 4,
) -> bytes:
    """Build a profile from its tags; `space` is RGB, GRAY or CMYK."""
    tags = {b"wtpt": xyz_tag(D50), **tags}
    directory, data = len(tags).to_bytes(4), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        directory += name + (start + len(data)).to_bytes(4) + len(value).to_bytes(4)
        data += value + bytes(-len(value) % 4)
    header = bytearray(128)
    header[8] = version
    header[12:24] = device + space.ljust(4) + pcs
    header[36:40] = b"acsp"
    header[68:80] = s15_16(*D50)
    header[:4] = (start + len(data)).to_bytes(4)
    return bytes(header) + directory + data


def matrix_profile(primaries: str, curve: bytes, **tags: bytes) -> bytes:
    """Build an RGB profile of a curve and a matrix; further tags by name."""
    columns = to_xyz_d50(primaries).T
    colorants = {
        name: xyz_tag(column)
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
    }
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return build_profile(
        b"RGB", {**colorants, **curves, **{name.encode(): tag for name, tag in tags.items()}}
    )


def grey_profile(curve: bytes) -> bytes:
    return build_profile(b"GRAY", {b"kTRC": curve})


LMS = np.array([[0.30, 0.622, 0.078], [0.23, 0.692, 0.078], [0.2434, 0.2047, 0.5519]])
"""From linear sRGB to the cone responses of XYB-like colours."""

XYB_SCALE, XYB_OFFSET = np.array([0.05, 1.0, 0.8]), np.array([-0.02, 0.0, -0.4])


def encode_xyb(srgb: NDArray) -> NDArray:
    """Convert sRGB values to opponent colours of cube roots, like those of XYB JPEGs; 0..1."""
    long, medium, short = np.moveaxis(np.cbrt(decode_srgb(srgb) @ LMS.T), -1, 0)
    luma = (long + medium) / 2
    opponent = np.stack([(long - medium) / 2, luma, short - luma], axis=-1)
    return (opponent - XYB_OFFSET) / XYB_SCALE


def decode_xyb(values: NDArray) -> NDArray:
    """Invert `encode_xyb`, with the clipping of `xyb_profile`."""
    roots = _mix_roots(values)
    return encode_srgb(np.maximum(roots, 0) ** 3 @ np.linalg.inv(LMS).T)


def _mix_roots(values: NDArray) -> NDArray:
    red_green, luma, blue = np.moveaxis(values * XYB_SCALE + XYB_OFFSET, -1, 0)
    return np.stack([luma + red_green, luma - red_green, luma + blue], axis=-1)


def xyb_profile() -> bytes:
    """Build a profile of `encode_xyb`: a table of 2 x 2 x 2, cubes, and a matrix."""
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(-1, 3)
    table = u16((_mix_roots(corners.astype(float)) + 0.5) / 2.5)
    cube = b"para" + bytes(4) + (3).to_bytes(2) + bytes(2) + s15_16(3, 2.5, -0.5, 0, 0.2002)
    matrix = to_xyz_d50("sRGB") @ np.linalg.inv(LMS)
    return build_profile(b"RGB", {b"A2B0": _table_tag(table, cube, matrix)})


def matrix_in_table_tag(primaries: str, curve: bytes) -> bytes:
    """Build an A2B tag of a table that changes nothing, a curve and a matrix."""
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(-1, 3)
    return _table_tag(u16(corners), curve, to_xyz_d50(primaries))


def _table_tag(table: bytes, curve: bytes, matrix: NDArray) -> bytes:
    """Build a lutAToBType (10.12): a table of 2 x 2 x 2, a curve, and a matrix to CIE XYZ."""
    identity = b"curv" + bytes(8)
    # An XYZ of 1 is stored as 32768 / 65535.
    numbers = s15_16(*(matrix * 32768 / 65535).ravel(), 0, 0, 0)
    grid = bytes([2] * 3 + [0] * 13) + b"\2\0\0\0" + table
    offsets, data = b"", b""
    for part in (identity * 3, numbers, curve * 3, grid, identity * 3):
        offsets += (32 + len(data)).to_bytes(4)
        data += part
    return b"mAB " + bytes(4) + bytes([3, 3, 0, 0]) + offsets + data


def lut16_tag(channels: int, points: int, convert: Curve) -> bytes:
    """Build a table (lut16Type, 10.10) of CIE XYZ by device colours, which `convert` gives."""
    axes = [np.linspace(0, 1, points)] * channels
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, channels)
    identity = u16(np.array([0.0, 1.0]))
    return (
        b"mft2"
        + bytes(4)
        + bytes([channels, 3, points, 0])
        + s15_16(1, 0, 0, 0, 1, 0, 0, 0, 1)
        + (2).to_bytes(2) * 2
        + identity * channels
        + u16(convert(grid) * 32768 / 65535)
        + identity * 3
    )


def mix_ink(cmyk: NDArray) -> NDArray:
    """Convert ink, 0..1, to CIE XYZ: each ink absorbs one channel of linear BT.2020 light."""
    light = (1 - 0.9 * cmyk[..., :3]) * (1 - 0.95 * cmyk[..., 3:])
    return light @ to_xyz_d50("BT.2020").T


def cmyk_profile() -> bytes:
    """Build a CMYK profile: a table of `mix_ink` at 0, 1/3, 2/3 and 1 of each ink."""
    return build_profile(b"CMYK", {b"A2B0": lut16_tag(4, 4, mix_ink)}, device=b"scnr", version=2)
