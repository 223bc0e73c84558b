"""How somebody becomes a rater: an invitation, a text to agree to, a cookie."""

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from roi_ray.votes.http.guard.rates import RateLimiter, name_client
from roi_ray.votes.http.pages import Pages
from roi_ray.votes.http.raters.cookies import RATER_SECONDS, rater_cookie
from roi_ray.votes.http.raters.forms import read_form
from roi_ray.votes.http.site import Site
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.study import Study
from roi_ray.web.error_answers import request_failed

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
_NO_PLACE = (
    "This invitation cannot be used",
    "It is not known, or as many people as it was made for have used it. Check that the link is "
    "complete, or ask whoever sent it for another one. If you used it before in another browser, "
    "go on there.",
)


class Joining:
    """The functions behind the paths of somebody who is not a rater yet.

    Args:
        study: the study.
        site: the text to agree to, and what browsers use.
        pages: writes the pages.
        writer: the thread of the study.
        limiter: counts requests.
    """

    def __init__(
        self, study: Study, site: Site, pages: Pages, writer: Writer, limiter: RateLimiter
    ) -> None:
        self._study, self._site, self._pages = study, site, pages
        self._writer, self._limiter = writer, limiter
        self._cookie = rater_cookie(site.is_https)

    async def find_rater(self, request: Request) -> str | None:
        """Return the rater who sends a request; None if it has no session. It is counted then."""
        session = self._cookie.read(request)
        rater = session and await self._writer.run(self._study.find_rater, session)
        if not rater:
            self._limiter.count("visits", name_client(request))
        return rater or None

    async def require_rater(self, request: Request, rate: str) -> str:
        """Return the rater who sends a request, and count it.

        Args:
            request: the request.
            rate: name of the rate, see `Rates`.

        Raises:
            RequestFailed: it has no session (401), or there are too many (429).
        """
        rater = await self.find_rater(request)
        if rater is None:
            raise request_failed("Unauthorised", "open the link of your invitation first")
        self._limiter.count(rate, rater)
        return rater

    async def show_start(self, request: Request) -> Response:
        """Lead a rater to the study, and tell others what they need."""
        if await self.find_rater(request):
            return RedirectResponse("/study", 303)
        return self._pages.message(
            "Which image is closer to the original?",
            "This study is by invitation. Open the link that you were sent.",
        )

    async def show_invitation(self, request: Request) -> Response:
        """Show what somebody agrees to. Programs that preview links do not use the place up."""
        if await self.find_rater(request):
            return RedirectResponse("/study", 303)
        token = request.path_params["token"]
        if not _TOKEN.fullmatch(token) or not await self._writer.run(self._study.admits, token):
            return self._pages.message(*_NO_PLACE, status=404)
        return self._show_consent(token)

    async def join(self, request: Request) -> Response:
        """Make somebody a rater who agrees."""
        if await self.find_rater(request):
            return RedirectResponse("/study", 303)
        form = await read_form(request)
        token = form.get("token", "")
        if not _TOKEN.fullmatch(token) or not await self._writer.run(self._study.admits, token):
            return self._pages.message(*_NO_PLACE, status=404)
        if form.get("text") != self._site.consent_sha256:
            return self._show_consent(token, "The text has changed. Read it again.")
        if form.get("consent") != "yes":
            return self._show_consent(token, "Tick the box if you want to take part.")
        session = await self._writer.run(self._study.join, token, self._site.consent_sha256)
        if session is None:
            return self._pages.message(*_NO_PLACE, status=404)
        response = RedirectResponse("/study", 303)
        self._cookie.write(response, session, RATER_SECONDS)
        return response

    async def show_study(self, request: Request) -> Response:
        """Show the voting page."""
        if await self.find_rater(request) is None:
            return self._pages.message(
                "This study is by invitation",
                "Open the link that you were sent. If you used it before, it was in another "
                "browser, or more than 30 days ago.",
                403,
            )
        return self._pages.write("study.html")

    def _show_consent(self, token: str, problem: str | None = None) -> Response:
        return self._pages.write(
            "join.html",
            422 if problem else 200,
            token=token,
            text=self._site.consent,
            sha256=self._site.consent_sha256,
            problem=problem,
        )
