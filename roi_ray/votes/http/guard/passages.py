"""What the gate asks of a request, by its path."""

from roi_ray.votes.http.guard.errors import hide_token
from roi_ray.web.gate import Passage

HEALTH = "/health"

BODY_SECONDS = 10.0
"""How long the few bytes of a vote or a form may take."""

DOWNLOAD_SECONDS = 180.0
"""How long an image or a table may take; the page waits as long."""

_DOWNLOADS = ("/images/", "/admin/comparisons.parquet", "/admin/raters.csv")


def find_passage(path: str) -> Passage:
    """Return what the gate asks of a request for a path.

    Examples:
        >>> find_passage("/images/x/1").answer_seconds, find_passage("/health").is_counted
        (180.0, False)
    """
    return Passage(
        needs_key=False,
        is_counted=path != HEALTH,
        log_name=hide_token(path),
        body_seconds=BODY_SECONDS,
        answer_seconds=DOWNLOAD_SECONDS if path.startswith(_DOWNLOADS) else None,
    )
