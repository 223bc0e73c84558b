"""PIPAL: 200 patches, 40 kinds of distortion and restoration, GANs among them; Elo scores.

Gu, Cai, Chen, Ye, Ren and Dong: PIPAL: a Large-Scale Image Quality Assessment Dataset for
Perceptual Image Restoration, ECCV 2020.

    Train_Label/REF.txt          lines "NAME,ELO": A0001_00_00.bmp,1520.0648
    Train_Ref/REF.bmp
    Distortion_1/NAME.bmp, ...   in some copies Train_Dist

Label direction: Elo scores are HIGHER for better images. There is nothing to check that against:
the set publishes neither single answers nor errors of the scores, and the names of the images say
nothing about the strength of a distortion.

Standard errors: an Elo score that is updated with step K fluctuates about its true value with a
standard deviation of sqrt(K / 2 * 400 / ln 10), which is 37 for the usual K of 16. The importer
assumes 40 for every image.

Sources: layout and label direction are from published readers of the files. The K that the authors
used is unknown.
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
    """Read the scores and build pairs from them; the module's docstring describes the layout.

    Args:
        folder: folder with `Train_Label`, `Train_Ref`, `Distortion_1` and so on.
        min_standard_errors: see `roi_ray.datasets.mos`.

    Raises:
        ManifestError: a folder or an image is missing, or a line does not have the layout.
    """
    folder = storage.absolute(folder)
    names = {name.lower().replace("_", ""): name for name in list_folders(folder)}
    labels = _find_folder(folder, names, _LABELS, "Train_Label")
    references = _find_folder(folder, names, _REFERENCES, "Train_Ref")
    existing = set(storage.list_files(references))
    distorted = {
        file: storage.join(folder, name, file)
        for key, name in names.items()
        if key.startswith(_DISTORTED)
        for file in storage.list_files(storage.join(folder, name))
    }
    images = []
    for file in storage.list_files(labels):
        if not file.endswith(".txt"):
            continue
        uri = storage.join(labels, file)
        reference = f"{posixpath.splitext(file)[0]}.bmp"
        if reference not in existing:
            raise ManifestError(f"{uri} has no reference: {references} holds no {reference}")
        for row, (name, score) in read_rows(uri, cells=2):
            if name not in distorted:
                reject_row(
                    uri, row, f"names {name!r}, which is in no folder Distortion_... of {folder}"
                )
            images.append(
                RatedImage(
                    storage.join(references, reference),
                    distorted[name],
                    parse_number(uri, row, "Elo score", score),
                    _STANDARD_ERROR,
                )
            )
    return pair_rated_images(NAME, folder, images, min_standard_errors)


def _find_folder(folder: str, names: dict[str, str], spellings: tuple[str, ...], usual: str) -> str:
    for key in spellings:
        if key in names:
            return storage.join(folder, names[key])
    raise ManifestError(f"{folder} holds no folder {usual}; give the folder that does")
