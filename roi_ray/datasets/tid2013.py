"""TID2013: 25 images, 24 kinds of distortion at 5 levels, mean opinion scores.

Ponomarenko et al.: Image database TID2013: Peculiarities, results and perspectives, Signal
Processing: Image Communication 30, 2015.

    mos_with_names.txt     lines "MOS NAME": 5.51429 I01_01_1.bmp
    mos_std.txt            one number per line, in the same order; optional
    reference_images/      I01.BMP, ...
    distorted_images/      I01_KIND_LEVEL.bmp

The names in the tables and on disk differ in case; case is ignored.

Label direction: MOS is HIGHER for better images, 0 to 9. Checked against the distortion level;
level 5 is the strongest. Kinds 15 (local blocks), 16 (mean shift) and 17 (contrast) are not
checked: their levels are not in the order of quality in the published scores.

`mos_std.txt` holds standard errors of the MOS, not standard deviations of single opinions: the
first is 0.13, which integers with a mean of 5.51 cannot have as a standard deviation. Without the
file, 0.15 is used for all images.

Sources: the layout is from published readers of the files and from copies of the scores.
"""

import re

import pyarrow as pa

from roi_ray.datasets.mos import MIN_STANDARD_ERRORS, RatedImage, pair_rated_images
from roi_ray.datasets.text_tables import parse_number, read_text, reject_row, require_file
from roi_ray.errors import ManifestError
from roi_ray.io import storage

NAME = "tid2013"

_STANDARD_ERROR = 0.15
_IMAGE = re.compile(r"(?P<reference>i\d+)_(?P<kind>\d+)_(?P<level>\d+)\.bmp")
_UNORDERED = (15, 16, 17)


def import_tid2013(folder: str, min_standard_errors: float = MIN_STANDARD_ERRORS) -> pa.Table:
    """Read the scores and build pairs from them; the module's docstring describes the layout.

    Args:
        folder: folder with `mos_with_names.txt`, `reference_images` and `distorted_images`.
        min_standard_errors: see `roi_ray.datasets.mos`.

    Raises:
        ManifestError: a line does not have the layout, an image is missing, or the scores
            contradict the levels.
    """
    folder = storage.absolute(folder)
    uri = require_file(folder, "mos_with_names.txt", "the scores")
    lines = _read_lines(uri)
    errors = _read_errors(storage.join(folder, "mos_std.txt"), len(lines))
    files = {
        part: _list_by_lower_case(storage.join(folder, part))
        for part in ("reference_images", "distorted_images")
    }
    images = []
    for (row, line), error in zip(lines, errors, strict=True):
        cells = line.split()
        match = _IMAGE.fullmatch(cells[1].lower()) if len(cells) == 2 else None
        if match is None:
            reject_row(uri, row, f"is {line!r}, which is not like '5.51429 I01_01_1.bmp'")
        uris = {
            "reference_images": files["reference_images"].get(f"{match['reference']}.bmp"),
            "distorted_images": files["distorted_images"].get(match[0]),
        }
        for part, image in uris.items():
            if image is None:
                reject_row(uri, row, f"names {cells[1]!r}, but {folder}/{part} has no file for it")
        images.append(
            RatedImage(
                str(uris["reference_images"]),
                str(uris["distorted_images"]),
                parse_number(uri, row, "MOS", cells[0]),
                error,
                match["kind"] if int(match["kind"]) not in _UNORDERED else None,
                int(match["level"]),
            )
        )
    return pair_rated_images(NAME, folder, images, min_standard_errors)


def _read_lines(uri: str) -> list[tuple[int, str]]:
    lines = enumerate(read_text(uri).splitlines(), 1)
    return [(row, line.strip()) for row, line in lines if line.strip()]


def _read_errors(uri: str, count: int) -> list[float]:
    if not storage.is_file(uri):
        return [_STANDARD_ERROR] * count
    lines = _read_lines(uri)
    if len(lines) != count:
        raise ManifestError(f"{uri} has {len(lines)} lines, but mos_with_names.txt has {count}")
    errors = [parse_number(uri, row, "standard error", line) for row, line in lines]
    for (row, _), error in zip(lines, errors, strict=True):
        if error < 0:
            reject_row(uri, row, f"has a standard error of {error}, less than 0")
    return errors


def _list_by_lower_case(folder: str) -> dict[str, str]:
    return {name.lower(): storage.join(folder, name) for name in storage.list_files(folder)}
