"""Which codec of a sweep wins, by how much, where, and whether that can be believed."""
