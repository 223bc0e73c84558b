"""The version of the numbers in the scores. Imports nothing."""

SCORING_VERSION: int = 5
"""Raised whenever a number in the scores changes: scores of different versions are never mixed."""
