"""KADID-10k: 81 images, 25 kinds of distortion at 5 levels, mean opinion scores.

Lin, Hosu and Saupe: KADID-10k: A Large-scale Artificially Distorted IQA Database, QoMEX 2019.

    dmos.csv          header dist_img,ref_img,dmos,var
    images/           I01.png, ... and I01_KIND_LEVEL.png: I01_01_05.png

Label direction: despite its name, `dmos` is HIGHER for better images: 1 (very annoying) to 5
(imperceptible). Checked against the distortion level; level 5 is the strongest. Kinds 18 (mean
shift) and 25 (contrast) are not checked: their levels run from one sign to the other, with the
untouched image in between.

Despite its name, `var` is the standard deviation of about 30 opinions, so the standard error of a
score is `var` / sqrt(30). (The first row is 4.57 and 0.496. Opinions of 4 and 5 with that mean have
a standard deviation of 0.495 and a variance of 0.245.)

Sources: the header, the label direction and the order of the levels are from the published file;
the levels of each kind are from the authors' generator; the number of opinions is from the paper.
"""

import math
import re

import pyarrow as pa

from roi_ray.datasets.mos import MIN_STANDARD_ERRORS, RatedImage, pair_rated_images
from roi_ray.datasets.text_tables import parse_number, read_rows_by_column, reject_row, require_file
from roi_ray.io import storage

NAME = "kadid10k"

_COLUMNS = ("dist_img", "ref_img", "dmos", "var")
_OPINIONS = 30
_IMAGE = re.compile(r".+_(?P<kind>\d+)_(?P<level>\d+)\.\w+")
_UNORDERED = (18, 25)


def import_kadid10k(folder: str, min_standard_errors: float = MIN_STANDARD_ERRORS) -> pa.Table:
    """Read the scores and build pairs from them; the module's docstring describes the layout.

    Args:
        folder: folder with `dmos.csv` and `images`.
        min_standard_errors: see `roi_ray.datasets.mos`.

    Raises:
        ManifestError: a row does not have the layout, or the scores contradict the levels.
    """
    folder = storage.absolute(folder)
    uri = require_file(folder, "dmos.csv", "the scores")
    images = []
    for row, cells in read_rows_by_column(uri, _COLUMNS):
        match = _IMAGE.fullmatch(cells["dist_img"])
        if match is None:
            reject_row(uri, row, f"names {cells['dist_img']!r}, which is not like I01_01_05.png")
        std = parse_number(uri, row, "var", cells["var"])
        if std < 0:
            reject_row(uri, row, f"has {std} for 'var', less than 0")
        images.append(
            RatedImage(
                storage.join(folder, "images", cells["ref_img"]),
                storage.join(folder, "images", cells["dist_img"]),
                parse_number(uri, row, "dmos", cells["dmos"]),
                std / math.sqrt(_OPINIONS),
                match["kind"] if int(match["kind"]) not in _UNORDERED else None,
                int(match["level"]),
            )
        )
    return pair_rated_images(NAME, folder, images, min_standard_errors)
