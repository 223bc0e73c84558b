"""`roi_ray.score`: one call per pair, with every kind of image input."""

import io

import numpy as np
import pytest
from PIL import Image

import roi_ray
from roi_ray.errors import (
    DeviceError,
    ImageReadError,
    ImageTooLarge,
    ImageTooSmall,
    SizeMismatch,
    UnusableMask,
    UsageError,
    WeightsError,
)
from roi_ray.scoring import score as module
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from tests.conftest import encode, write


@pytest.fixture
def pair(photos):
    x = np.ascontiguousarray(photos["chelsea"][:120, :160])
    return x, encode(x, "JPEG", quality=30)


@pytest.fixture
def expected(pair):
    x, jpeg = pair
    scorer = Scorer()
    return scorer.score(scorer.prepare(x), [roi_ray.load_image(jpeg)])[0]


def as_path(path, data):
    write(path, data)
    return path


KINDS = {
    "path": as_path,
    "string": write,
    "URI": lambda path, data: f"file://{write(path, data)}",
    "bytes": lambda _, data: data,
    "array": lambda _, data: roi_ray.load_image(data),
    "Pillow": lambda _, data: Image.open(io.BytesIO(data)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input_equals_the_scorer(tmp_path, pair, expected, kind) -> None:
    x, jpeg = pair
    reference = KINDS[kind](tmp_path / "x.png", encode(x))
    distorted = KINDS[kind](tmp_path / "y.jpg", jpeg)
    assert roi_ray.score(reference, distorted, device="cpu") == expected


@pytest.mark.parametrize("kind", [list, tuple])
def test_several_images_return_a_list(pair, expected, kind) -> None:
    x, jpeg = pair
    scores = roi_ray.score(x, kind([x, jpeg, Image.open(io.BytesIO(jpeg))]), device="cpu")
    assert [each.psnr == 100 for each in scores] == [True, False, False]
    assert scores[1] == scores[2]
    # The last digits depend on the number of images in a batch.
    assert scores[1].to_dict() == pytest.approx(expected.to_dict(), rel=1e-6)
    assert roi_ray.score(x, kind()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_mask_replaces_the_saliency_network(tmp_path, pair, kind) -> None:
    x, jpeg = pair
    mask = np.zeros(x.shape[:2], np.uint8)
    mask[20:70, 30:90] = 255
    scorer = Scorer()
    (expected,) = scorer.score(scorer.prepare(x, mask), [roi_ray.load_image(jpeg)])
    data = encode(mask)
    given = mask if kind == "array" else KINDS[kind](tmp_path / "mask.png", data)
    assert roi_ray.score(x, jpeg, mask=given, device="cpu") == expected
    assert roi_ray.score(x, jpeg, mask=mask > 0, device="cpu") == expected


@pytest.mark.parametrize("kind", KINDS)
def test_mask_of_0_and_1_is_refused(tmp_path, pair, kind) -> None:
    x, jpeg = pair
    mask = np.zeros(x.shape[:2], np.uint8)
    mask[20:70, 30:90] = 1
    given = mask if kind == "array" else KINDS[kind](tmp_path / "mask.png", encode(mask))
    message = "^mask: .*the largest value of the mask is 1, but 255 is inside .* multiply them by"
    with pytest.raises(UnusableMask, match=message):
        roi_ray.score(x, jpeg, mask=given, device="cpu")
    with pytest.raises(UnusableMask, match="multiply them by 255"):
        Scorer().prepare_all([x, x], [mask * 255, mask])


def test_roi_weighting_changes_roi_scores_only(pair, expected) -> None:
    x, jpeg = pair
    settings = Settings(roi_weighting="normalised")
    scores = roi_ray.score(x, jpeg, settings=settings, device="cpu")
    assert scores.psnr == expected.psnr
    assert scores.roi_psnr < expected.roi_psnr


def test_networks_are_loaded_once_per_settings(pair, monkeypatch) -> None:
    loaded = []

    class CountedScorer(Scorer):
        def __init__(self, settings, device, **options) -> None:
            loaded.append(settings)
            super().__init__(settings, device, **options)

    module.load_scorer.cache_clear()
    monkeypatch.setattr(module, "Scorer", CountedScorer)
    x, jpeg = pair
    for settings in (None, Settings(), Settings(roi_weighting="normalised"), None):
        roi_ray.score(x, jpeg, settings=settings, device="cpu")
    assert loaded == [Settings(), Settings(roi_weighting="normalised")]
    module.load_scorer.cache_clear()


@pytest.mark.parametrize(
    ("distorted", "error", "message"),
    [
        ("missing.png", ImageReadError, r"distorted image 2: cannot read missing\.png: No such"),
        (b"", ImageReadError, "distorted image 2: the file is empty"),
        (b"no image", ImageReadError, "distorted image 2: not an image of a known format"),
        (np.zeros((120, 160, 3), np.float32), ImageReadError, "an array of float32"),
        (np.zeros((120, 160), np.uint8), ImageReadError, r"uint8 \(120, 160\), which should be"),
        (Image.new("F", (160, 120)), ImageReadError, "distorted image 2: floating-point"),
        (np.zeros((119, 160, 3), np.uint8), SizeMismatch, "160 x 119, but the reference is 160"),
        (5, UsageError, "an image cannot be read from an object of type int"),
    ],
)
def test_error_names_the_unusable_image(pair, distorted, error, message) -> None:
    x, _ = pair
    with pytest.raises(error, match=message):
        roi_ray.score(x, [x, distorted])


def test_unusable_arguments_are_refused(pair, tmp_path) -> None:
    x, jpeg = pair
    with pytest.raises(UsageError, match="lpips 'resnet' is not known; give one of alex"):
        Settings(lpips="resnet")  # type: ignore[arg-type]
    with pytest.raises(ImageReadError, match="an object of type str, which should be a uint8"):
        Scorer().prepare("original.png")  # type: ignore[arg-type]
    with pytest.raises(ImageReadError, match="reference: cannot read"):
        roi_ray.score(tmp_path / "missing.png", jpeg)
    with pytest.raises(SizeMismatch, match="mask: 160 x 119"):
        roi_ray.score(x, jpeg, mask=np.zeros((119, 160), np.uint8))
    with pytest.raises(ImageTooLarge, match="160 x 120 is 19200 pixels, more than the 15000"):
        roi_ray.score(x, jpeg, max_pixels=15_000)
    with pytest.raises(ImageTooSmall, match="160 x 10"):
        roi_ray.score(x[:10], x[:10])
    with pytest.raises(DeviceError):
        roi_ray.score(x, jpeg, device="tpu")
    with pytest.raises(WeightsError):
        roi_ray.score(x, jpeg, settings=Settings(saliency=str(tmp_path / "missing.pth")))
    with pytest.raises(ImageReadError, match="reference: a URI s3://.* credentials belong in"):
        roi_ray.score("s3://key@bucket/x.png", jpeg)


def test_scores_repr_has_units_and_to_dict_round_trips(expected) -> None:
    text = repr(expected)
    assert text.startswith("Scores(160 x 120, mse=0.0")
    assert f"psnr={expected.psnr:.4g} dB, mse_y=0." in text
    assert "ms_ssim_scales=4, " in text
    values = expected.to_dict()
    assert list(values)[:3] == ["width", "height", "reference_bit_depth"]
    assert roi_ray.Scores(**values) == expected
    values["mse"] = 7
    assert expected.mse < 1
