"""The application for `serve deploy`: its arguments, and the configurations of the README."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from roi_ray.errors import UsageError
from roi_ray.service.deploy import read_options
from roi_ray.service.options import Limits, ServiceOptions
from roi_ray.settings import Settings
from roi_ray.web.keys import hash_key
from tests.conftest import write

ROOM = Path(__file__).parents[2] / "roi_ray"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read_yaml(readme: Path) -> list[dict[str, Any]]:
    """Return the YAML documents in a README's code blocks."""
    return [yaml.safe_load(text) for text in BLOCK.findall(readme.read_text())]


def serve_config() -> dict[str, Any]:
    """Return the configuration for `serve deploy`."""
    return read_yaml(ROOM / "service/README.md")[0]


def ray_service() -> dict[str, Any]:
    """Return the configuration for KubeRay."""
    return read_yaml(ROOM / "service/README.md")[1]


def test_no_arguments_are_the_defaults_of_the_command() -> None:
    assert read_options({}) == ServiceOptions()


def test_every_kind_of_argument(tmp_path) -> None:
    keys = write(tmp_path / "keys", hash_key("b").encode())
    options = read_options(
        {
            "settings": {"lpips": "st-alex", "metrics": ["ssimulacra2"]},
            "replicas": 2,
            "max_replicas": None,
            "gpus_per_replica": 1,
            "allow_prefixes": ["s3://bucket/a", "/b"],
            "api_keys": [hash_key("a").upper()],
            "api_keys_file": keys,
            "reference_bytes": "2GiB",
            "limits": {"max_body_bytes": "64MiB", "max_images": 8, "timeout_seconds": 30},
        }
    )
    assert options == ServiceOptions(
        settings=Settings(lpips="st-alex", metrics=("ssimulacra2",)),
        replicas=2,
        allow_prefixes=("s3://bucket/a", "/b"),
        api_keys=(hash_key("a"), hash_key("b")),
        reference_bytes=2 << 30,
        limits=Limits(max_body_bytes=64 << 20, max_images=8, timeout_seconds=30),
    )


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({"replica": 2}, "replica is no option of the service; did you mean replicas?"),
        ({"limits": {"max_bodybytes": 1}}, "limits.max_bodybytes .* did you mean max_body_bytes?"),
        ({"colour": 1}, "colour is no option of the service; there are settings, model, "),
        ({"limits": 4}, "limits must have fields"),
        ({"replicas": "2"}, "replicas is '2': input should be a valid integer"),
        ({"replicas": 0}, "replicas is 0; it must be a finite number above 0"),
        ({"limits": {"timeout_seconds": float("nan")}}, "timeout_seconds is nan; it must be"),
        ({"limits": {"timeout_seconds": float("inf")}}, "timeout_seconds is inf; it must be"),
        ({"gpus_per_replica": float("nan")}, "gpus_per_replica is nan; it must be"),
        ({"device": "tpu"}, "device is 'tpu'; give auto, cpu or cuda"),
        ({"gpus_per_replica": 2}, "gpus_per_replica is 2.0; it must be at most 1"),
        ({"settings": {"lpips": "x"}}, "settings.lpips is 'x': input should be 'alex'"),
        ({"settings": {"metrics": ["x"]}}, "no optional metric is called 'x'"),
        ({"allow_prefixes": "/a"}, "allow_prefixes is '/a': input should be a valid tuple"),
        ({"limits": {"max_body_bytes": "3Q"}}, "'3Q' is not a size"),
        ({"limits": {"max_images": 0}}, "max_images is 0"),
        ({"api_keys_file": "/gone"}, "/gone: No such file"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(args, text) -> None:
    with pytest.raises(UsageError, match=text):
        read_options(args)


@pytest.mark.parametrize("keys", ["my-secret-key", ["my-secret-key"], [["my-secret-key"]]])
def test_a_key_instead_of_its_hash_is_not_shown(keys) -> None:
    with pytest.raises(UsageError, match="api_keys") as error:
        read_options({"api_keys": keys})
    assert "my-secret-key" not in str(error.value)


@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")
def test_ray_serve_accepts_the_configurations_and_the_service_their_arguments(
    monkeypatch,
) -> None:
    from ray.serve.schema import ServeDeploySchema

    from roi_ray.service import deploy

    monkeypatch.setattr(deploy, "read_key_file", lambda _: ())
    for config in (serve_config(), yaml.safe_load(ray_service()["spec"]["serveConfigV2"])):
        schema = ServeDeploySchema.model_validate(config)
        (application,) = schema.applications
        module, _, name = application.import_path.partition(":")
        assert (module, getattr(deploy, name)) == (deploy.__name__, deploy.app)
        assert read_options(application.args).device == "cuda"
        with pytest.raises(ValueError, match="import_pat"):
            ServeDeploySchema.model_validate(
                {"applications": [{"name": "roi-ray", "import_pat": "a:b"}]}
            )


def test_ray_service_has_the_structure_of_the_ray_job_and_the_ray_of_pyproject() -> None:
    service = ray_service()
    (job,) = [each for each in read_yaml(ROOM / "pipeline/README.md") if each["kind"] == "RayJob"]
    assert service["apiVersion"] == job["apiVersion"]
    cluster, of_job = service["spec"]["rayClusterConfig"], job["spec"]["rayClusterSpec"]
    assert cluster.keys() == of_job.keys()
    assert cluster["rayVersion"] == of_job["rayVersion"]
    assert cluster["headGroupSpec"].keys() == of_job["headGroupSpec"].keys()
    (group,) = cluster["workerGroupSpecs"]
    assert group.keys() == of_job["workerGroupSpecs"][0].keys()
    pyproject = (ROOM.parent / "pyproject.toml").read_text()
    (minor,) = re.findall(r'"ray\[data.*\]~=(\d+\.\d+)\.0"', pyproject)
    assert cluster["rayVersion"].startswith(f"{minor}.")


def test_ray_service_mounts_the_keys_and_keeps_the_old_cluster_for_its_requests() -> None:
    spec = ray_service()["spec"]
    (application,) = yaml.safe_load(spec["serveConfigV2"])["applications"]
    args = application["args"]
    assert spec["rayClusterDeletionDelaySeconds"] > args["limits"]["timeout_seconds"] + 5
    cluster = spec["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (volume,) = pod["volumes"]
        (container,) = pod["containers"]
        (mount,) = container["volumeMounts"]
        assert mount["name"] == volume["name"]
        assert args["api_keys_file"].startswith(f"{mount['mountPath']}/")
    assert (
        "nvidia.com/gpu"
        in cluster["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["resources"][
            "limits"
        ]
    )
