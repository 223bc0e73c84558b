"""Names that clients give: shown in answers and messages, never used as paths."""

from roi_ray.runtime.logs import escape_line

MAX_NAME = 200
"""Characters of a name that are shown."""


def clean_name(name: str) -> str:
    r"""Make a name that a client gave safe to show: one line, of a bounded length.

    Examples:
        >>> clean_name("../x\n.png"), len(clean_name("x" * 5000))
        ('../x\\n.png', 203)
    """
    return escape_line(name if len(name) <= MAX_NAME else name[:MAX_NAME] + "...")
