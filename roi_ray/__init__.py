"""Score image-codec sweeps at scale, over the whole image and where people look."""

__version__ = "0.1.0"
