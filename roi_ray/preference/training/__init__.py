"""How a preference model is trained."""
