"""Which codec people would prefer at equal bit rate, as a model predicts it."""
