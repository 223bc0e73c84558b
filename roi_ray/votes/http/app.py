"""The web server of a study, as an ASGI app."""

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from roi_ray.votes.http.assets_folder import ASSETS, StaticFiles
from roi_ray.votes.http.fitter import Fitter
from roi_ray.votes.http.guard.door import Door
from roi_ray.votes.http.guard.errors import Endpoint, Errors
from roi_ray.votes.http.guard.headers import IMMUTABLE, SecureHeaders
from roi_ray.votes.http.guard.passages import HEALTH, find_passage
from roi_ray.votes.http.guard.places import Places
from roi_ray.votes.http.guard.rates import RateLimiter
from roi_ray.votes.http.images.images import Images
from roi_ray.votes.http.operator.admin import Admin
from roi_ray.votes.http.operator.overview import Overviews
from roi_ray.votes.http.pages import Pages
from roi_ray.votes.http.raters.api import RaterApi
from roi_ray.votes.http.raters.rater_pages import RaterPages
from roi_ray.votes.http.raters.sessions import Sessions
from roi_ray.votes.http.site import Site
from roi_ray.votes.http.worker_pool import WorkerPool
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.study import Study
from roi_ray.web.error_answers import request_failed
from roi_ray.web.gate import Gate
from roi_ray.web.json_answers import json_response

IMAGE_PROCESSES = 2
_IMAGE_SECONDS = 30.0
_COMPUTE_SECONDS = 600.0
_FORMS = 16
"""Forms of an address that are read at a time."""


def build_app(study: Study, site: Site) -> "App":
    """Build the web server of a study.

    Args:
        study: what people are asked, and where their answers are kept.
        site: how people reach it.

    Raises:
        UsageError: see `Site`.
    """
    return App(study, site)


class App:
    """The web server of a study, an ASGI app; see `build_app`.

    Its threads and processes end with ASGI's lifespan, or by `close`.

    Attributes:
        gate: counts the requests in progress; its `close` refuses new ones.
    """

    def __init__(self, study: Study, site: Site) -> None:
        self._files = StaticFiles(ASSETS)
        pages = Pages(self._files)
        errors, limiter = Errors(pages), RateLimiter(site.rates)
        self._writer = Writer()
        decoders = WorkerPool(IMAGE_PROCESSES, _IMAGE_SECONDS)
        fit_pool = WorkerPool(1, _COMPUTE_SECONDS)
        reports = WorkerPool(2, _COMPUTE_SECONDS)  # the overview, and a download
        self._pools = (decoders, fit_pool, reports)
        images = Images(decoders, study.questions.allowlist, study.options.max_pixels)
        sessions = Sessions(study, self._writer, limiter, site.is_https)
        forms = Places(_FORMS)
        rater_pages = RaterPages(study, site, pages, self._writer, sessions, forms)
        self._fitter = Fitter(study, fit_pool, self._writer)
        api = RaterApi(study, sessions, images, self._writer, self._fitter)
        overviews = Overviews(study, reports, self._writer)
        admin = Admin(study, site, pages, self._writer, overviews, limiter, forms)
        app = FastAPI(
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            exception_handlers={HTTPException: errors.answer_http},
        )
        self._add_paths(app, errors, rater_pages, api, admin)
        self.gate = Gate(
            Door(app, site, errors),
            site.limits,
            passage=find_passage,
            write_refusal=errors.answer,
        )
        self._app = SecureHeaders(self.gate, site.is_https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        else:
            await self._app(scope, receive, send)

    def close(self) -> None:
        """End the threads and processes."""
        for pool in self._pools:
            pool.close()
        self._writer.close()

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.startup":
                self._fitter.start()  # there may be answers of an earlier run
            else:
                await self._fitter.stop()
                self.close()
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    def _add_paths(
        self, app: FastAPI, errors: Errors, raters: RaterPages, api: RaterApi, admin: Admin
    ) -> None:
        def add(method: str, path: str, endpoint: Endpoint) -> None:
            methods = ["GET", "HEAD"] if method == "GET" else [method]
            app.add_route(path, errors.guard(endpoint), methods=methods)

        add("GET", "/", raters.show_start)
        add("GET", "/join/{token}", raters.show_invitation)
        add("POST", "/join", raters.join)
        add("GET", "/study", raters.show_study)
        add("POST", "/api/questions", api.list_questions)
        add("POST", "/api/votes", api.record_vote)
        add("GET", "/images/{ask}/{role}", api.show_image)
        add("GET", "/static/{version}/{name}", self._send_file)
        add("GET", HEALTH, _say_alive)
        add("GET", "/admin", admin.show)
        add("GET", "/admin/login", admin.show_login)
        add("POST", "/admin/login", admin.log_in)
        add("POST", "/admin/logout", admin.log_out)
        add("POST", "/admin/invitations", admin.invite)
        add("GET", "/admin/comparisons.parquet", admin.send_comparisons)
        add("GET", "/admin/raters.csv", admin.send_raters)
        add("GET", "/admin/status", admin.send_status)

    async def _send_file(self, request: Request) -> Response:
        file = self._files.find(request.path_params["version"], request.path_params["name"])
        if file is None:
            raise request_failed("NotFound", "there is no such file")
        headers = {"Cache-Control": f"public, {IMMUTABLE}"}
        return Response(file.content, 200, headers, media_type=file.media_type)


async def _say_alive(_: Request) -> Response:
    return json_response({"status": "ok"})
