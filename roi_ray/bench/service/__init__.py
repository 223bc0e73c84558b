"""The service under load, beside the bare scorer."""
