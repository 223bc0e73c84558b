"""Importers of published human choices: one module per data set, named after it.

`DatasetName` lists the data sets. Imports nothing heavy, so that the command line shows it at once.
"""

from typing import Literal, get_args

DatasetName = Literal[
    "aic3",
    "bapps",
    "clic",
    "kadid10k",
    "mucped22",
    "mucped23",
    "pieapp",
    "pipal",
    "tid2013",
]
"""Name of a data set: NAME is read by `import_NAME` of the module `roi_ray.datasets.NAME`."""

DATASET_NAMES: tuple[DatasetName, ...] = get_args(DatasetName)
