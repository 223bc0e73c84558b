"""The questions of a study: from comparisons or scores to the pairs that people may be asked."""
