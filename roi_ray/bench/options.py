"""Choices that the benchmark offers. Imports nothing heavy: a command line shows them."""

from typing import Literal

SaliencyName = Literal["u2netp", "packaged"]
"""The saliency network that all contenders share."""
