"""Readers: the bytes of a file to a `Raster`, one file per format."""
