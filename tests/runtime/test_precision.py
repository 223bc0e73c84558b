import json

import pytest
import torch

from roi_ray.errors import DeviceError
from roi_ray.runtime.precision import (
    DTYPES,
    check_precision,
    fastest_precision,
    measure_slowdown,
)
from tests.conftest import needs_cuda, needs_x86, run_on_avx2

CPU = torch.device("cpu")

needs_amx_bf16 = pytest.mark.skipif(
    not getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16", False),
    reason="needs a CPU that multiplies matrices of bf16",
)

MEASURE = """
import json
import torch
from roi_ray.errors import DeviceError
from roi_ray.runtime.precision import check_precision, measure_slowdown

found = {}
for precision in ("fp32", "bf16", "fp16"):
    try:
        check_precision(precision, torch.device("cpu"))
        error = None
    except DeviceError as refusal:
        error = str(refusal)
    found[precision] = (measure_slowdown(precision), error)
print(json.dumps(found))
"""


@needs_x86
def test_bf16_and_fp16_are_refused_on_a_cpu_without_their_instructions() -> None:
    run = run_on_avx2("-c", MEASURE)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found.pop("fp32")[1] is None
    for precision, (slowdown, error) in found.items():
        assert f"precision {precision} takes about {slowdown:.1f} times as long as fp32" in error
        assert "use fp32, or auto" in error and "allow_slow_precision=True" in error


@needs_amx_bf16
def test_bf16_is_accepted_on_a_cpu_that_multiplies_matrices_of_bf16() -> None:
    check_precision("bf16", CPU)


@pytest.mark.parametrize("precision", DTYPES)
def test_measuring_keeps_the_number_of_threads(precision) -> None:
    threads = torch.get_num_threads()
    measure_slowdown.cache_clear()
    assert measure_slowdown(precision) > 0
    assert torch.get_num_threads() == threads


def test_auto_is_fp32_on_a_cpu_and_never_refused() -> None:
    assert fastest_precision(CPU) == "fp32"
    check_precision("fp32", CPU)


def test_auto_for_gpus_of_a_cluster_is_known_without_a_gpu_here() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert fastest_precision(torch.device("cuda")) == "fp16"


@needs_cuda
@pytest.mark.parametrize(("precision", "needed"), [("fp16", (7, 0)), ("bf16", (8, 0))])
def test_gpu_is_refused_below_the_capability_that_a_precision_needs(precision, needed) -> None:
    gpu = torch.device("cuda")
    if torch.cuda.get_device_capability(gpu) >= needed:
        check_precision(precision, gpu)
        assert fastest_precision(gpu) == "fp16"
    else:
        with pytest.raises(DeviceError, match=f"precision {precision} has no fast instructions on"):
            check_precision(precision, gpu)
