"""A rater's way through a study, by HTTP."""

import hashlib
import io

import numpy as np
from PIL import Image

from roi_ray.imaging.load import load_image
from tests.votes.http.studies import ask, make_vote


def test_rater_joins_votes_and_ends(server, questions) -> None:
    with server.join() as rater:
        assert rater.get("/", follow_redirects=True).url.path == "/study"
        first, second = ask(rater)
        assert set(first) == {"id", "training", "number", "width", "height", "images"}
        assert ask(rater) == [first, second]
        vote = make_vote(first["id"])
        responses = [rater.post("/api/votes", json=vote) for _ in range(2)]
        assert [response.status_code for response in responses] == [201, 200]
        assert {response.text for response in responses} == {'{"recorded": true, "expected": null}'}
        assert ask(rater)[0]["id"] == second["id"]
        answered = 1
        while asks := ask(rater):
            assert rater.post("/api/votes", json=make_vote(asks[0]["id"])).status_code == 201
            answered += 1
        end = rater.post("/api/questions").json()
        assert end["done"] and end["answered"] == answered
        session = rater.cookies["roi_ray_rater"]
        assert end["rater"] == hashlib.sha256(session.encode()).hexdigest()[:16]


def test_images_are_the_pixels_of_the_files(server, questions) -> None:
    with server.join() as rater:
        for each in ask(rater):
            rater_id = server.study.find_rater(rater.cookies["roi_ray_rater"])
            stored = server.study.find_ask(rater_id, each["id"])
            row = questions.table.slice(questions.find(stored.question), 1).to_pylist()[0]
            other = "b" if stored.first == "a" else "a"
            names = {"original": "reference", "1": stored.first, "2": other}
            for role, column in names.items():
                response = rater.get(each["images"][role])
                assert response.headers["content-type"] == "image/webp"
                assert "immutable" in response.headers["cache-control"]
                shown = np.asarray(Image.open(io.BytesIO(response.content)))
                assert (shown == load_image(row[column])).all()
                assert shown.shape == (each["height"], each["width"], 3)
