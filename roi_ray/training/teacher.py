"""The teacher: a large salient-object network in an ONNX file, run by ONNX Runtime on the CPU."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roi_ray.errors import WeightsError
from roi_ray.imaging.pixels import Pixels8
from roi_ray.io import storage
from roi_ray.training.recipes import ISNET_SHA256

_SIDE = 1024


class Teacher:
    """IS-Net (Qin et al., ECCV 2022), or a network with the same inputs and outputs.

    The network maps (RGB - 128) / 256, float32 (1, 3, 1024, 1024), to saliency in [0, 1] of the
    same size. Images are resized to that square and maps back, both bilinearly.

    Args:
        uri: path or `s3://` URI of the ONNX file.
        sha256: expected SHA-256 of the file, in hex.

    Raises:
        WeightsError: ONNX Runtime is not installed, the file has another SHA-256, or the network
            has other inputs or outputs.
        StorageError: the file cannot be read.
    """

    def __init__(self, uri: str, sha256: str = ISNET_SHA256) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise WeightsError(
                "a teacher needs ONNX Runtime: pip install 'roi-ray[train]'"
            ) from error
        data = storage.read_bytes(uri)
        if (actual := hashlib.sha256(data).hexdigest()) != sha256:
            raise WeightsError(f"{uri} is not the teacher: its SHA-256 is {actual}, not {sha256}")
        square = np.zeros((1, 3, _SIDE, _SIDE), np.float32)
        try:
            self._session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
            shape = self._run(square).shape
        except Exception as error:  # ONNX Runtime has no public type for its errors.
            raise WeightsError(f"{uri} cannot be run: {error}") from error
        if shape != (1, 1, _SIDE, _SIDE):
            raise WeightsError(f"{uri} returns {shape}, not a map of {_SIDE} x {_SIDE}")

    def __call__(self, image: Pixels8) -> Pixels8:
        """Return the saliency map of an image.

        Args:
            image: uint8, (H, W, 3).

        Returns:
            uint8, (H, W); 255 where people look at an object.
        """
        height, width = image.shape[:2]
        square = Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
        x = (np.asarray(square, np.float32) - 128) / 256
        y = self._run(x.transpose(2, 0, 1)[None])[0, 0].astype(np.float32)
        mask = Image.fromarray((y.clip(0, 1) * 255).astype(np.uint8))
        return np.asarray(mask.resize((width, height), Image.Resampling.BILINEAR))

    def _run(self, x: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        (y, *_) = self._session.run(None, {self._session.get_inputs()[0].name: x})
        return np.asarray(y)
