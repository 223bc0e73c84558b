"""Comparisons that people made, with the features of both candidates."""
