"""The HTTP interface around a backend in this process, through a real uvicorn."""

import asyncio
import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image

import roi_ray
from roi_ray.errors import WorkerDied
from roi_ray.io.json_values import replace_non_finite
from roi_ray.schema import Failure
from roi_ray.scoring.version import SCORING_VERSION
from roi_ray.service.backend import CompareAnswer, Provenance, ScoreAnswer
from roi_ray.service.http import bodies
from roi_ray.service.http.api import build_api
from roi_ray.service.http.endpoints import Endpoints
from roi_ray.service.options import ServiceOptions
from roi_ray.web.error_answers import STATUSES
from roi_ray.web.keys import hash_key
from tests.conftest import encode
from tests.service.conftest import MAX_BYTES, MAX_IMAGES, MAX_PIXELS, check_error, sha256


@pytest.fixture(scope="module")
def x(photos) -> bytes:
    return encode(photos["coffee"][100:228, 100:260])


@pytest.fixture(scope="module")
def y(photos) -> bytes:
    return encode(photos["coffee"][100:228, 100:260], "JPEG", quality=30)


@pytest.fixture(scope="module")
def z(photos) -> bytes:
    return encode(photos["coffee"][100:228, 100:260], "WEBP", quality=10)


@pytest.fixture(scope="module")
def mask() -> bytes:
    levels = np.zeros((128, 160), np.uint8)
    levels[20:90, 30:120] = 255
    return encode(levels)


def score(service: httpx.Client, *parts: tuple[str, object], **data: object) -> httpx.Response:
    return service.post("/v1/score", files=list(parts), data=data)


def test_numbers_are_those_of_score(service, x, y, z, mask) -> None:
    response = score(
        service,
        ("reference", ("x.png", x)),
        ("image", ("y.jpg", y)),
        ("image", ("z.webp", z)),
        ("mask", ("mask.png", mask)),
    )
    assert response.status_code == 200
    body = response.json()
    bodies.ScoreBody.model_validate(body)
    scores = [roi_ray.score(x, each, mask=mask, device="cpu") for each in (y, z)]
    assert body["images"] == [
        {"image": name, "sha256": sha256(data), **each.to_dict(), "error_kind": None, "error": None}
        for name, data, each in zip(("y.jpg", "z.webp"), (y, z), scores, strict=True)
    ]
    assert body["mask"] == {"name": "mask.png", "sha256": sha256(mask)}
    assert body["reference"] == {"name": "x.png", "sha256": sha256(x), "cached": False}
    assert (body["roi_ray"], body["scoring_version"]) == (roi_ray.__version__, SCORING_VERSION)
    assert body["settings"]["lpips"] == "alex"
    assert body["weights"]["saliency"][0]["name"] == "saliency-lite0.safetensors"


def test_one_bad_image_is_one_bad_result(service, x, y) -> None:
    wrong_size = encode(np.zeros((40, 50, 3), np.uint8))
    body = score(
        service,
        ("reference", ("x.png", x)),
        ("image", ("cut.jpg", y[:300])),
        ("image", ("y.jpg", y)),
        ("image", ("empty.png", b"")),
        ("image", ("small.png", wrong_size)),
    ).json()
    kinds = [image["error_kind"] for image in body["images"]]
    assert kinds == ["ImageReadError", None, "ImageReadError", "SizeMismatch"]
    assert body["images"][0]["error"].startswith("cut.jpg: ")
    assert list(body["images"][2]) == ["image", "sha256", "error_kind", "error"]
    assert body["images"][1]["mse"] == roi_ray.score(x, y, device="cpu").mse


def test_only_bad_images_are_only_bad_results(service, x) -> None:
    body = score(service, ("reference", ("x.png", x)), image="http://169.254.169.254/").json()
    (image,) = body["images"]
    assert image["image"] == "http://169.254.169.254/"
    assert (image["sha256"], image["error_kind"]) == (None, "NotAllowed")


def test_comparison_is_that_of_prefer(service, x, y, z, mask) -> None:
    files = {"reference": x, "a": y, "b": z, "mask": mask}
    response = service.post("/v1/compare", files=files)
    assert response.status_code == 200
    body = response.json()
    bodies.CompareBody.model_validate(body)
    expected = roi_ray.prefer(x, y, z, mask=mask, device="cpu").to_dict()
    assert body["preference"] == json.loads(json.dumps(replace_non_finite(expected)))
    assert body["reference"]["sha256"] == sha256(x)


