"""Sweeps: originals, the same images through several codecs at several qualities, a manifest."""

from roi_ray.sweep.codecs import CODECS, Codec
from roi_ray.sweep.demo import photographs
from roi_ray.sweep.plan import make_sweep

__all__ = ["CODECS", "Codec", "make_sweep", "photographs"]
