"""The web server of a study: pages, the API of the voting page, images, what the operator sees."""
