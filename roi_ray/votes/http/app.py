"""The web server of a study, as an ASGI app."""

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from roi_ray.votes.http.assets_folder import ASSETS, StaticFiles
from roi_ray.votes.http.fits import Fits
from roi_ray.votes.http.guard.door import HEALTH, Door
from roi_ray.votes.http.guard.errors import Endpoint, Errors
from roi_ray.votes.http.guard.headers import IMMUTABLE, SecureHeaders
from roi_ray.votes.http.guard.rates import RateLimiter
from roi_ray.votes.http.images.images import Images
from roi_ray.votes.http.operator.admin import Admin
from roi_ray.votes.http.pages import Pages
from roi_ray.votes.http.processes import Processes
from roi_ray.votes.http.raters.api import Api
from roi_ray.votes.http.raters.joining import Joining
from roi_ray.votes.http.site import Site
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.study import Study
from roi_ray.web.error_answers import request_failed
from roi_ray.web.gate import Gate, Passage
from roi_ray.web.json_answers import json_response

IMAGE_PROCESSES = 2
_IMAGE_SECONDS = 30.0
_FIT_SECONDS = 600.0


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
        self._decoders = Processes(IMAGE_PROCESSES, _IMAGE_SECONDS)
        self._fitter = Processes(1, _FIT_SECONDS)
        images = Images(self._decoders, study.questions.allowlist, study.options.max_pixels)
        joining = Joining(study, site, pages, self._writer, limiter)
        self._fits = Fits(study, self._fitter, self._writer)
        api = Api(study, joining, images, self._writer, self._fits)
        admin = Admin(study, site, pages, self._writer, self._fitter, limiter)
        app = FastAPI(
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            exception_handlers={HTTPException: errors.answer_http},
        )
        self._add_paths(app, errors, joining, api, admin)
        self.gate = Gate(Door(app, site, errors), site.limits, passage=_passage)
        self._app = SecureHeaders(self.gate, site.is_https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._app(scope, receive, send)

    def close(self) -> None:
        """End the threads and processes."""
        self._decoders.close()
        self._fitter.close()
        self._writer.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.startup":
                self._fits.start()  # there may be answers of an earlier run
            else:
                await self._fits.stop()
                self.close()
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    def _add_paths(
        self, app: FastAPI, errors: Errors, joining: Joining, api: Api, admin: Admin
    ) -> None:
        def add(method: str, path: str, endpoint: Endpoint) -> None:
            methods = ["GET", "HEAD"] if method == "GET" else [method]
            app.add_route(path, errors.guard(endpoint), methods=methods)

        add("GET", "/", joining.show_start)
        add("GET", "/join/{token}", joining.show_invitation)
        add("POST", "/join", joining.join)
        add("GET", "/study", joining.show_study)
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


def _passage(path: str) -> Passage:
    return Passage(needs_key=False, is_counted=path != HEALTH)
