import numpy as np
import pyarrow.parquet as pq
import pytest

from roi_ray.bench.workload import make_groups, write_manifest
from roi_ray.errors import ImageReadError, UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.sweep import photographs


def test_groups_have_the_requested_size_and_are_ordered_by_quality(tmp_path) -> None:
    photos = list(photographs().values())[:2]
    groups = make_groups(photos, tmp_path, (600, 700), 3, 4)
    pixels = [decode_image(group.reference.read_bytes()) for group in groups]
    assert [image.shape for image in pixels] == [(600, 700, 3)] * 3
    assert not np.array_equal(pixels[0], pixels[2])  # the first photograph again, shifted
    errors = []
    for path in groups[1].distorted:
        decoded = decode_image(path.read_bytes())
        errors.append(np.square(decoded.astype(float) - pixels[1]).mean())
    assert errors == sorted(errors, reverse=True)
    assert len(errors) == 4


def test_missing_photographs_are_a_usage_error(tmp_path) -> None:
    with pytest.raises(UsageError, match="no photographs"):
        make_groups([], tmp_path, (64, 64), 1, 1)


def test_error_names_the_unreadable_photograph(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(ImageReadError, match=r"notes\.txt"):
        make_groups([tmp_path / "notes.txt"], tmp_path / "out", (64, 64), 1, 1)


def test_photographs_are_enlarged_to_large_sizes_instead_of_repeated(tmp_path) -> None:
    photo = photographs()["chelsea"]  # 451 x 300
    (group,) = make_groups([photo], tmp_path, (750, 1000), 1, 1)
    enlarged = decode_image(group.reference.read_bytes()).astype(int)
    assert enlarged.shape == (750, 1000, 3)
    photograph = decode_image(photo.read_bytes()).astype(int)
    middle = enlarged[1::5, 1::5] - photograph[0::2, 0::2][: 750 // 5, : 1000 // 5]
    assert np.abs(middle).mean() < 8  # the same picture, 2.5 times as large


def test_manifest_has_a_row_per_pair(tmp_path) -> None:
    groups = make_groups(list(photographs().values())[:1], tmp_path, (64, 80), 2, 3)
    write_manifest(groups, tmp_path / "manifest.parquet")
    rows = pq.read_table(tmp_path / "manifest.parquet").to_pylist()
    assert [row["reference"] for row in rows] == [str(g.reference) for g in groups for _ in "012"]
    assert [row["distorted"] for row in rows] == [str(y) for g in groups for y in g.distorted]
