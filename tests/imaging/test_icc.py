import numpy as np
import pytest
from PIL import Image

from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.icc import read_jpeg2000_profile
from tests.imaging.test_decode import linear_profile, saved


def replace_colour_box(jp2: bytes, box: bytes) -> bytes:
    """Replace the colour box of a JP2 file."""
    start = jp2.index(b"colr") - 4
    old = int.from_bytes(jp2[start : start + 4])
    new = (8 + len(box)).to_bytes(4) + b"colr" + box
    header = jp2.index(b"jp2h") - 4
    size = int.from_bytes(jp2[header : header + 4]) - old + len(new)
    return jp2[:header] + size.to_bytes(4) + jp2[header + 4 : start] + new + jp2[start + old :]


@pytest.fixture
def grey() -> bytes:
    return saved(Image.new("RGB", (32, 32), (128, 128, 128)), "JPEG2000")


def test_jpeg2000_profile_is_applied(grey) -> None:
    profile = linear_profile("Linear Rec709")
    assert read_jpeg2000_profile(grey) is None
    assert (decode_image(grey) == 128).all()
    data = replace_colour_box(grey, b"\2\0\0" + profile)
    assert read_jpeg2000_profile(data) == profile
    # 255 (1.055 (128 / 255)^(1 / 2.4) - 0.055).
    assert np.abs(decode_image(data).astype(int) - 188).max() <= 1


@pytest.mark.parametrize("kept", [0, 4, 20, 30, 50, 60, 90])
def test_truncated_jpeg2000_boxes_have_no_profile(grey, kept) -> None:
    data = replace_colour_box(grey, b"\2\0\0" + linear_profile("Linear Rec709"))
    assert read_jpeg2000_profile(data[:kept]) is None or kept > data.index(b"colr")
    assert read_jpeg2000_profile(data[:8] + bytes(8) + data[16:]) is None
