"""What the operator sees and does."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import asdict, fields

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from roi_ray.votes.http.guard.places import Places
from roi_ray.votes.http.guard.rates import RateLimiter, name_client
from roi_ray.votes.http.operator.operators import SESSION_SECONDS, Operators
from roi_ray.votes.http.operator.overview import Overviews
from roi_ray.votes.http.operator.overview_rows import list_rank_rows, write_cell, write_rater
from roi_ray.votes.http.pages import Pages
from roi_ray.votes.http.pieces import PiecewiseResponse
from roi_ray.votes.http.raters.cookies import admin_cookie
from roi_ray.votes.http.raters.forms import read_form
from roi_ray.votes.http.site import Site
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.store.agreement import RaterSummary
from roi_ray.votes.study import Study
from roi_ray.web.error_answers import ErrorAnswer, RequestFailed, request_failed
from roi_ray.web.exchange import header_values
from roi_ray.web.json_answers import json_response

MAX_INVITATIONS, MAX_RATERS = 500, 1000
"""Links that the page makes at a time, and raters that each lets in."""

_WAIT_SECONDS = 5.0
_LONG_WAIT_SECONDS = 50.0
_MAX_KEY = 512
_NUMBER = re.compile(r"[0-9]{1,6}")


class Admin:
    """The functions behind the paths of the operator.

    Args:
        study: the study.
        site: the operator's keys, and what browsers use.
        pages: writes the pages.
        writer: the thread of the study.
        overviews: computes tables and rankings.
        limiter: counts wrong keys.
        forms: how many forms of an address are read at a time.
    """

    def __init__(
        self,
        study: Study,
        site: Site,
        pages: Pages,
        writer: Writer,
        overviews: Overviews,
        limiter: RateLimiter,
        forms: Places,
    ) -> None:
        self._study, self._site, self._pages, self._writer = study, site, pages, writer
        self._overviews, self._limiter, self._forms = overviews, limiter, forms
        self._operators = Operators(site.admin_keys)
        self._cookie = admin_cookie(site.is_https)

    async def show_login(self, request: Request) -> Response:
        """Ask for the key."""
        if self._has_session(request):
            return RedirectResponse("/admin", 303)
        return self._pages.write("login.html", problem=None)

    async def log_in(self, request: Request) -> Response:
        """Let the operator in."""
        client = name_client(request)
        self._limiter.count("visits", client)
        with self._forms.take(client):
            key = (await read_form(request)).get("key", "").strip()
        session = self._try_key(request, key)
        if session is None:
            return self._pages.write("login.html", 403, problem="This key is wrong.")
        response = RedirectResponse("/admin", 303)
        self._cookie.write(response, session, SESSION_SECONDS)
        return response

    async def log_out(self, request: Request) -> Response:
        """End the session of a browser."""
        self._operators.end_session(self._cookie.read(request))
        response = RedirectResponse("/admin/login", 303)
        self._cookie.write(response, "", 0)
        return response

    async def show(self, request: Request) -> Response:
        """Show how the study goes."""
        if not self._is_operator(request):
            return RedirectResponse("/admin/login", 303)
        overview = await self._overviews.read(_WAIT_SECONDS)
        places = await self._writer.run(self._study.count_places)
        return self._pages.write(
            "admin.html",
            overview=overview,
            rows=list_rank_rows(overview.ranking.ranks) if overview else [],
            tau=write_cell(overview.ranking.expected_tau if overview else None),
            rater_columns=[field.name for field in fields(RaterSummary)],
            raters=[write_rater(rater) for rater in overview.raters] if overview else [],
            answers=self._study.answers,
            places=places,
            problems=self._list_problems(),
            has_gold=self._has_gold(),
            options=self._study.options,
            max_invitations=MAX_INVITATIONS,
            max_raters=MAX_RATERS,
        )

    async def invite(self, request: Request) -> Response:
        """Make invitations, and show their links, this once."""
        self._require_operator(request)
        form = await read_form(request)
        number = _read_number(form, "number", MAX_INVITATIONS)
        raters = _read_number(form, "raters", MAX_RATERS)
        tokens = await self._writer.run(self._study.invite, number, raters)
        links = [self._site.link(token) for token in tokens]
        return self._pages.write("links.html", links=links, raters=raters)

    async def send_comparisons(self, request: Request) -> Response:
        """Send all answers as a table of comparisons."""
        self._require_operator(request)
        data = await self._overviews.encode()
        return _attach(data, "comparisons.parquet", "application/vnd.apache.parquet")

    async def send_raters(self, request: Request) -> Response:
        """Send what is known of each rater."""
        self._require_operator(request)
        overview = await self._overviews.read(_LONG_WAIT_SECONDS)
        if overview is None:
            raise request_failed("NotReady", "the table is not computed yet; ask again later")
        return _attach(_to_csv(overview.raters), "raters.csv", "text/csv; charset=utf-8")

    async def send_status(self, request: Request) -> Response:
        """Send the numbers of the page, for programs."""
        self._require_operator(request)
        overview = await self._overviews.read(_WAIT_SECONDS)
        places = await self._writer.run(self._study.count_places)
        return json_response(
            {
                "answers": self._study.answers,
                "places": places,
                "computed_from": overview.answers if overview else 0,
                "hasty": overview.hasty if overview else 0,
                "raters": len(overview.raters) if overview else 0,
                "problems": self._list_problems(),
                "ranking": asdict(overview.ranking) if overview else None,
            }
        )

    def _has_gold(self) -> bool:
        questions = self._study.questions
        return bool((questions.is_open & questions.is_gold).any())

    def _list_problems(self) -> list[str]:
        return list(dict(self._study.problems).values())

    def _has_session(self, request: Request) -> bool:
        return self._operators.has_session(self._cookie.read(request))

    def _is_operator(self, request: Request) -> bool:
        """Return whether a request has a session, or a key; wrong keys are counted."""
        if self._has_session(request):
            return True
        authorization = header_values(request.scope, b"authorization")
        if not authorization:
            return False
        if self._operators.accepts(authorization):
            return True
        self._limiter.count("logins", name_client(request))
        return False

    def _require_operator(self, request: Request) -> None:
        if not self._is_operator(request):
            text = "send the operator's key: Authorization: Bearer KEY"
            headers = (("WWW-Authenticate", "Bearer"),)
            raise RequestFailed(ErrorAnswer("Unauthorised", text, headers=headers))

    def _try_key(self, request: Request, key: str) -> str | None:
        session = self._operators.begin_session(key) if len(key) <= _MAX_KEY else None
        if session is None:
            self._limiter.count("logins", name_client(request))
        return session


def _read_number(form: dict[str, str], name: str, most: int) -> int:
    text = form.get(name, "").strip()
    value = int(text) if _NUMBER.fullmatch(text) else 0
    if not 1 <= value <= most:
        raise request_failed("InvalidRequest", f"{name}: give a number from 1 to {most}")
    return value


def _attach(data: bytes, name: str, media_type: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return PiecewiseResponse(data, headers, media_type)


def _to_csv(raters: Sequence[RaterSummary]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([field.name for field in fields(RaterSummary)])
    writer.writerows([list(asdict(rater).values()) for rater in raters])
    return text.getvalue().encode()
