"""The cells of a sweep that are worth looking at."""
