"""The pages of raters: the invitation, the text to agree to, the voting page."""

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from roi_ray.votes.http.guard.places import Places
from roi_ray.votes.http.guard.rates import name_client
from roi_ray.votes.http.pages import Pages
from roi_ray.votes.http.raters.forms import read_form
from roi_ray.votes.http.raters.sessions import Sessions
from roi_ray.votes.http.site import Site
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.study import Study

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
_NO_PLACE = (
    "This invitation cannot be used",
    "It is not known, or as many people as it was made for have used it. Check that the link is "
    "complete. If you used it before in another browser, go on there. Otherwise, also if you have "
    "removed this site's cookies since, ask whoever sent it for another one.",
)


class RaterPages:
    """The functions behind the paths of pages for raters, and for those who become one.

    Args:
        study: the study.
        site: the text to agree to.
        pages: writes the pages.
        writer: the thread of the study.
        sessions: knows the raters.
        forms: how many forms of an address are read at a time.
    """

    def __init__(
        self,
        study: Study,
        site: Site,
        pages: Pages,
        writer: Writer,
        sessions: Sessions,
        forms: Places,
    ) -> None:
        self._study, self._site, self._pages = study, site, pages
        self._writer, self._sessions, self._forms = writer, sessions, forms

    async def show_start(self, request: Request) -> Response:
        """Lead a rater to the study, and tell others what they need."""
        if response := await self._lead_to_study(request):
            return response
        return self._pages.message(
            "Which image is closer to the original?",
            "This study is by invitation. Open the link that you were sent.",
        )

    async def show_invitation(self, request: Request) -> Response:
        """Show what somebody agrees to. Programs that preview links do not use the place up."""
        if response := await self._lead_to_study(request):
            return response
        token = request.path_params["token"]
        if not _TOKEN.fullmatch(token) or not await self._writer.run(self._study.admits, token):
            return self._pages.message(*_NO_PLACE, status=404)
        return self._show_consent(token)

    async def join(self, request: Request) -> Response:
        """Make somebody a rater who agrees."""
        if response := await self._lead_to_study(request):
            return response
        with self._forms.take(name_client(request)):
            form = await read_form(request)
        token = form.get("token", "")
        if not _TOKEN.fullmatch(token) or not await self._writer.run(self._study.admits, token):
            return self._pages.message(*_NO_PLACE, status=404)
        if form.get("text") != self._site.consent_sha256:
            return self._show_consent(token, "The text has changed. Read it again.")
        if form.get("consent") != "yes":
            return self._show_consent(token, "Tick the box if you want to take part.")
        session_token = await self._writer.run(self._study.join, token, self._site.consent_sha256)
        if session_token is None:
            return self._pages.message(*_NO_PLACE, status=404)
        return self._sessions.keep(RedirectResponse("/study", 303), session_token)

    async def show_study(self, request: Request) -> Response:
        """Show the voting page."""
        session = await self._sessions.find(request)
        if session is None:
            return self._pages.message(
                "This study is by invitation",
                "Open the link that you were sent. If you used it before, it was in another "
                "browser, or your last visit is more than 30 days ago.",
                403,
            )
        return self._sessions.keep(self._pages.write("study.html"), session.token)

    async def _lead_to_study(self, request: Request) -> Response | None:
        """Make the answer to a rater who needs no invitation; None for anybody else."""
        session = await self._sessions.find(request)
        if session is None:
            return None
        return self._sessions.keep(RedirectResponse("/study", 303), session.token)

    def _show_consent(self, token: str, problem: str | None = None) -> Response:
        return self._pages.write(
            "join.html",
            422 if problem else 200,
            token=token,
            text=self._site.consent,
            sha256=self._site.consent_sha256,
            problem=problem,
        )
