"""Ask people which image is closer to the original, and keep what they answer."""
