"""Options of a ranking. Imports nothing heavy, so that the command line can show them at once."""

from typing import Literal

By = Literal["method", "codec"]
"""What is ranked: an encoder at one setting (method), or an encoder (codec)."""
Labels = Literal["p_a", "p_a_preferred"]
"""The column that decides: people's answers, or a model's predictions."""
