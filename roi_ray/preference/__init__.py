"""From scores and human choices to a model that predicts which image people prefer."""
