"""Training of the packaged networks. Scoring images does not need it."""
