import pytest

from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons import Comparisons
from roi_ray.preference.distributed import train_model
from tests.preference.synthetic import comparisons


def test_what_cannot_be_learned_from_is_said_before_ray_starts(tmp_path):
    table = comparisons().drop_columns(["psnr_a"])
    few = Comparisons(table, "synthetic", "/", "0" * 64)
    with pytest.raises(ManifestError, match="synthetic have no column 'psnr_a'"):
        train_model(few, ("psnr",), "paper", runs=str(tmp_path))
