import numpy as np
import pytest

from roi_ray.bench.workload import make_groups
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
