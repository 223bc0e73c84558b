"""The outcome of a gate: on a terminal, as JSON, JUnit XML and Markdown."""
