"""The public names of roi_ray, and the packages that importing them loads."""

import inspect
import subprocess
import sys

import pytest

import roi_ray
from roi_ray import errors

ERRORS = {
    "AccessError",
    "ClusterError",
    "CodecError",
    "DeviceError",
    "ImageError",
    "ImageReadError",
    "ImageTooLarge",
    "ImageTooSmall",
    "ManifestError",
    "NonFiniteScore",
    "NotAllowed",
    "OutOfMemory",
    "OutputError",
    "RoiRayError",
    "ServiceError",
    "ServiceUnavailable",
    "SizeMismatch",
    "StorageError",
    "StorageUnavailable",
    "TargetMissed",
    "UnsupportedColour",
    "UnusableMask",
    "UsageError",
    "WeightsError",
    "WorkerDied",
}
NAMES = {
    "HighBitDepthImage",
    "Options",
    "Scorer",
    "Scores",
    "Settings",
    "SweepOptions",
    "__version__",
    "bd_rate",
    "compare",
    "decide",
    "load_image",
    "load_preference_model",
    "make_sweep",
    "metrics",
    "prefer",
    "rank",
    "score",
    "score_manifest",
    "verify_scores",
    "write_report",
    *ERRORS,
}


def test_exported_names_match_the_list() -> None:
    assert set(roi_ray.__all__) == NAMES
    assert len(roi_ray.__all__) == len(NAMES)


def test_every_error_is_exported() -> None:
    classes = inspect.getmembers(errors, inspect.isclass)
    assert {name for name, _ in classes} == ERRORS
    assert all(getattr(roi_ray, name) is error for name, error in classes)
    assert all(issubclass(error, roi_ray.RoiRayError) for _, error in classes)


@pytest.mark.parametrize("name", sorted(NAMES - {"__version__"}))
def test_every_exported_name_resolves_and_has_a_docstring(name) -> None:
    assert inspect.getdoc(getattr(roi_ray, name))


def test_dir_lists_the_exported_names() -> None:
    assert set(dir(roi_ray)) >= NAMES


def test_unknown_attribute_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'roi_ray' has no attribute 'scor'"):
        roi_ray.scor  # noqa: B018


def test_metrics_are_exported() -> None:
    names = {"ms_ssim", "mse", "mse_ycbcr", "psnr", "ssimulacra2", "texture"}
    assert set(roi_ray.metrics.__all__) == names
    assert all(callable(getattr(roi_ray.metrics, name)) for name in roi_ray.metrics.__all__)


HEAVY = ("numpy", "PIL", "pyarrow", "ray", "scipy", "torch", "torchvision")


@pytest.mark.parametrize(
    "statement",
    [
        "import roi_ray",
        "from roi_ray import Settings, UsageError",
        "import roi_ray; dir(roi_ray)",
        "import roi_ray.client",
    ],
)
def test_importing_loads_no_heavy_package(statement) -> None:
    code = f"{statement}\nimport sys\nprint(*set({HEAVY}) & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_scoring_loads_no_ray() -> None:
    code = "import roi_ray, sys; roi_ray.score, roi_ray.Scorer, roi_ray.prefer; "
    code += "import roi_ray.scoring.score; print('ray' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
