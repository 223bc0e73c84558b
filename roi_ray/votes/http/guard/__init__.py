"""What is refused before a page is asked for: other hosts and sites, too many requests."""
