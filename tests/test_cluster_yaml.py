"""cluster.yaml, checked against Ray's schema and EC2's request parameters."""

import copy
import re
from pathlib import Path

import boto3
import pytest
import ray
import yaml
from botocore.exceptions import ParamValidationError
from botocore.validate import ParamValidator
from ray.autoscaler._private.util import prepare_config, validate_config

from roi_ray.runtime.cluster import plan_workers

PATH = Path(__file__).parents[1] / "cluster.yaml"


@pytest.fixture
def cluster() -> dict:
    return yaml.safe_load(PATH.read_text())


def check_instance(node_config: dict) -> None:
    """Raise ParamValidationError if EC2 would reject a node's parameters; send no request."""
    ec2 = boto3.Session().client("ec2", region_name="us-west-2", aws_access_key_id="", aws_secret_access_key="")  # fmt: skip  # noqa: E501
    shape = ec2.meta.service_model.operation_model("RunInstances").input_shape
    report = ParamValidator().validate({**node_config, "MinCount": 1, "MaxCount": 1}, shape)
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())


def test_ray_accepts_the_file_and_rejects_misspelled_keys(cluster) -> None:
    prepared = prepare_config(copy.deepcopy(cluster))
    validate_config(prepared)
    assert prepared["docker"]["image"]
    for typo in ("max_wokers", "head_setup_command"):
        with pytest.raises(Exception, match=typo):
            validate_config({**prepared, typo: 1})


def test_ec2_accepts_every_node_type_and_rejects_misspelled_keys(cluster) -> None:
    for node_type in cluster["available_node_types"].values():
        check_instance(node_type["node_config"])
        with pytest.raises(ParamValidationError, match="InstanceTyp"):
            check_instance({**node_type["node_config"], "InstanceTyp": "m7i.large"})


def test_head_does_no_work_and_workers_are_spot_nodes_that_start_from_zero(cluster) -> None:
    types = cluster["available_node_types"]
    head = types.pop(cluster["head_node_type"])
    assert head["resources"] == {"CPU": 0}
    assert "--num-cpus=0" in cluster["head_start_ray_commands"][1]
    for node_type in types.values():
        assert node_type["min_workers"] == 0
        assert 0 < node_type["max_workers"] <= cluster["max_workers"]
        assert node_type["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"


def test_each_stage_fits_on_its_node_type(cluster, monkeypatch) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {})
    types = cluster["available_node_types"]
    names = {"num_cpus": "CPU", "num_gpus": "GPU"}
    workers = plan_workers("cuda", 4)
    for stage, needs in (("decode", workers.decode_resources), ("score", workers.actor_resources)):
        resources = types[stage]["resources"]
        assert all(resources.get(names[name], 0) >= amount for name, amount in needs.items())


def test_images_have_the_ray_of_pyproject(cluster) -> None:
    images = [cluster["docker"]["image"], cluster["available_node_types"]["score"]["docker"]["worker_image"]]  # fmt: skip  # noqa: E501
    pyproject = (PATH.parent / "pyproject.toml").read_text()
    (minor,) = set(re.findall(r'"ray\[.*\]~=(\d+\.\d+)\.0"', pyproject))
    for image in images:
        assert image.split(":")[1].startswith(f"{minor}.")


def test_file_contains_no_credentials() -> None:
    text = PATH.read_text()
    assert not re.search(r"AKIA|aws_secret|aws_access|SecretAccessKey", text, re.IGNORECASE)
