"""Words of sentences about decisions."""


def count_noun(number: int, noun: str) -> str:
    """Write a number and what it counts: `1 image`, `2,000 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
