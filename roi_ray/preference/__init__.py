"""From scores and human choices to a model of which image people prefer."""
