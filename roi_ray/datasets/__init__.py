"""Importers of human choices: one file a data set, all into the comparison schema.

Each documents its set's layout, what an answer means, and where both are known from. None downloads
anything: fetch the set, unpack it, and name its folder.
"""

from typing import Literal, get_args

DatasetName = Literal[
    "aic3", "bapps", "clic", "kadid10k", "mucped22", "mucped23", "pieapp", "pipal", "tid2013"
]
DATASET_NAMES: tuple[DatasetName, ...] = get_args(DatasetName)
