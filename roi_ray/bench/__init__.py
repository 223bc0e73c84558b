"""Measure speed. Only ratios within one run are compared, never times of different runs."""
