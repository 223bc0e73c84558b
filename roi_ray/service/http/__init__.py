"""Requests in, answers out: paths, forms, limits and keys."""
