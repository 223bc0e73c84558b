"""What is checked before a service starts, and that each problem is one line."""

import pytest

from roi_ray.errors import DeviceError, RoiRayError, UsageError, WeightsError
from roi_ray.service.lifecycle.checks import check_device, check_options
from roi_ray.service.options import ServiceOptions
from roi_ray.settings import Settings
from tests.conftest import write


def test_defaults_pass(caplog) -> None:
    check_options(ServiceOptions())
    assert not caplog.records


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"settings": Settings(saliency="gone.pth")}, RoiRayError, "gone.pth"),
        ({"model": "gone.safetensors"}, RoiRayError, "gone.safetensors"),
        ({"model": "README.md"}, WeightsError, "is not a preference model"),
        ({"allow_prefixes": ("/gone",)}, UsageError, "/gone is not a folder"),
        ({"allow_prefixes": ("ftp://a/b",)}, RoiRayError, "ftp://a/b"),
        ({"device": "cpu", "settings": Settings(precision="fp16")}, DeviceError, "fp16"),
    ],
)
def test_what_cannot_be_used_is_one_line(options, error, text) -> None:
    with pytest.raises(error, match=text) as raised:
        check_options(ServiceOptions(**options))
    assert "\n" not in str(raised.value)


def test_altered_weights_are_refused(tmp_path) -> None:
    path = write(tmp_path / "saliency.pth", b"no weights")
    with pytest.raises(WeightsError):
        check_options(ServiceOptions(settings=Settings(saliency=path)))


def test_a_model_of_other_measurements_is_a_warning(caplog) -> None:
    check_options(ServiceOptions(settings=Settings(roi_weighting="normalised")))
    assert "/v1/compare cannot be used" in caplog.text


@pytest.mark.parametrize(
    ("options", "gpus"),
    [
        ({"device": "auto"}, 0),
        ({"device": "cpu", "replicas": 9}, 0),
        ({"device": "cuda", "replicas": 4, "gpus_per_replica": 0.5}, 2),
        ({"device": "auto", "replicas": 3, "gpus_per_replica": 1 / 3}, 1),
    ],
)
def test_devices_that_suffice(options, gpus) -> None:
    check_device(ServiceOptions(**options), gpus)


@pytest.mark.parametrize(
    ("options", "gpus", "text"),
    [
        ({"device": "cuda"}, 0, "Ray sees no GPU"),
        ({"device": "cuda", "replicas": 2}, 1, "2 replicas of 1 GPUs do not fit on 1 GPUs"),
        ({"max_replicas": 3, "gpus_per_replica": 0.7}, 2, "3 replicas of 0.7 GPUs"),
        ({"settings": Settings(precision="fp16")}, 0, "fp16"),
    ],
)
def test_devices_that_do_not_suffice(options, gpus, text) -> None:
    with pytest.raises(DeviceError, match=text):
        check_device(ServiceOptions(**options), gpus)
