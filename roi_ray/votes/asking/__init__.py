"""Which question a rater is asked next, and when more answers are not needed."""