@pytest.mark.parametrize("name", ["a", "b"])
def test_comparison_with_an_unusable_image_says_which(service, x, y, name) -> None:
    files = {"reference": ("x.png", x), "a": y, "b": y, name: ("bad.png", b"no image")}
    text = check_error(service.post("/v1/compare", files=files), 422, "ImageReadError")
    assert text.startswith(f"image {name}: ")
    files = {"reference": ("x.png", x), "a": y, "b": y, name: (None, "/etc/passwd")}
    text = check_error(service.post("/v1/compare", files=files), 403, "NotAllowed")
    assert text.startswith(f"image {name}: /etc/passwd: ")


def test_reference_is_sent_once_and_named_afterwards(service, x, y) -> None:
    path = f"/v1/references/{sha256(x)}"
    assert service.put(path, content=x).status_code in (200, 201)
    response = service.put(path, content=x)
    assert (response.status_code, response.json()) == (
        200,
        {"sha256": sha256(x), "bytes": len(x)},
    )
    assert service.get(path).json() == {"sha256": sha256(x), "bytes": len(x)}
    assert service.head(path).status_code == 200
    by_hash = score(service, ("image", ("y", y)), reference=f"sha256:{sha256(x).upper()}")
    by_file = score(service, ("image", ("y", y)), ("reference", ("x", x)))
    assert by_hash.json()["images"] == by_file.json()["images"]
    assert by_hash.json()["reference"]["cached"] and by_file.json()["reference"]["cached"]


def test_reference_of_a_request_can_be_named_by_the_next_one(service, photos, y) -> None:
    x = encode(photos["astronaut"][:128, :160])
    by_hash = {"reference": f"sha256:{sha256(x)}"}
    check_error(score(service, ("image", ("y", y)), **by_hash), 404, "UnknownReference")
    first = score(service, ("image", ("y", y)), ("reference", ("x", x)))
    assert not first.json()["reference"]["cached"]
    second = score(service, ("image", ("y", y)), **by_hash)
    assert second.json()["images"] == first.json()["images"]
    assert second.json()["reference"]["cached"]


def test_put_says_whether_a_reference_is_new(service) -> None:
    data = b"any file"
    assert service.put(f"/v1/references/{sha256(data)}", content=data).status_code == 201
    assert service.put(f"/v1/references/{sha256(data)}", content=data).status_code == 200


def test_put_of_another_file_is_a_hash_mismatch(service) -> None:
    response = service.put(f"/v1/references/{'0' * 64}", content=b"x")
    assert sha256(b"x") in check_error(response, 422, "HashMismatch")


def test_mask_is_a_png_with_its_mean(service, x) -> None:
    service.put(f"/v1/references/{sha256(x)}", content=x)
    response = service.get("/v1/mask", params={"reference": f"sha256:{sha256(x)}"})
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    image = Image.open(io.BytesIO(response.content))
    about = service.get("/v1/about").json()
    for name in ("scoring_version", "settings", "weights"):
        assert json.loads(image.text[name]) == about[name]
    assert response.headers["scoring-version"] == str(about["scoring_version"])
    levels = np.asarray(image)
    assert levels.shape == (128, 160)
    fraction = float(response.headers["roi-fraction"])
    assert fraction == roi_ray.score(x, x, device="cpu").roi_fraction
    assert levels.mean() / 255 == pytest.approx(fraction, abs=1 / 255)


def test_about_tells_versions_and_limits(service) -> None:
    body = service.get("/v1/about").json()
    bodies.AboutBody.model_validate(body)
    assert body["limits"]["max_body_bytes"] == MAX_BYTES
    assert service.get("/v1/health").json() == {"status": "ok"}
    assert service.get("/v1/ready").json() == {"status": "ok"}
    for path in ("/v1/health", "/v1/ready"):
        response = service.head(path)
        assert (response.status_code, response.content) == (200, b"")


def test_wrong_paths_and_methods_are_json_errors(service) -> None:
    assert "/nowhere" in check_error(service.get("/nowhere"), 404, "NotFound")
    check_error(service.get("/v1/score/"), 404, "NotFound")
    check_error(service.get("/%0a%1b[31m"), 404, "NotFound")
    response = service.get("/v1/score")
    check_error(response, 405, "MethodNotAllowed")
    assert response.headers["allow"] == "POST"
    assert service.delete(f"/v1/references/{'0' * 64}").headers["allow"] == "GET, HEAD, PUT"
    check_error(service.get("/static-offline-docs/../../etc/passwd"), 404, "NotFound")
    check_error(service.get("/static-offline-docs/%2e%2e/core.py"), 404, "NotFound")


