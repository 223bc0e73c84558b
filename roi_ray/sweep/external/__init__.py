"""Any codec that can be called by a command line."""

from roi_ray.sweep.external.codec import ExternalCodec, make_external_codec
from roi_ray.sweep.external.table import KEYS

__all__ = ["KEYS", "ExternalCodec", "make_external_codec"]
