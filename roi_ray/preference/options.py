"""What a ranking can be asked for. Imports nothing heavy, as a command line shows these options."""

from typing import Literal

By = Literal["method", "codec"]
"""What is ranked: encoders at one setting each, or encoders."""
Labels = Literal["p_a", "p_a_preferred"]
"""The column that says who wins: people's answers, or a model's prediction."""
