"""Data sets of human choices on S3."""

import numpy as np
import pytest

from roi_ray.datasets.importers import import_choices
from roi_ray.io import storage
from roi_ray.preference.comparisons.table import read_comparisons
from tests.conftest import encode
from tests.s3_server import BUCKET

pytestmark = pytest.mark.e2e

FOLDER = f"s3://{BUCKET}/choices"


def test_image_headers_and_listings_are_read_from_s3(s3_in_this_process) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    for name in ("originals/1.png", "jpegli-q80-yuv420/1.jpg", "mozjpeg-q80-yuv420/1.jpg"):
        storage.write_bytes(f"{FOLDER}/mucped23/{name}", encode(pixels, "JPEG"))
    answers = (
        b"methodA,methodB,originalName,answerValue\njpegli-q80-yuv420,mozjpeg-q80-yuv420,1,B\n"
    )
    storage.write_bytes(f"{FOLDER}/mucped23/answers.csv", answers)
    output = f"{FOLDER}/mucped23.parquet"
    import_choices("mucped23", f"{FOLDER}/mucped23/", output)
    (row,) = read_comparisons(output).table.to_pylist()
    assert row["a"] == f"{FOLDER}/mucped23/jpegli-q80-yuv420/1.jpg"
    assert row["p_a"] == 1.0 and row["bpp_a"] == row["bpp_b"] > 0


def test_nested_folders_are_found_on_s3(s3_in_this_process) -> None:
    for name in ("o", "x", "y"):
        storage.write_bytes(f"{FOLDER}/clic/crops/0/{name}.png", b"")
    storage.write_bytes(f"{FOLDER}/clic/oracle.csv", b"o.png,x.png,y.png,0\n")
    output = f"{FOLDER}/clic.parquet"
    assert import_choices("clic", f"{FOLDER}/clic", output).rows == 1
    (row,) = read_comparisons(output).table.to_pylist()
    assert row["a"] == f"{FOLDER}/clic/crops/0/x.png"
