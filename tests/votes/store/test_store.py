"""The database of a study: invitations, raters, asks and votes."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from roi_ray.errors import UsageError
from roi_ray.votes.store.refusals import VoteRefused
from roi_ray.votes.store.store import MAX_INVITATIONS, MAX_RATERS, Store
from tests.votes.store.studies import CONSENT, add_rater, make_vote


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "study.sqlite"


@pytest.fixture
def store(path):
    with Store(str(path)) as store:
        yield store


def add_asks(store, rater, count):
    return [store.add_ask(rater, f"q{n}", "question", "a", None) for n in range(count)]


def test_an_invitation_lets_in_as_many_raters_as_it_has_places(store) -> None:
    tokens = store.add_invitations(2, raters=3)
    assert len(set(tokens)) == 2 and store.count_places() == 6
    sessions = [store.join(tokens[0], CONSENT) for _ in range(5)]
    assert sessions[3:] == [None, None] and len(set(sessions[:3])) == 3
    assert (store.admits(tokens[0]), store.admits(tokens[1])) == (False, True)
    assert store.count_places() == 3
    raters = {store.find_rater(session) for session in sessions[:3]}
    assert len(raters) == 3 and None not in raters


def test_concurrent_joins_never_exceed_the_places(store) -> None:
    (token,) = store.add_invitations(1, raters=5)
    with ThreadPoolExecutor(8) as pool:
        sessions = list(pool.map(lambda _: store.join(token, CONSENT), range(20)))
    assert sum(session is not None for session in sessions) == 5


@pytest.mark.parametrize("token", ["", "x", "' OR 1=1 --", "\ud800", "\0", "x" * 1_000_000])
def test_wrong_tokens_open_nothing(store, token) -> None:
    store.add_invitations(1, raters=1)
    assert not store.admits(token)
    assert store.join(token, CONSENT) is None
    assert store.find_rater(token) is None
    assert store.count_places() == 1


def test_an_invitation_is_no_session_and_a_session_is_no_invitation(store) -> None:
    (token,) = store.add_invitations(1, raters=2)
    session = store.join(token, CONSENT)
    assert store.find_rater(token) is None
    assert not store.admits(session)


def test_the_files_contain_hashes_instead_of_tokens(store, path) -> None:
    (token,) = store.add_invitations(1, raters=2)
    session = store.join(token, CONSENT)
    written = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert token.encode() not in written and session.encode() not in written
    assert CONSENT.encode() in written
    for stored in ("token_sha256 FROM invitation", "session_sha256 FROM rater"):
        with sqlite3.connect(path) as copy:
            (digest,) = copy.execute(f"SELECT {stored}").fetchone()
        copy.close()
        # Who has the file cannot use what it contains.
        assert not store.admits(digest.hex()) and store.find_rater(digest.hex()) is None


@pytest.mark.parametrize(
    ("number", "raters"), [(0, 1), (1, 0), (-1, 1), (MAX_INVITATIONS + 1, 1), (1, MAX_RATERS + 1)]
)
def test_impossible_invitations_are_usage_errors(store, number, raters) -> None:
    with pytest.raises(UsageError, match="must be a whole number from 1 to"):
        store.add_invitations(number, raters)
    assert store.count_places() == 0


def test_only_a_hash_is_stored_as_consent(store) -> None:
    (token,) = store.add_invitations(1, raters=1)
    with pytest.raises(ValueError, match="not a SHA-256"):
        store.join(token, "Jane Doe, 1 Main Street")
    assert store.count_places() == 1


def test_asks_are_numbered_in_order_for_each_rater(store) -> None:
    first, second = add_rater(store), add_rater(store)
    training = store.add_ask(first, "q1", "training", "b", (8, 16, 512, 384))
    others = add_asks(store, second, 2)
    gold = store.add_ask(first, "q2", "gold", "a", None)
    assert [ask.number for ask in (training, gold, *others)] == [0, 1, 0, 1]
    assert store.list_asks(first) == store.list_open(first) == [training, gold]
    assert store.find_ask(first, training.id) == training
    assert training.crop == (8, 16, 512, 384) and training.first == "b"


def test_a_rater_never_reads_what_others_were_asked(store) -> None:
    first, second = add_rater(store), add_rater(store)
    (ask,) = add_asks(store, first, 1)
    assert store.find_ask(second, ask.id) is None
    assert store.list_asks(second) == store.list_open(second) == []
    with pytest.raises(VoteRefused) as refused:
        store.add_vote(second, make_vote(ask.id))
    assert refused.value.error_kind == "UnknownAsk"
    assert store.read_answers() == []


@pytest.mark.parametrize("text", ["", "' OR 1=1 --", "\ud800", "\0", "%", "x" * 1_000_000])
def test_unknown_raters_and_asks_are_not_found(store, text) -> None:
    rater = add_rater(store)
    add_asks(store, rater, 1)
    assert store.find_ask(rater, text) is None and store.find_ask(text, text) is None
    assert store.list_asks(text) == store.list_open(text) == []
    with pytest.raises(VoteRefused, match="not asked"):
        store.add_vote(rater, make_vote(text))


def test_nothing_is_asked_of_unknown_raters(store) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        store.add_ask("nobody", "q1", "question", "a", None)
    assert store.list_asks("nobody") == []


def test_answers_are_read_back_in_order_and_survive_a_restart(path) -> None:
    with Store(str(path)) as store:
        rater = add_rater(store)
        asks = add_asks(store, rater, 3)
        votes = [
            make_vote(ask.id, choice) for ask, choice in zip(asks, ("2", "none"), strict=False)
        ]
        for vote in reversed(votes):
            assert store.add_vote(rater, vote)
    with Store(str(path)) as store:
        answers = store.read_answers()
        assert [answer.vote for answer in answers] == votes[::-1]
        assert [answer.ask for answer in answers] == asks[1::-1]
        assert [answer.number for answer in answers] == [1, 2]
        assert [answer.p_a for answer in answers] == [0.5, 0.0]
        assert answers[0].answered_at.is_integer()
        assert store.read_answers(after=1) == answers[1:]
        assert store.list_open(rater) == asks[2:] and store.list_asks(rater) == asks


def test_the_same_vote_again_is_one_row(store) -> None:
    rater = add_rater(store)
    (ask,) = add_asks(store, rater, 1)
    vote = make_vote(ask.id)
    assert store.add_vote(rater, vote)
    elsewhere = replace(vote.screen, width=390, browser="newer")
    for again in (vote, replace(vote, id=vote.id.upper()), replace(vote, screen=elsewhere)):
        assert not store.add_vote(rater, again)
    assert [answer.vote for answer in store.read_answers()] == [vote]


@pytest.mark.parametrize(
    "change", [{"choice": "2"}, {"choice": "none"}, {"flips": 5}, {"milliseconds": 5001}]
)
def test_another_vote_for_an_answered_ask_is_refused(store, change) -> None:
    rater = add_rater(store)
    asks = add_asks(store, rater, 2)
    vote = make_vote(asks[0].id)
    store.add_vote(rater, vote)
    for other, kind in (
        (make_vote(asks[0].id), "AlreadyAnswered"),
        (replace(vote, **change), "VoteMismatch"),
        (replace(vote, ask=asks[1].id), "VoteMismatch"),
    ):
        with pytest.raises(VoteRefused) as refused:
            store.add_vote(rater, other)
        assert refused.value.error_kind == kind
    assert [answer.vote for answer in store.read_answers()] == [vote]


def test_the_same_vote_from_many_threads_is_new_once(store) -> None:
    rater = add_rater(store)
    asks = add_asks(store, rater, 5)
    votes = [make_vote(ask.id) for ask in asks]
    barrier = threading.Barrier(4)

    def send(_):
        barrier.wait(60)
        return [store.add_vote(rater, vote) for vote in votes]

    with ThreadPoolExecutor(4) as pool:
        is_new = list(pool.map(send, range(4)))
    assert [sum(column) for column in zip(*is_new, strict=True)] == [1] * 5
    assert len(store.read_answers()) == 5


def test_pending_questions_are_recent_ordinary_and_not_answered(store, path) -> None:
    rater = add_rater(store)
    asks = add_asks(store, rater, 3)
    store.add_ask(rater, "q9", "gold", "a", None)
    store.add_ask(add_rater(store), "q2", "question", "a", None)
    store.add_vote(rater, make_vote(asks[0].id))
    assert sorted(store.list_pending()) == ["q1", "q2", "q2"]
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("UPDATE ask SET asked_at = asked_at - 601 WHERE id = ?", [asks[1].id])
    other.close()
    assert store.list_pending() == ["q2", "q2"]
    assert sorted(store.list_pending(3600)) == ["q1", "q2", "q2"]


def test_queries_use_indices_however_large_the_study(store) -> None:
    rater = add_rater(store)
    (ask,) = add_asks(store, rater, 1)
    queries: list[str] = []
    connection = store._database._connection
    connection.set_trace_callback(queries.append)
    store.find_rater("x")
    store.admits("x")
    store.list_asks(rater)
    store.list_open(rater)
    store.list_pending()
    store.find_ask(rater, ask.id)
    store.add_ask(rater, "q", "gold", "a", None)
    store.add_vote(rater, make_vote(ask.id))
    store.read_answers(after=7)
    connection.set_trace_callback(None)
    selects = [query for query in queries if query.startswith("SELECT")]
    assert len(selects) == 10
    for query in selects:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan), (query, plan)
