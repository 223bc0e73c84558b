"""The service's processes on Ray Serve, and calls between them."""
