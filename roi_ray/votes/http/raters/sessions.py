"""Sessions of raters: the cookie by which the server knows them."""

import hashlib
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from roi_ray.votes.http.guard.rates import RateLimiter, name_client
from roi_ray.votes.http.raters.cookies import RATER_SECONDS, rater_cookie
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.study import Study
from roi_ray.web.error_answers import request_failed


@dataclass(frozen=True)
class Session:
    """The session of a rater.

    Attributes:
        token: what the cookie holds.
        rater: id of the rater.
    """

    token: str
    rater: str

    @property
    def name(self) -> str:
        """What the page calls the rater, to keep the votes of two raters apart.

        Neither the token nor the id that exports have follows from it.

        Examples:
            >>> Session("secret", "r1").name
            '2bb80d537b1da3e3'
        """
        return hashlib.sha256(self.token.encode()).hexdigest()[:16]


class Sessions:
    """The sessions of a study.

    Args:
        study: the study.
        writer: the thread of the study.
        limiter: counts requests.
        is_https: whether browsers use https.
    """

    def __init__(self, study: Study, writer: Writer, limiter: RateLimiter, is_https: bool) -> None:
        self._study, self._writer, self._limiter = study, writer, limiter
        self._cookie = rater_cookie(is_https)

    async def find(self, request: Request) -> Session | None:
        """Return the session of a request; one without a session counts as a visit.

        Raises:
            RequestFailed: there were too many visits: 429.
        """
        token = self._cookie.read(request)
        rater = token and await self._writer.run(self._study.find_rater, token)
        if token and rater:
            return Session(token, rater)
        self._limiter.count("visits", name_client(request))
        return None

    async def require(self, request: Request, rate: str) -> Session:
        """Return the session of a request, and count the request.

        Args:
            request: the request.
            rate: name of the rate, see `Rates`.

        Raises:
            RequestFailed: it has no session (401), or there are too many (429).
        """
        session = await self.find(request)
        if session is None:
            raise request_failed("Unauthorised", "open the link of your invitation first")
        self._limiter.count(rate, session.rater)
        return session

    def keep(self, response: Response, token: str) -> Response:
        """Let the browser keep a session, from now on for `RATER_SECONDS`."""
        self._cookie.write(response, token, RATER_SECONDS)
        return response
