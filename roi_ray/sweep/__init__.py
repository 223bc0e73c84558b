"""Sweeps: originals encoded by several codecs at several qualities, with a manifest."""

from roi_ray.sweep.builder import make_sweep
from roi_ray.sweep.codecs import CODECS, Codec
from roi_ray.sweep.sample_images import photographs

__all__ = ["CODECS", "Codec", "make_sweep", "photographs"]
