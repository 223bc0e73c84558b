"""Kernels of metrics for CPUs, compiled by numba; see `roi_ray.runtime.compiled`."""
