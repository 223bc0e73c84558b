"""Read what an AVIF or HEIF file says about its image, before its pixels are decoded."""
