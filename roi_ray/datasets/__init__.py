"""Importers of published human choices: one module per data set, named after it.

`DatasetName` is the list of data sets. Imports nothing heavy: a command line shows the names.
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
"""A name NAME stands for the function `import_NAME` of the module `roi_ray.datasets.NAME`."""

DATASET_NAMES: tuple[DatasetName, ...] = get_args(DatasetName)
