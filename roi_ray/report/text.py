"""Text for terminals."""

from rich.table import Table

from roi_ray.runtime.logs import escape_line

GAP = 2
"""Characters between two columns of a table."""

_PLAIN = str.maketrans(
    {
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{NARROW NO-BREAK SPACE}": " ",
        "\N{NO-BREAK SPACE}": " ",
        "\N{HORIZONTAL ELLIPSIS}": "...",
    }
)


def plain(text: str) -> str:
    """Replace typographic characters, which not every terminal has, and escape control codes."""
    return escape_line(text.translate(_PLAIN))


def begin_table() -> Table:
    """Begin a table without lines."""
    return Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0))
