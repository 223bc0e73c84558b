"""The page of a decision: one HTML file."""
