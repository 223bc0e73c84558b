"""Options of a ranking. Imports nothing heavy, so that the command line can show them at once."""

from typing import Literal

By = Literal["method", "codec"]
"""Unit of a ranking: an encoder at one setting (method), or an encoder (codec)."""
Labels = Literal["p_a", "p_a_preferred"]
"""Column with the choices: people's answers, or a model's predictions."""
