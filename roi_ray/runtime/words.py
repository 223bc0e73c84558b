"""Words of sentences that people read."""


def count_noun(number: int, noun: str) -> str:
    """Write a number and what it counts.

    Examples:
        >>> count_noun(1, "image"), count_noun(2000, "image")
        ('1 image', '2,000 images')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
