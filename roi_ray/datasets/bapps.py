"""BAPPS, two-alternative forced choice: 64 x 64 patches, traditional and network distortions.

Zhang, Isola, Efros, Shechtman and Wang: The Unreasonable Effectiveness of Deep Features as a
Perceptual Metric, CVPR 2018 (richzhang/PerceptualSimilarity).

    2afc/SPLIT/SUBSET/{ref,p0,p1}/NAME.png    SPLIT is train or val, SUBSET traditional, cnn, ...
    2afc/SPLIT/SUBSET/judge/NAME.npy          one number

Label direction: the number is the share of people who prefer **p1** ("0 if all preferred p0, 1 if
all humans preferred p1"). p0 becomes `a` and p1 becomes `b`, so `p_a` is 1 minus the number. The
data set offers nothing to check that against.

`votes` is 2 per triplet in `train` and 5 in `val`. There is no table: every triplet with a
judgement is read.

Sources: layout, label direction and votes are from the authors' README.
"""

import io
import posixpath
from typing import Any

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.datasets.files import list_folders, map_in_threads
from roi_ray.datasets.import_report import ImportReport, build_comparisons
from roi_ray.errors import ManifestError
from roi_ray.io import storage

NAME = "bapps"

_ROOT = "2afc"
_VOTES = {"train": 2, "val": 5}


def import_bapps(folder: str) -> pa.Table:
    """Read the triplets; the module's docstring describes the layout.

    Args:
        folder: `2afc`, or the folder that holds it.

    Raises:
        ManifestError: the folders are missing, a judgement lacks an image, or a judgement is not a
            single number in [0, 1].
    """
    root = storage.absolute(folder)
    if _ROOT in list_folders(root):
        root = storage.join(root, _ROOT)
    splits = [split for split in _VOTES if split in list_folders(root)]
    if not splits:
        raise ManifestError(f"{root} holds neither train nor val; give {_ROOT} or its parent")
    rows: list[dict[str, Any]] = []
    for split in splits:
        for subset in list_folders(storage.join(root, split)):
            rows += _read_triplets(storage.join(root, split, subset), split)
    return build_comparisons(rows, ImportReport(NAME, root))


def _read_triplets(folder: str, split: str) -> list[dict[str, Any]]:
    names = [
        posixpath.splitext(file)[0]
        for file in storage.list_files(storage.join(folder, "judge"))
        if file.endswith(".npy")
    ]
    for part in ("ref", "p0", "p1"):
        existing = set(storage.list_files(storage.join(folder, part)))
        if missing := [name for name in names if f"{name}.png" not in existing]:
            raise ManifestError(
                f"{folder}: {len(missing)} judgements have no image in {part}, "
                f"the first is {missing[0]}.npy"
            )
    uris = [storage.join(folder, "judge", f"{name}.npy") for name in names]
    shares_for_b = map_in_threads(_read_judgement, uris)
    return [
        {
            schema.REFERENCE: storage.join(folder, "ref", f"{name}.png"),
            schema.A: storage.join(folder, "p0", f"{name}.png"),
            schema.B: storage.join(folder, "p1", f"{name}.png"),
            schema.P_A: 1 - p_b,
            schema.VOTES: _VOTES[split],
            schema.SPLIT: split,
        }
        for name, p_b in zip(names, shares_for_b, strict=True)
    ]


def _read_judgement(uri: str) -> float:
    try:
        values = np.load(io.BytesIO(storage.read_bytes(uri)), allow_pickle=False)
        value = float(values.reshape(-1)[0]) if values.size == 1 else np.nan
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise ManifestError(f"{uri} cannot be read as .npy: {error}") from error
    if not 0 <= value <= 1:
        raise ManifestError(f"{uri} does not hold one number within 0..1")
    return value