def test_unusable_reference_or_mask_is_named(service, x, y) -> None:
    image = ("image", ("y", y))
    bad = score(service, image, ("reference", ("bad.png", b"bad")))
    assert check_error(bad, 422, "ImageReadError").startswith("reference bad.png: ")
    large = encode(np.zeros((1025, 1024, 3), np.uint8))
    response = score(service, image, ("reference", ("large.png", large)))
    assert str(MAX_PIXELS) in check_error(response, 422, "ImageTooLarge").replace(",", "")
    tiny = encode(np.zeros((5, 5, 3), np.uint8))
    check_error(score(service, image, ("reference", ("tiny", tiny))), 422, "ImageTooSmall")
    reference = ("reference", ("x.png", x))
    response = score(service, image, reference, ("mask", ("m.png", encode(np.zeros((4, 4), "u1")))))
    assert check_error(response, 422, "SizeMismatch").startswith("mask m.png: ")
    labels = encode(np.ones((128, 160), np.uint8))
    response = score(service, image, reference, ("mask", ("m.png", labels)))
    check_error(response, 422, "UnusableMask")
    response = score(service, image, reference, mask="sha256:" + "0" * 64)
    check_error(response, 403, "NotAllowed")
    response = score(service, image, reference="/etc/passwd")
    assert check_error(response, 403, "NotAllowed").startswith("reference /etc/passwd: ")


@pytest.mark.parametrize(
    "query", ["", "?reference=", "?x=1", "?reference=a&reference=b", "?reference=sha256:12"]
)
def test_mask_of_no_reference_is_an_error(service, query) -> None:
    response = service.get(f"/v1/mask{query}")
    assert response.status_code in (403, 422)
    check_error(response, response.status_code, response.json()["error_kind"])


def test_body_over_the_limit_is_refused(service, x) -> None:
    big = bytes(MAX_BYTES)
    check_error(score(service, ("reference", ("x", x)), ("image", ("y", big))), 413, "BodyTooLarge")
    response = service.put(f"/v1/references/{sha256(big + b'1')}", content=big + b"1")
    check_error(response, 413, "BodyTooLarge")


def test_too_many_images_are_refused(service, x, y) -> None:
    images = [("image", ("y", y))] * (MAX_IMAGES + 1)
    text = check_error(score(service, ("reference", ("x", x)), *images), 422, "InvalidRequest")
    assert "4 times" in text


