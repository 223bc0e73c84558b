"""Check scores: compute the numbers of some pairs again, by other code than the scorer's."""
