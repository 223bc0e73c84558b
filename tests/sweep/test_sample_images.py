import importlib.util
from pathlib import Path

import pytest

from roi_ray.errors import RoiRayError
from roi_ray.imaging.decode import decode_image
from roi_ray.sweep import photographs


def test_photographs_are_found_in_scikit_image():
    photos = photographs()
    assert {"astronaut", "chelsea", "coffee"} <= set(photos)
    assert decode_image(photos["astronaut"].read_bytes()).shape == (512, 512, 3)
    assert all(isinstance(path, Path) for path in photos.values())


def test_error_without_scikit_image_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RoiRayError, match=r"pip install 'roi-ray\[demo\]'"):
        photographs()
