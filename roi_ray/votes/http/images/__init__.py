"""The pictures that raters see."""
