"""What each path of the service does."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from roi_ray.runtime.logs import LOGGER
from roi_ray.schema import Failure
from roi_ray.service.backend import Backend, ImageFile
from roi_ray.service.http import answers
from roi_ray.service.http.forms import Form, read_file, read_form
from roi_ray.service.http.node_metrics import read_node_metrics
from roi_ray.service.http.sources import CountBytes, SourceReader, parse_sha256
from roi_ray.service.options import ServiceOptions
from roi_ray.service.worker.tasks import gather
from roi_ray.web.error_answers import RequestFailed, answer_failure, request_failed
from roi_ray.web.gate import COUNT_BYTES
from roi_ray.web.json_answers import json_response
from roi_ray.web.names import clean_name

READY_SECONDS = 5.0
"""How long the processes that score may take to say that they are ready."""
_READY_AGAIN_SECONDS = 1.0
"""How long they are not asked again: anybody may ask, without a key."""


class Endpoints:
    """The functions behind the paths; each takes a request and returns the response.

    Args:
        backend: what computes the answers.
        options: how the service runs.

    Raises:
        RequestFailed: by every function, for an error that the client shall see.
    """

    def __init__(self, backend: Backend, options: ServiceOptions) -> None:
        self._backend, self._options, self._limits = backend, options, options.limits
        self._sources = SourceReader(backend, options.allow_prefixes, options.limits.max_body_bytes)
        self.is_open: Callable[[], bool] = lambda: True
        self._ready_until = 0.0

    async def score(self, request: Request) -> Response:
        """Score images against one reference."""
        form = await self._read_form(request, {"image": self._limits.max_images})
        count, values = _counter(request), form["image"]
        reference, mask = await self._read_inputs(form, count)
        files = await gather([self._sources.read(value, count) for value in values])
        readable = [file for file in files if isinstance(file, ImageFile)]
        answer = await self._backend.score(reference, readable, mask)
        if isinstance(answer, Failure):
            raise RequestFailed(answer_failure(answer))
        await self._keep(form, reference)
        head = answers.input_head(answer.provenance, reference, mask, cached=answer.cached)
        names = [v.name if isinstance(v, ImageFile) else clean_name(v) for v in values]
        images = answers.list_images(names, files, answer.outcomes)
        return json_response({**head, "images": images})

    async def compare(self, request: Request) -> Response:
        """Predict which of two images people prefer."""
        form = await self._read_form(request, {"a": 1, "b": 1})
        count = _counter(request)
        reference, mask = await self._read_inputs(form, count)
        a, b = [
            await self._sources.read_required(f"image {name}:", form[name][0], count)
            for name in ("a", "b")
        ]
        answer = await self._backend.compare(reference, a, b, mask)
        if isinstance(answer, Failure):
            raise RequestFailed(answer_failure(answer))
        await self._keep(form, reference)
        head = answers.input_head(answer.provenance, reference, mask, cached=answer.cached)
        return json_response({**head, "preference": answer.preference})

    async def make_mask(self, request: Request) -> Response:
        """Make the mask of a reference, as a PNG."""
        values = request.query_params.getlist("reference")
        if len(values) != 1 or set(request.query_params) != {"reference"}:
            raise request_failed(
                "InvalidRequest", "give one parameter: ?reference=sha256:HEX or ?reference=URI"
            )
        count = _counter(request)
        reference = await self._sources.read_required("reference", values[0], count)
        answer = await self._backend.make_mask(reference)
        if isinstance(answer, Failure):
            raise RequestFailed(answer_failure(answer))
        headers = {
            "Roi-Fraction": repr(answer.roi_fraction),
            "Scoring-Version": str(answer.provenance.scoring_version),
        }
        return Response(answer.png, 200, headers, media_type="image/png")

    async def put_reference(self, request: Request) -> Response:
        """Keep a reference."""
        sha256 = parse_sha256(request.path_params["sha256"])
        reference = await read_file(f"sha256:{sha256}", request.stream())
        if reference.sha256 != sha256:
            raise request_failed(
                "HashMismatch",
                f"the SHA-256 of the body is {reference.sha256}; send the file as it is, without a "
                "form (curl: -T x.png)",
            )
        size = len(reference.data)
        if size > self._options.reference_bytes:
            raise request_failed(
                "BodyTooLarge",
                f"{size:,} bytes; all references that are kept have at most "
                f"{self._options.reference_bytes:,} bytes together",
            )
        is_new = await self._backend.put_reference(reference)
        return json_response({"sha256": sha256, "bytes": size}, 201 if is_new else 200)

    async def get_reference(self, request: Request) -> Response:
        """Say whether a reference is kept."""
        sha256 = request.path_params["sha256"]
        size = await self._sources.reference_size(sha256)
        return json_response({"sha256": sha256.lower(), "bytes": size})

    async def describe(self, _request: Request) -> Response:
        """Say what the service is, and what it accepts."""
        return json_response(answers.about_body(await self._backend.describe(), self._limits))

    async def say_alive(self, _request: Request) -> Response:
        """Say that the process lives."""
        return json_response({"status": "ok"})

    async def say_ready(self, _request: Request) -> Response:
        """Say whether requests are answered now."""
        if not self.is_open():
            raise request_failed("ServiceClosing", "the service is closing")
        if time.monotonic() < self._ready_until:
            return json_response({"status": "ok"})
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._backend.describe()
        except Exception as error:  # whatever it is: the service is not ready
            LOGGER.debug("not ready: %s: %s", type(error).__name__, error)
            raise request_failed("NotReady", "the networks are not loaded yet") from error
        self._ready_until = time.monotonic() + _READY_AGAIN_SECONDS
        return json_response({"status": "ok"})

    async def read_metrics(self, _request: Request) -> Response:
        """Return the metrics of this node."""
        text = await asyncio.to_thread(read_node_metrics)
        return Response(text, media_type="text/plain; version=0.0.4")

    async def _read_form(self, request: Request, fields: Mapping[str, int]) -> Form:
        """Read a form that has a reference, these fields, and perhaps a mask."""
        content_type = request.headers.get("content-type", "")
        counts = {"reference": 1, **fields, "mask": 1}
        form = await read_form(content_type, request.stream(), counts)
        if missing := [name for name in counts if name not in form and name != "mask"]:
            raise request_failed(
                "InvalidRequest",
                f"the form has no field {missing[0]}; send a file"
                + (", a URI, or sha256:HEX" if missing[0] == "reference" else " or a URI"),
            )
        return form

    async def _read_inputs(
        self, form: Form, count: CountBytes
    ) -> tuple[ImageFile, ImageFile | None]:
        reference = await self._sources.read_required("reference", form["reference"][0], count)
        if "mask" not in form:
            return reference, None
        return reference, await self._sources.read_required("mask", form["mask"][0], count)

    async def _keep(self, form: Form, reference: ImageFile) -> None:
        """Keep a reference that was sent, so that the next request can name it by its hash.

        It is known to be an image by now, so that other files take no place of references.
        """
        if isinstance(form["reference"][0], ImageFile):
            try:
                await self._backend.put_reference(reference)
            except Exception as error:  # whatever it is: the numbers are there
                LOGGER.warning("a reference is not kept: %s: %s", type(error).__name__, error)


def _counter(request: Request) -> CountBytes:
    return cast(CountBytes, request.scope["state"][COUNT_BYTES])
