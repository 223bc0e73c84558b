"""Data sets on S3 are read as those on a disk are."""

import numpy as np
import pytest

from roi_ray.datasets.importers import import_choices
from roi_ray.io import storage
from roi_ray.preference.comparisons import read_comparisons
from tests.conftest import encode
from tests.e2e.conftest import BUCKET

pytestmark = pytest.mark.e2e


@pytest.fixture
def bucket(s3, monkeypatch):
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    storage._s3_client.cache_clear()
    yield f"s3://{BUCKET}/choices"
    storage._s3_client.cache_clear()


def test_headers_and_listings(bucket) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    for name in ("originals/1.png", "jpegli-q80-yuv420/1.jpg", "mozjpeg-q80-yuv420/1.jpg"):
        storage.write_bytes(f"{bucket}/mucped23/{name}", encode(pixels, "JPEG"))
    answers = (
        b"methodA,methodB,originalName,answerValue\njpegli-q80-yuv420,mozjpeg-q80-yuv420,1,B\n"
    )
    storage.write_bytes(f"{bucket}/mucped23/answers.csv", answers)
    output = f"{bucket}/mucped23.parquet"
    import_choices("mucped23", f"{bucket}/mucped23/", output)
    (row,) = read_comparisons(output).table.to_pylist()
    assert row["a"] == f"{bucket}/mucped23/jpegli-q80-yuv420/1.jpg"
    assert row["p_a"] == 1.0 and row["bpp_a"] == row["bpp_b"] > 0


def test_folders_in_folders(bucket) -> None:
    for name in ("o", "x", "y"):
        storage.write_bytes(f"{bucket}/clic/crops/0/{name}.png", b"")
    storage.write_bytes(f"{bucket}/clic/oracle.csv", b"o.png,x.png,y.png,0\n")
    output = f"{bucket}/clic.parquet"
    assert import_choices("clic", f"{bucket}/clic", output).rows == 1
    (row,) = read_comparisons(output).table.to_pylist()
    assert row["a"] == f"{bucket}/clic/crops/0/x.png"
