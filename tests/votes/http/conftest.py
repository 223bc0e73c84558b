"""A study that tests of the server share."""

from collections.abc import Iterator

import pytest

from roi_ray.votes.questions.table import Questions
from tests.votes.http.studies import Server, make_questions, make_site, running, write_images


@pytest.fixture(scope="package")
def questions(photos, tmp_path_factory) -> Questions:
    """Questions about crops of photographs."""
    folder = tmp_path_factory.mktemp("images")
    return make_questions(write_images(photos, folder), folder)


@pytest.fixture(scope="package")
def server(questions, tmp_path_factory) -> Iterator[Server]:
    """A study that raters of many tests join."""
    with running(questions, tmp_path_factory.mktemp("study"), make_site()) as server:
        yield server
