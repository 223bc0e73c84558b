import pytest

from roi_ray import images
from roi_ray.models.discriminator import load_discriminator
from roi_ray.sweep import make_sweep, photographs
from roi_ray.training import realism
from roi_ray.training.discriminator import read_originals


def test_auc():
    assert realism.auc([2, 3], [0, 1]) == 1
    assert realism.auc([0, 1], [2, 3]) == 0
    assert realism.auc([1, 1], [1]) == 0.5
    assert realism.auc([0, 2], [1, 0]) == pytest.approx(2.5 / 4)


def test_figures_by_codec_and_bit_rate(tmp_path):
    crop = images.decode(photographs()["coffee"].read_bytes())[:200, :200]
    make_sweep(
        {"a": crop, "b": crop[:150]},
        str(tmp_path),
        codecs=["webp", "jpeg"],
        qualities={"jpeg": [5], "webp": [5, 90]},
    )
    network, _ = load_discriminator()
    figures = realism.tell_apart(network, read_originals(str(tmp_path / "manifest.parquet")))
    assert list(figures)[:3] == ["all", "jpeg", "webp"]
    assert all(name.endswith("bpp") for name in list(figures)[3:])
    assert all(0 <= value <= 1 for value in figures.values())
    assert figures["all"] == pytest.approx((figures["jpeg"] + 2 * figures["webp"]) / 3)


def test_d_loss_by_quality_is_the_mean_over_images():
    network, _ = load_discriminator()
    crops = [
        images.decode(photographs()[name].read_bytes())[:100, :120] for name in ("coffee", "rocket")
    ]
    ladder = realism.d_loss_by_quality(network, crops, [90, 10])
    assert list(ladder) == ["original", "q90", "q10"]
    expected = sum(realism.d_loss(network, crop) for crop in crops) / 2
    assert ladder["original"] == pytest.approx(expected)
