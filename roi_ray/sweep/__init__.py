"""Sweeps: originals encoded by several codecs at several qualities, with a manifest."""

from roi_ray.sweep.sample_images import photographs

__all__ = ["photographs"]
