"""Measures speed: ratios inside one run, never a time against one of another day."""