class FakeBackend:
    """A backend whose answers a test chooses."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def _answer(self, *_: object) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    score = compare = make_mask = get_reference = reference_size = describe = _answer

    async def put_reference(self, _: object) -> bool:
        return True


def ask(backend: FakeBackend, method: str, path: str, **options: object) -> httpx.Response:
    """Send one request to a service with this backend, in this thread."""
    service = ServiceOptions(**options.pop("service", {}))
    close = options.pop("close", False)

    async def send() -> httpx.Response:
        gate = build_api(backend, service)
        if close:
            gate.close()
        transport = httpx.ASGITransport(gate, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


FORM = {"files": {"reference": ("x", b"x"), "image": ("y", b"y")}}


@pytest.mark.parametrize("kind", sorted(set(STATUSES) - {"InternalError"}))
def test_failure_of_a_request_has_the_status_of_its_kind(kind) -> None:
    response = ask(FakeBackend(Failure(kind, "reference x:\n bad")), "POST", "/v1/score", **FORM)
    assert check_error(response, STATUSES[kind], kind) == r"reference x:\n bad"


def test_failure_of_an_unknown_kind_is_an_internal_error(caplog) -> None:
    backend = FakeBackend(Failure("WeightsError", "/secret/path is missing"))
    text = check_error(ask(backend, "POST", "/v1/score", **FORM), 500, "InternalError")
    assert "secret" not in text
    assert "/secret/path is missing" in caplog.text


def test_defect_of_the_backend_is_an_internal_error(caplog) -> None:
    backend = FakeBackend(RuntimeError("secret"))
    text = check_error(ask(backend, "POST", "/v1/score", **FORM), 500, "InternalError")
    assert "secret" not in text
    (record,) = caplog.records
    assert "RuntimeError: secret" in record.getMessage() and record.exc_info is None


def test_error_that_the_backend_raises_has_the_status_of_its_kind() -> None:
    backend = FakeBackend(WorkerDied("two processes died"))
    response = ask(backend, "GET", f"/v1/references/{'0' * 64}")
    assert check_error(response, 503, "WorkerDied") == "two processes died"
    check_error(ask(backend, "GET", "/v1/about"), 503, "WorkerDied")


@pytest.mark.parametrize("error", [WorkerDied("two processes died"), RuntimeError("anything")])
def test_request_is_answered_though_its_reference_is_not_kept(error) -> None:
    class Forgetful(FakeBackend):
        async def put_reference(self, _: object) -> bool:
            raise error

    failure = Failure("ImageReadError", "y: bad")
    backend = Forgetful(ScoreAnswer(Provenance(4, {}, {}), (failure,), False))
    assert ask(backend, "POST", "/v1/score", **FORM).status_code == 200


def test_reference_of_a_request_that_failed_is_not_kept(service, y) -> None:
    junk = b"no image"
    response = score(service, ("image", ("y", y)), ("reference", ("x", junk)))
    check_error(response, 422, "ImageReadError")
    check_error(service.get(f"/v1/references/{sha256(junk)}"), 404, "UnknownReference")


def test_reference_that_is_named_counts_as_bytes_of_the_request(service, y) -> None:
    data = bytes(MAX_BYTES - len(y))
    service.put(f"/v1/references/{sha256(data)}", content=data)
    response = score(service, ("image", ("y", y)), reference=f"sha256:{sha256(data)}")
    check_error(response, 413, "BodyTooLarge")


def test_numbers_that_json_lacks_are_null() -> None:
    provenance = Provenance(4, {"x": float("inf")}, {})
    answer = CompareAnswer(provenance, {"logit": float("nan"), "all": (1.0, -float("inf"))}, False)
    files = {name: ("x", b"x") for name in ("reference", "a", "b")}
    response = ask(FakeBackend(answer), "POST", "/v1/compare", files=files)
    assert "NaN" not in response.text and "Infinity" not in response.text
    assert response.json()["preference"] == {"logit": None, "all": [1.0, None]}
    assert response.json()["settings"] == {"x": None}


def test_service_that_is_not_ready_says_so() -> None:
    check_error(ask(FakeBackend(RuntimeError("x")), "GET", "/v1/ready"), 503, "NotReady")
    ready = FakeBackend(Provenance(4, {}, {}))
    assert ask(ready, "GET", "/v1/ready").status_code == 200
    check_error(ask(ready, "GET", "/v1/ready", close=True), 503, "ServiceClosing")
    check_error(ask(ready, "GET", "/v1/about", close=True), 503, "ServiceClosing")
    assert ask(ready, "GET", "/v1/health", close=True).status_code == 200


def test_readiness_is_asked_for_once_a_second() -> None:
    class Counting(FakeBackend):
        calls = 0

        async def describe(self) -> Provenance:
            self.calls += 1
            return Provenance(4, {}, {})

    backend = Counting(None)
    endpoints = Endpoints(backend, ServiceOptions())

    async def run() -> list[int]:
        return [(await endpoints.say_ready(None)).status_code for _ in range(3)]

    assert asyncio.run(run()) == [200] * 3
    assert backend.calls == 1


def test_key_opens_all_but_health_readiness_and_documents() -> None:
    options = {"service": {"api_keys": (hash_key("k"),)}}
    backend = FakeBackend(Provenance(4, {}, {}))
    for path in ("/v1/health", "/v1/ready", "/docs", "/redoc", "/openapi.json"):
        assert ask(backend, "GET", path, **options).status_code == 200
    for path in ("/v1/about", "/metrics", "/v1/mask", "/nowhere", "/docs/x", "/v1/health/"):
        check_error(ask(backend, "GET", path, **options), 401, "Unauthorised")
    key = {"Authorization": "Bearer k"}
    assert ask(backend, "GET", "/v1/about", headers=key, **options).status_code == 200


def test_reference_that_cannot_be_kept_is_refused() -> None:
    options = {"service": {"reference_bytes": 3}}
    response = ask(
        FakeBackend(None), "PUT", f"/v1/references/{sha256(b'1234')}", content=b"1234", **options
    )
    check_error(response, 413, "BodyTooLarge")


def test_names_are_shown_in_one_short_line() -> None:
    name = "../../etc/\x1b[31m\u202epasswd" + "x" * 3000
    answer = ScoreAnswer(Provenance(4, {}, {}), (Failure("ImageReadError", name),), False)
    files = {"reference": ("/abs/x.png", b"x"), "image": (name, b"y")}
    body = ask(FakeBackend(answer), "POST", "/v1/score", files=files).json()
    assert body["reference"]["name"] == "/abs/x.png"
    (image,) = body["images"]
    for text in (image["image"], image["error"]):
        assert text.isprintable() and len(text) < 1100
    assert len(image["image"]) < 250
