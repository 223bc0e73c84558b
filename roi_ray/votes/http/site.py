"""Settings of the server of a study."""

import hashlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from roi_ray.errors import UsageError
from roi_ray.votes.http.guard.hosts import list_hosts
from roi_ray.votes.http.guard.rates import Rates
from roi_ray.web.addresses import LOOPBACK
from roi_ray.web.keys import parse_hashes
from roi_ray.web.limits import RequestLimits

BODY_BYTES = 8 << 10
"""Largest body: a vote has at most 4,096 bytes, a form a few hundred."""

MAX_CONSENT = 20_000
"""Characters of a consent text."""

CONSENT = """\
This study asks which of two images is closer to an original. The answers help to develop
image codecs.

For each answer we store what you chose, how often you switched between the images, how long you
took, the time, the size and pixel ratio of your screen, and what your browser calls itself. Your
answers share a random number. We store no name, no e-mail address and no IP address, so we cannot
find out who you are, and cannot delete your answers later.

Your browser keeps a cookie until 30 days after your last visit, so that you can go on where you
stopped. You take part voluntarily, and you may stop at any time: close the page.
"""
"""The text that people agree to where the operator gives none."""

_LIMITS = RequestLimits(
    max_body_bytes=BODY_BYTES, max_requests=256, max_waiting_bytes=8 << 20, timeout_seconds=60
)


@dataclass(frozen=True)
class Site:
    """How people reach a study.

    Attributes:
        url: what people type, such as `https://votes.example.org`, without a path. With https,
            cookies are sent by https only.
        consent: text that people agree to before they take part. Empty lines part paragraphs.
        admin_keys: SHA-256 of each key of the operator, in hexadecimal; without one, nobody sees
            the answers by HTTP.
        host: name or address that the server listens at.
        limits: what is accepted.
        rates: how often somebody may ask.

    Raises:
        UsageError: the URL cannot be used, or a hash is not a SHA-256.

    Examples:
        >>> site = Site("https://votes.example.org", "You may stop at any time.")
        >>> site.is_https, site.link("abc")
        (True, 'https://votes.example.org/join/abc')
    """

    url: str
    consent: str = CONSENT
    admin_keys: tuple[str, ...] = ()
    host: str = LOOPBACK
    limits: RequestLimits = _LIMITS
    rates: Rates = field(default_factory=Rates)

    def __post_init__(self) -> None:
        parse_hashes(self.admin_keys)
        _check_url(self.url)

    @property
    def origin(self) -> str:
        """Scheme, host and port, as browsers write them."""
        return self.url.rstrip("/").lower()

    @property
    def is_https(self) -> bool:
        """Whether browsers use https."""
        return self.origin.startswith("https://")

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that requests may be for, see `list_hosts`."""
        return list_hosts(self.host, urlsplit(self.url).hostname)

    @property
    def consent_sha256(self) -> str:
        """SHA-256 of the text that people agree to, in hexadecimal."""
        return hashlib.sha256(self.consent.encode()).hexdigest()

    def link(self, token: str) -> str:
        """Return the link of an invitation."""
        return f"{self.url.rstrip('/')}/join/{token}"


def make_site(
    url: str, host: str = LOOPBACK, consent: str | None = None, admin_keys: tuple[str, ...] = ()
) -> Site:
    """Make a site whose consent text is in a file.

    Args:
        url: what people type.
        host: name or address that the server listens at.
        consent: path of a text file, UTF-8; None for `CONSENT`.
        admin_keys: SHA-256 of each key of the operator, in hexadecimal.

    Raises:
        UsageError: the file cannot be read, or has no text; or as `Site`.
    """
    text = CONSENT if consent is None else _read_consent(consent)
    return Site(url, text, admin_keys, host)


def _read_consent(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(MAX_CONSENT + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read the consent text {path}: {reason}") from error
    if not text.strip():
        raise UsageError(f"the consent text {path} is empty")
    if len(text) > MAX_CONSENT:
        raise UsageError(f"the consent text {path} has more than {MAX_CONSENT:,} characters")
    return text


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{url} is not a URL") from error
    is_origin = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_origin:
        raise UsageError(f"{url} must be http or https, a host and perhaps a port, without a path")
    if port == {"http": 80, "https": 443}[parts.scheme]:
        raise UsageError(f"{url}: leave out :{port}, as browsers do")
