"""The photographs that the scikit-image package contains, as sample images."""

from pathlib import Path

from roi_ray.errors import RoiRayError
from roi_ray.io.packages import find_package_folder

_FILES = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "rocket.jpg",
)


def photographs() -> dict[str, Path]:
    """Find natural colour photographs on this machine; nothing is downloaded.

    They lie in the data folder of the installed scikit-image package, which is located but not
    imported. Photographs that the installed version lacks are left out. Width x height: astronaut
    512 x 512, chelsea (a cat) 451 x 300, coffee 600 x 400, hubble_deep_field 1000 x 872,
    motorcycle_left 741 x 500, rocket 640 x 427.

    Returns:
        Paths by name.

    Raises:
        RoiRayError: scikit-image is not installed, or contains none of them.
    """
    folder = find_package_folder("skimage")
    paths = [] if folder is None else [folder / "data" / file for file in _FILES]
    existing = {path.stem: path for path in paths if path.is_file()}
    if not existing:
        raise RoiRayError(
            "the sample photographs are part of scikit-image, which is not installed: "
            "pip install 'roi-ray[demo]'"
        )
    return existing
