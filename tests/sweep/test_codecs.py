import io

import numpy as np
import pytest
from PIL import Image

from roi_ray.errors import UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.sweep import CODECS, photographs


@pytest.fixture(scope="module")
def photograph():
    return decode_image(photographs()["astronaut"].read_bytes())[64:320, 96:352]


def psnr(a, b):
    return -10 * np.log10(np.mean((a / 255.0 - b / 255.0) ** 2))


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_higher_quality_is_a_larger_file_and_a_better_image(codec, photograph):
    files = [codec.encode(photograph, quality) for quality in codec.qualities]
    decoded = [decode_image(file) for file in files]
    sizes = [len(file) for file in files]
    quality = [psnr(photograph, image) for image in decoded]
    assert sizes == sorted(set(sizes))
    assert quality == sorted(set(quality))
    assert all(image.shape == photograph.shape for image in decoded)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_default_qualities_span_the_usual_bit_rates(codec, photograph):
    bpp = [
        8 * len(codec.encode(photograph, quality)) / photograph[..., 0].size
        for quality in codec.qualities
    ]
    assert len(bpp) == 5
    assert 0.1 < bpp[0] < 0.8
    assert 1.2 < bpp[-1] < 3.2


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_encoding_twice_gives_the_same_file_of_the_right_format(codec, photograph):
    file = codec.encode(photograph, codec.qualities[1])
    assert file == codec.encode(photograph, codec.qualities[1])
    with Image.open(io.BytesIO(file)) as image:
        assert image.format == codec.format
        assert Image.registered_extensions()[codec.suffix] == codec.format


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_qualities_at_the_ends_of_the_scale_work_and_beyond_are_refused(codec, photograph):
    for quality in (codec.lowest, codec.highest):
        assert decode_image(codec.encode(photograph, quality)).shape == photograph.shape
    for quality in (codec.lowest - 1, codec.highest + 1):
        with pytest.raises(UsageError, match=f"{codec.name} has no quality {quality}"):
            codec.encode(photograph, quality)


def test_jpeg2000_quality_is_the_psnr_in_db(photograph):
    codec = CODECS["jpeg2000"]
    for quality in codec.qualities:
        decoded = decode_image(codec.encode(photograph, quality))
        assert psnr(photograph, decoded) == pytest.approx(quality, abs=3)


def test_image_too_large_for_webp_is_refused(photograph):
    wide = np.tile(photograph[:4], (1, 65, 1))
    with pytest.raises(UsageError, match=r"webp cannot encode 16640 x 4: .*16383"):
        CODECS["webp"].encode(wide, 50)
