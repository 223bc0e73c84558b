"""The OpenAPI document, and its pages in a browser without a network."""

import re

import httpx
import pytest

from roi_ray.service.http import bodies
from tests.browser import browser

__all__ = ["browser"]  # a fixture


@pytest.fixture(scope="module")
def document(service) -> dict:
    return service.get("/openapi.json").json()


def test_every_path_describes_its_answers_and_errors(document) -> None:
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == {
        "POST /v1/score",
        "POST /v1/compare",
        "GET /v1/mask",
        "PUT /v1/references/{sha256}",
        "GET /v1/references/{sha256}",
        "HEAD /v1/references/{sha256}",
        "GET /v1/about",
        "GET /v1/health",
        "HEAD /v1/health",
        "GET /v1/ready",
        "HEAD /v1/ready",
        "GET /metrics",
    }
    names = [operation["operationId"] for operation in operations.values()]
    assert len(set(names)) == len(names)
    for name, operation in operations.items():
        assert operation["description"], name
        for status, response in operation["responses"].items():
            assert response["description"] and response["content"], (name, status)
            if int(status) >= 400:
                schema = response["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorBody"}, (name, status)
    statuses = {"200", "400", "401", "403", "404", "408", "413", "422", "429", "500", "503", "504"}
    assert set(operations["POST /v1/score"]["responses"]) == statuses
    assert "Retry-After" in operations["POST /v1/score"]["responses"]["429"]["headers"]


def test_form_fields_are_described(document) -> None:
    content = document["paths"]["/v1/score"]["post"]["requestBody"]["content"]
    for schema in (each["schema"] for each in content.values()):
        assert schema["required"] == ["reference", "image"]
        assert set(schema["properties"]) == {"reference", "image", "mask"}
        assert schema["properties"]["image"]["maxItems"] == 4


def test_examples_of_bodies_are_valid() -> None:
    for name in ("ErrorBody",):
        model = getattr(bodies, name)
        for example in model.model_config["json_schema_extra"]["examples"]:
            model.model_validate(example)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_page_names_no_other_host(service, path) -> None:
    text = service.get(path).text
    assert not re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text)


@pytest.mark.parametrize(
    ("path", "selector"), [("/docs", "#operations-default-score"), ("/redoc", 'text="/v1/score"')]
)
def test_page_is_shown_without_a_network(service: httpx.Client, browser, path, selector) -> None:
    host = str(service.base_url)
    asked, complaints = [], []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{host}{path}")
    page.locator(selector).first.wait_for(timeout=120_000)  # on a busy machine
    page.wait_for_load_state("networkidle")
    page.close()
    others = [u for u in asked if not u.startswith((host, "data:", "blob:"))]
    assert not others
    assert not complaints
