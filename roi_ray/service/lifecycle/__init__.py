"""`roi-ray serve`: check, start, watch, and end without a loss."""
