"""The decision between codecs on a terminal and as JSON."""
