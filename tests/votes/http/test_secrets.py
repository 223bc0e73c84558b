"""No answer tells a rater what is compared, which questions check the rater, or what others say."""

import json
import re

import pytest

from tests.votes.http.studies import ask, make_site, make_vote, running

UNSAFE = ("PUT", "POST", "DELETE", "OPTIONS", "PATCH")


@pytest.fixture(scope="module")
def transcript(questions, tmp_path_factory) -> tuple[list[bytes], list[str]]:
    """All that a rater can be answered, head and body, and what is secret in it."""
    answers: list[bytes] = []

    def note(response) -> None:
        head = repr(sorted((k, v) for k, v in response.headers.items() if k != "set-cookie"))
        answers.append(head.encode() + response.read())

    folder, site = tmp_path_factory.mktemp("study"), make_site()
    with running(questions, folder, site, training=2, gold=0.3, repeats=0.2) as server:
        with server.join() as other:
            other_ask = ask(other)[0]["id"]
            other.post("/api/votes", json=make_vote(other_ask))
        other_name = server.study.read_answers()[0].ask.rater
        with server.join(event_hooks={"response": [note]}) as rater:
            page = rater.get("/study").text
            assets = set(re.findall(r"/static/[\w./-]+", page))
            paths = ["/", "/join/x", "/study", "/health", "/admin", "/admin/login", "/nothing"]
            paths += ["/admin/status", "/admin/comparisons.parquet", "/admin/raters.csv", *assets]
            while asks := ask(rater):
                for each in asks:
                    paths += each["images"].values()
                body = make_vote(asks[0]["id"])
                for _ in range(2):
                    rater.post("/api/votes", json=body)
                rater.post("/api/votes", json={**body, "choice": "2"})
                rater.post("/api/votes", json=make_vote(asks[0]["id"]))
            rater.post("/api/votes", json=make_vote(other_ask))
            rater.post("/api/votes", content=b"{")
            for path in dict.fromkeys(paths):
                rater.get(path)
                for method in UNSAFE:
                    rater.request(method, path)
            for path in ("/join", "/admin/login", "/admin/invitations", "/admin/logout"):
                rater.post(path, data={"number": "1", "key": "x", "token": "x"})
        kinds = {answer.ask.kind for answer in server.study.read_answers()}
        places = [str(folder), str(server.study.questions.allowlist.prefixes[0])]
    assert kinds == {"training", "question", "gold", "repeat"}
    return answers, [other_ask, other_name, *places]


def test_no_answer_has_a_secret(transcript, questions) -> None:
    answers, others = transcript
    uris = {u for c in ("reference", "a", "b") for u in questions.table[c].to_pylist()}
    names = {uri.rpartition("/")[2] for uri in uris}
    keys = questions.table["question"].to_pylist()
    secrets = [
        "secret-",
        "_method",
        "codec_",
        "gold",
        "repeat",
        "jpeg",
        *others,
        *uris,
        *names,
        *keys,
    ]
    assert len(answers) > 100
    for answer in answers:
        if b"text/javascript" in answer or b"text/css" in answer:
            continue  # the same for everybody, and public
        text = answer.partition(b"RIFF")[0]  # without the pixels
        for secret in secrets:
            assert secret.encode() not in text, (secret, text[:3000])


def test_pictures_have_no_metadata_and_do_not_tell_candidates_apart(server) -> None:
    with server.join() as rater:
        for each in ask(rater):
            one, two = (rater.get(each["images"][role]) for role in ("1", "2"))
            heads = [
                {k: v for k, v in r.headers.items() if k not in ("date", "content-length")}
                for r in (one, two)
            ]
            assert heads[0] == heads[1]
            for response in (one, two):
                assert response.content[12:16] == b"VP8L"  # one chunk: pixels alone


def test_questions_of_all_kinds_look_alike(transcript) -> None:
    answers, _ = transcript
    asks = []
    for answer in answers:
        text = answer[answer.find(b'{"asks"') :]
        if text.startswith(b'{"asks"'):
            asks += json.loads(text)["asks"]
    assert len({tuple(each) for each in asks}) == 1
    assert all(re.fullmatch(r"[0-9a-f]{32}", each["id"]) for each in asks)
