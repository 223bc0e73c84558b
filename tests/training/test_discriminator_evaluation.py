import numpy as np
import pytest

from roi_ray.imaging.decode import decode_image
from roi_ray.io.manifest import read_manifest
from roi_ray.models.discriminator import load_discriminator
from roi_ray.sweep import photographs
from roi_ray.sweep.builtin.pillow import WEBP_MAX_SIDE
from roi_ray.training import discriminator_evaluation
from roi_ray.training.windows import read_originals
from tests.conftest import write_sweep


def test_auc_counts_ties_as_half():
    assert discriminator_evaluation.compute_auc([2, 3], [0, 1]) == 1
    assert discriminator_evaluation.compute_auc([0, 1], [2, 3]) == 0
    assert discriminator_evaluation.compute_auc([1, 1], [1]) == 0.5
    assert discriminator_evaluation.compute_auc([0, 2], [1, 0]) == pytest.approx(2.5 / 4)


def test_auc_is_grouped_by_codec_and_bit_rate(tmp_path):
    crop = decode_image(photographs()["coffee"].read_bytes())[:200, :200]
    write_sweep({"a": crop, "b": crop[:150]}, tmp_path, {"webp": [5, 90], "jpeg": [5]})
    network, _ = load_discriminator()
    auc = discriminator_evaluation.measure_auc(
        network, read_originals(read_manifest(str(tmp_path / "manifest.parquet")))
    )
    assert list(auc) == ["all", "jpeg", "webp"]
    for groups in auc.values():
        assert next(iter(groups)) == "all"
        assert all(name.endswith("bpp") for name in list(groups)[1:])
        assert all(0 <= value <= 1 for value in groups.values())
    everything, jpeg, webp = (groups["all"] for groups in auc.values())
    assert everything == pytest.approx((jpeg + 2 * webp) / 3)
    table = discriminator_evaluation.to_auc_table(auc)
    assert [column.header for column in table.columns] == ["AUC", *auc["all"]]
    assert table.row_count == 3


def test_d_loss_by_quality_is_the_mean_over_images():
    network, _ = load_discriminator()
    crops = [
        decode_image(photographs()[name].read_bytes())[:100, :120] for name in ("coffee", "rocket")
    ]
    original, curves = discriminator_evaluation.measure_d_loss_by_quality(
        network, crops, {"jpeg": [90, 10], "webp": [5], "avif-depth=10": [30]}
    )
    assert original == pytest.approx(
        sum(discriminator_evaluation.compute_d_loss(network, crop) for crop in crops) / 2
    )
    assert [point.quality for point in curves["jpeg"]] == [90, 10]
    assert list(curves) == ["jpeg", "webp", "avif-depth=10"]
    assert curves["jpeg"][0].bpp > curves["jpeg"][1].bpp > 0
    assert decode_image(discriminator_evaluation.draw_d_loss_curves(original, curves)).std() > 10


def test_image_smaller_than_a_patch_has_a_d_loss():
    network, _ = load_discriminator()
    crop = decode_image(photographs()["coffee"].read_bytes())[:12, :30]
    assert 0 < discriminator_evaluation.compute_d_loss(network, crop) < 5


def test_image_wider_than_webp_allows_is_cropped():
    network, _ = load_discriminator()
    photo = decode_image(photographs()["coffee"].read_bytes())[:40]
    wide = np.tile(photo, (1, 28, 1))
    assert wide.shape[1] > WEBP_MAX_SIDE
    _, curves = discriminator_evaluation.measure_d_loss_by_quality(network, [wide], {"webp": [5]})
    assert curves["webp"][0].bpp > 0
