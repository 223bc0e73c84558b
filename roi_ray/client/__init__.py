"""A client of the scoring service, `roi-ray serve`."""
