"""What the voting page asks for: questions, images, and a place for its votes."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from roi_ray import schema
from roi_ray.errors import ImageError
from roi_ray.votes.asking.plan import Proposal
from roi_ray.votes.http.fitter import Fitter
from roi_ray.votes.http.guard.headers import IMAGES
from roi_ray.votes.http.guard.places import Places
from roi_ray.votes.http.images.images import Images
from roi_ray.votes.http.images.pictures import Picture, Window
from roi_ray.votes.http.pieces import PiecewiseResponse
from roi_ray.votes.http.raters.exclusions import Exclusions
from roi_ray.votes.http.raters.forms import check_content_type
from roi_ray.votes.http.raters.locks import Locks
from roi_ray.votes.http.raters.sessions import Sessions
from roi_ray.votes.http.raters.vote_body import ASK_ID, read_vote
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.records import Ask
from roi_ray.votes.store.refusals import VoteRefused
from roi_ray.votes.study import Study
from roi_ray.web.error_answers import request_failed
from roi_ray.web.json_answers import json_response

AHEAD = 2
"""Questions that a rater gets at a time: one to answer, and one to load."""

_MAX_TRIES = 10
"""Questions that are tried for one that can be shown, before the rater must ask again."""

ROLES = ("original", "1", "2")

MAX_DOWNLOADS = 8
"""Images that a rater gets at a time; the page loads those of two questions."""


class RaterApi:
    """The functions behind the paths of the voting page.

    Args:
        study: the study.
        sessions: knows the raters.
        images: makes the pictures.
        writer: the thread of the study.
        fitter: learns from the votes.
    """

    def __init__(
        self, study: Study, sessions: Sessions, images: Images, writer: Writer, fitter: Fitter
    ) -> None:
        self._study, self._sessions, self._images = study, sessions, images
        self._writer, self._fitter = writer, fitter
        self._locks, self._downloads = Locks(), Places(MAX_DOWNLOADS)
        self._exclusions = Exclusions(study, writer)

    async def list_questions(self, request: Request) -> Response:
        """Return what a rater is asked now and next."""
        session = await self._sessions.require(request, "votes")
        rater = session.rater
        # Two pages of one rater must not both add what comes next.
        async with self._locks.of(rater):
            asks = await self._list_open(rater)
            has_more = True
            for _ in range(_MAX_TRIES):
                if len(asks) >= AHEAD or not has_more:
                    break
                has_more = await self._add_ask(rater, asks)
            progress = await self._writer.run(self._study.progress, rater)
        if not asks and has_more:
            raise request_failed("NotReady", "no question can be shown now; ask again later")
        response = json_response(
            {
                "asks": asks,
                "answered": progress.answered,
                "goal": progress.goal,
                "done": not asks,
                "rater": session.name,
            }
        )
        return self._sessions.keep(response, session.token)

    async def record_vote(self, request: Request) -> Response:
        """Store a vote. Once this answers, it is on disk."""
        rater = (await self._sessions.require(request, "votes")).rater
        check_content_type(request, "application/json")
        vote = read_vote(await request.body(), request.headers.get("user-agent", ""))
        try:
            recorded = await self._writer.run(self._study.record, rater, vote)
        except VoteRefused as error:
            raise request_failed(error.error_kind, str(error)) from error
        self._fitter.start()
        body = {"recorded": True, "expected": recorded.expected}
        return json_response(body, 201 if recorded.is_new else 200)

    async def show_image(self, request: Request) -> Response:
        """Return an image of a question that the rater was asked."""
        rater = (await self._sessions.require(request, "images")).rater
        id, role = request.path_params["ask"], request.path_params["role"]
        is_name = role in ROLES and ASK_ID.fullmatch(id)
        ask = await self._writer.run(self._study.find_ask, rater, id) if is_name else None
        if ask is None:
            raise request_failed("NotFound", "there is no such image")
        uri = self._list_uris(self._find_question(ask), ask.first)[ROLES.index(role)]
        try:
            picture = await self._images.make(uri, Window(crop=ask.crop))
        except ImageError as error:
            await self._exclusions.add(self._find_question(ask), error)
            raise request_failed("NotFound", "this image cannot be shown; ask again") from error
        self._downloads.check(rater)
        headers = {"Cache-Control": IMAGES}
        during = self._downloads.take(rater)
        return PiecewiseResponse(picture.data, headers, picture.media_type, during)

    async def _list_open(self, rater: str) -> list[dict[str, Any]]:
        """Describe what the rater has not answered yet, as far as it can be shown."""
        described = []
        for ask in (await self._writer.run(self._study.open_asks, rater))[:AHEAD]:
            question = self._find_question(ask)
            picture = await self._prepare(question, Window(crop=ask.crop))
            if picture is not None:
                described.append(_describe(ask, picture))
        return described

    async def _add_ask(self, rater: str, asks: list[dict[str, Any]]) -> bool:
        """Try to ask one more question; return False if there is none."""
        proposal: Proposal | None = await self._writer.run(self._study.propose, rater)
        if proposal is None:
            return False
        key = self._study.questions.table[schema.QUESTION][proposal.question].as_py()
        window = Window(side=self._study.options.crop, key=key)
        picture = await self._prepare(proposal.question, window)
        if picture is not None:
            ask = await self._writer.run(self._study.ask, rater, proposal, picture.crop)
            asks.append(_describe(ask, picture))
        return True

    async def _prepare(self, question: int, window: Window) -> Picture | None:
        """Make the pictures of a question; exclude it and return None if they cannot be shown."""
        try:
            return await self._images.prepare(self._list_uris(question, "a"), window)
        except ImageError as error:
            await self._exclusions.add(question, error)
            return None

    def _find_question(self, ask: Ask) -> int:
        return self._study.questions.find(ask.question)

    def _list_uris(self, question: int, first: str) -> list[str]:
        """List the URIs of the original, and of the candidates that the page calls 1 and 2."""
        columns = (schema.A, schema.B) if first == "a" else (schema.B, schema.A)
        table = self._study.questions.table
        return [table[name][question].as_py() for name in (schema.REFERENCE, *columns)]


def _describe(ask: Ask, picture: Picture) -> dict[str, Any]:
    """Describe a question for the page: nothing that tells the candidates apart, or why."""
    width, height = picture.shown_size
    return {
        "id": ask.id,
        "training": ask.kind == "training",
        "number": ask.number,
        "width": width,
        "height": height,
        "images": {role: f"/images/{ask.id}/{role}" for role in ROLES},
    }
