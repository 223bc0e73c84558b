"""Scores of a sweep in the formats of other tools."""
