"""Sweeps: originals, the same images through several codecs at several qualities, a manifest."""

from roi_ray.sweep.builder import make_sweep
from roi_ray.sweep.codecs import CODECS, Codec
from roi_ray.sweep.sample_images import photographs

__all__ = ["CODECS", "Codec", "make_sweep", "photographs"]
