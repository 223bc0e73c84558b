import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roi_ray.errors import WeightsError
from roi_ray.training.teacher import Teacher


def write_red_teacher(path, kernel=1):
    """Write an ONNX network that marks red pixels as salient; return its path and SHA-256."""
    kernels = np.zeros((1, 3, kernel, kernel), np.float32)
    kernels[0, :, 0, 0] = [40, -40, -40]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["c"]),
            helper.make_node("Sigmoid", ["c"], ["y"]),
        ],
        "red",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 1024, 1024])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, "rows", "columns"])],
        [
            numpy_helper.from_array(kernels, "w"),
            numpy_helper.from_array(np.array([-40], np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    path.write_bytes(data)
    return str(path), hashlib.sha256(data).hexdigest()


def test_map_has_the_size_of_the_image_and_shows_the_red_rectangle(tmp_path):
    image = np.zeros((60, 90, 3), np.uint8)
    image[20:40, 30:60, 0] = 255
    mask = Teacher(*write_red_teacher(tmp_path / "red.onnx"))(image)
    assert mask.dtype == np.uint8
    assert mask.shape == (60, 90)
    assert mask[22:38, 32:58].min() > 250
    mask = mask.copy()
    mask[18:42, 28:62] = 0
    assert mask.max() < 5


def test_file_with_another_sha256_or_that_is_not_onnx_is_a_weights_error(tmp_path):
    path, sha256 = write_red_teacher(tmp_path / "red.onnx")
    with pytest.raises(WeightsError, match=f"its SHA-256 is {sha256}, not b6e8497b"):
        Teacher(path)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(WeightsError, match=r"broken\.onnx cannot be run"):
        Teacher(str(broken), hashlib.sha256(b"no network").hexdigest())


def test_network_with_another_output_size_is_a_weights_error(tmp_path):
    with pytest.raises(
        WeightsError, match=r"returns \(1, 1, 1022, 1022\), not a map of 1024 x 1024"
    ):
        Teacher(*write_red_teacher(tmp_path / "red.onnx", kernel=3))
