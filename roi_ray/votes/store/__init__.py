"""Keep what people answer: an SQLite database, and its export as comparisons."""
