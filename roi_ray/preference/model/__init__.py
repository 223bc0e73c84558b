"""Preference models: from the features of two candidates to the probability of a preference."""
