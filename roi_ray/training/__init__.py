"""Training of the packaged networks. Nothing here is needed to score images."""
