"""PIPAL: 200 patches, 40 kinds of distortion and restoration, among them GANs; Elo scores.

Gu, Cai, Chen, Ye, Ren and Dong: PIPAL: a Large-Scale Image Quality Assessment Dataset for
Perceptual Image Restoration, ECCV 2020.

    Train_Label/REF.txt          lines "NAME,ELO": A0001_00_00.bmp,1520.0648
    Train_Ref/REF.bmp
    Distortion_1/NAME.bmp, ...   in some copies Train_Dist

Label direction:
Elo scores are HIGHER for better images. The set publishes neither the single answers nor
errors of the scores, and its names say nothing of the strength of a distortion: there is nothing to
hold the scores against.

Errors: an Elo score that is updated by K at a time wanders about its true value with a deviation of
sqrt(K / 2 * 400 / ln 10), which is 37 for the K of 16 that is usual. 40 is taken for every image.

Layout and polarity: from published readers of the files. Not known: the K that was used.
"""

import posixpath

import pyarrow as pa

from roi_ray.datasets.files import list_folders
from roi_ray.datasets.mos import MIN_STANDARD_ERRORS, RatedImage, pair_rated_images
from roi_ray.datasets.text_tables import parse_number, read_rows, reject_row
from roi_ray.errors import ManifestError
from roi_ray.io import storage

NAME = "pipal"

_STANDARD_ERROR = 40.0
_LABELS = ("trainlabel", "trainlabels")
_REFERENCES = ("trainref", "trainrefs")
_DISTORTED = ("distortion", "traindist")


def import_pipal(folder: str, min_standard_errors: float = MIN_STANDARD_ERRORS) -> pa.Table:
    """Read the scores and make pairs of them; see the module for the layout.

    Args:
        folder: that holds `Train_Label`, `Train_Ref` and `Distortion_1` and so on.
        min_standard_errors: see `roi_ray.datasets.mos`.

    Raises:
        ManifestError: a folder that is missing, a line that is not of the layout, or an image that
            is not there.
    """
    folder = storage.absolute(folder)
    names = {name.lower().replace("_", ""): name for name in list_folders(folder)}
    labels = _one(folder, names, _LABELS, "Train_Label")
    references = _one(folder, names, _REFERENCES, "Train_Ref")
    there = set(storage.list_files(references))
    distorted = {
        file: storage.join(folder, name, file)
        for key, name in names.items()
        if key.startswith(_DISTORTED)
        for file in storage.list_files(storage.join(folder, name))
    }
    rated = []
    for file in storage.list_files(labels):
        if not file.endswith(".txt"):
            continue
        uri = storage.join(labels, file)
        reference = f"{posixpath.splitext(file)[0]}.bmp"
        if reference not in there:
            raise ManifestError(f"{uri} has no reference: {references} holds no {reference}")
        for row, (name, score) in read_rows(uri, cells=2):
            if name not in distorted:
                reject_row(
                    uri, row, f"names {name!r}, which is in no folder Distortion_... of {folder}"
                )
            rated.append(
                RatedImage(
                    storage.join(references, reference),
                    distorted[name],
                    parse_number(uri, row, "Elo score", score),
                    _STANDARD_ERROR,
                )
            )
    return pair_rated_images(NAME, folder, rated, min_standard_errors)


def _one(folder: str, names: dict[str, str], known: tuple[str, ...], usual: str) -> str:
    for key in known:
        if key in names:
            return storage.join(folder, names[key])
    raise ManifestError(f"{folder} holds no folder {usual}; give the folder that does")
