"""The pages of the API's documentation, which ask no other host for anything."""

from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC = "/static-offline-docs"
"""Where the scripts and styles of the pages are."""
PAGES = ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect")
"""Paths of the documents."""

_REDOC = "redoc.standalone.js"
_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
_NOTHING = b"data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
"""An image of one transparent pixel."""


def make_documented_app(**options: Any) -> FastAPI:  # noqa: ANN401
    """Make a FastAPI app whose pages work without a network.

    Args:
        options: options of `FastAPI`.
    """
    app = FastAPIOffline(
        static_url=STATIC,
        swagger_ui_parameters={"validatorUrl": None, "tryItOutEnabled": True},
        **options,
    )
    # Redoc's script would load a logo; this route comes before that of all scripts.
    script = (Path(fastapi_offline.__file__).parent / "static" / _REDOC).read_bytes()
    script = script.replace(_LOGO, _NOTHING)

    async def send_script(_: Request) -> Response:
        headers = {"Cache-Control": "max-age=3600"}
        return Response(script, headers=headers, media_type="text/javascript")

    app.router.routes.insert(0, Route(f"{STATIC}/{_REDOC}", send_script))
    return app
