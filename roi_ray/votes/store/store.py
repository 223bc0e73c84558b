"""The database of a study: who may take part, what was asked, and what was answered."""

import time
from typing import Self

from roi_ray.errors import UsageError
from roi_ray.votes.records import Answer, Ask, Crop, Kind, Side, Vote
from roi_ray.votes.store.checks import check_consent, check_vote
from roi_ray.votes.store.database import Database
from roi_ray.votes.store.refusals import VoteRefused
from roi_ray.votes.store.rows import (
    ASK_COLUMNS,
    VOTE_COLUMNS,
    answer_from_row,
    ask_from_row,
    ask_to_row,
    same_answer,
    vote_from_row,
    vote_to_row,
)
from roi_ray.votes.store.tokens import hash_token, make_id, make_token

MAX_INVITATIONS = 10_000
"""Invitations that are made at a time."""

MAX_RATERS = 1_000_000
"""Raters that one invitation lets in."""


class Store:
    """What a study stores, in an SQLite database. When a method returns, it is on the disk.

    Threads and processes may share a database: they write one after another.

    All methods raise StorageUnavailable where the storage fails: a full disk, a file that became
    read-only or was deleted. Then nothing of that call is stored, and all that was stored before
    still is; the call may be repeated. The message names the file, so it is for the operator.

    Args:
        path: a local path; the file and missing folders are created.

    Attributes:
        study: random text that marks the files of this study.

    Raises:
        OutputError: the file is no study's database, of another version, damaged or read-only.

    Examples:
        >>> import tempfile
        >>> from roi_ray.votes.records import Screen
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = Store(f"{folder.name}/study.sqlite")
        >>> (token,) = store.add_invitations(1, raters=1)
        >>> session = store.join(token, consent_sha256="0" * 64)
        >>> store.join(token, consent_sha256="0" * 64) is None  # the only place is taken
        True
        >>> rater = store.find_rater(session)
        >>> ask = store.add_ask(rater, question="5f2c", kind="question", first="b", crop=None)
        >>> id = "0fa85f64-5717-4562-b3fc-2c963f66afa6"
        >>> vote = Vote(id, ask.id, "1", 4, 5200, Screen(390, 844, 3.0, "Firefox"))
        >>> store.add_vote(rater, vote), store.add_vote(rater, vote)
        (True, False)
        >>> [answer.p_a for answer in store.read_answers()]
        [0.0]
        >>> store.close()
        >>> folder.cleanup()
    """

    def __init__(self, path: str) -> None:
        self._database = Database(path)
        ((self.study,),) = self._database.read("read the study", "SELECT id FROM study")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add_invitations(self, number: int, raters: int) -> list[str]:
        """Make invitations, and return their tokens, which are not stored: only their SHA-256 is.

        Args:
            number: how many, at most `MAX_INVITATIONS`.
            raters: how many raters each of them lets in, at most `MAX_RATERS`.

        Raises:
            UsageError: a number is below 1 or too large.
        """
        _check_number("invitations", number, MAX_INVITATIONS)
        _check_number("raters per invitation", raters, MAX_RATERS)
        tokens = [make_token() for _ in range(number)]
        now = _now()
        with self._database.write("store invitations") as transaction:
            transaction.executemany(
                "INSERT INTO invitation (token_sha256, places, created_at) VALUES (?, ?, ?)",
                [(hash_token(token), raters, now) for token in tokens],
            )
        return tokens

    def count_places(self) -> int:
        """Count the raters who can still join."""
        query = "SELECT coalesce(sum(places), 0) FROM invitation"
        return int(self._database.read("count places", query)[0][0])

    def admits(self, token: str) -> bool:
        """Return whether an invitation still lets a rater in."""
        query = "SELECT 1 FROM invitation WHERE token_sha256 = ? AND places > 0"
        return bool(self._database.read("read invitations", query, [hash_token(token)]))

    def join(self, token: str, consent_sha256: str) -> str | None:
        """Make a rater, who takes one of the places of an invitation.

        Args:
            token: the invitation's.
            consent_sha256: SHA-256, in hexadecimal, of the text that the rater agreed to.

        Returns:
            the token of the rater's session, of which only the SHA-256 is stored; None if the
            invitation is not known or has no place left.
        """
        consent = check_consent(consent_sha256)
        session = make_token()
        take = "UPDATE invitation SET places = places - 1 WHERE token_sha256 = ? AND places > 0"
        add = (
            "INSERT INTO rater (id, session_sha256, consent_sha256, joined_at) VALUES (?, ?, ?, ?)"
        )
        with self._database.write("store a rater") as transaction:
            if transaction.execute(take, [hash_token(token)]).rowcount == 0:
                return None
            transaction.execute(add, [make_id(), hash_token(session), consent, _now()])
        return session

    def find_rater(self, session: str) -> str | None:
        """Return the rater whose session this is, or None."""
        query = "SELECT id FROM rater WHERE session_sha256 = ?"
        rows = self._database.read("read raters", query, [hash_token(session)])
        return rows[0][0] if rows else None

    def list_asks(self, rater: str) -> list[Ask]:
        """List all that a rater was asked, in order."""
        query = f"SELECT {ASK_COLUMNS} FROM ask WHERE rater = ? ORDER BY number"
        return [ask_from_row(row) for row in self._database.read("read asks", query, [rater])]

    def list_questions(self) -> list[str]:
        """List the keys of the questions that anybody was asked, each once."""
        rows = self._database.read("read asks", "SELECT DISTINCT question FROM ask")
        return [row[0] for row in rows]

    def list_open(self, rater: str) -> list[Ask]:
        """List what a rater was asked and has not answered, in order."""
        query = f"SELECT {ASK_COLUMNS} FROM ask WHERE rater = ? AND is_open ORDER BY number"
        return [ask_from_row(row) for row in self._database.read("read asks", query, [rater])]

    def add_ask(self, rater: str, question: str, kind: Kind, first: Side, crop: Crop | None) -> Ask:
        """Store that a rater is asked a question, after all that the rater was asked before.

        Raises:
            sqlite3.IntegrityError: there is no such rater, kind or side.
        """
        columns = (
            "id, rater, question, kind, first, number, crop_x, crop_y, crop_width, crop_height"
        )
        add = f"INSERT INTO ask ({columns}, asked_at) VALUES ({', '.join('?' * 11)})"
        count = "SELECT coalesce(max(number) + 1, 0) FROM ask WHERE rater = ?"
        with self._database.write("store what is asked") as transaction:
            (number,) = transaction.execute(count, [rater]).fetchone()
            ask = Ask(make_id(), rater, question, kind, first, number, crop)
            transaction.execute(add, [*ask_to_row(ask), _now()])
        return ask

    def find_ask(self, rater: str, id: str) -> Ask | None:
        """Return what a rater was asked, or None: also if another rater was asked it."""
        query = f"SELECT {ASK_COLUMNS} FROM ask WHERE id = ? AND rater = ?"
        rows = self._database.read("read asks", query, [id, rater])
        return ask_from_row(rows[0]) if rows else None

    def add_vote(self, rater: str, vote: Vote) -> bool:
        """Store a vote; when this returns, it is on the disk.

        Returns:
            True if the vote is new; False if this very vote is stored already. A vote is the same
            if its id, ask, choice, flips and milliseconds are; its screen does not matter.

        Raises:
            VoteRefused: a value cannot be stored, the rater was not asked this or has answered it
                by another vote, or the id belongs to a vote that says something else.
        """
        vote = check_vote(vote)
        if self.find_ask(rater, vote.ask) is None:
            raise VoteRefused("UnknownAsk", "you were not asked this question")
        find = f"SELECT {VOTE_COLUMNS} FROM vote WHERE id = ? OR ask = ?"
        columns = VOTE_COLUMNS.replace("vote.", "")
        add = f"INSERT INTO vote ({columns}, answered_at) VALUES ({', '.join('?' * 10)})"
        with self._database.write("store a vote") as transaction:
            for row in transaction.execute(find, [vote.id, vote.ask]).fetchall():
                stored = vote_from_row(row)
                if stored.id != vote.id:
                    raise VoteRefused("AlreadyAnswered", "you have answered this question already")
                if not same_answer(stored, vote):
                    raise VoteRefused("VoteMismatch", "this vote's id belongs to another vote")
                return False
            transaction.execute(add, [*vote_to_row(vote), _now()])
            transaction.execute("UPDATE ask SET is_open = 0 WHERE id = ?", [vote.ask])
        return True

    def read_answers(self, after: int = 0) -> list[Answer]:
        """Read all votes whose number is above `after`, with what was asked, in order."""
        query = (
            f"SELECT vote.number, vote.answered_at, {VOTE_COLUMNS}, {ASK_COLUMNS} "
            "FROM vote CROSS JOIN ask ON ask.id = vote.ask "
            "WHERE vote.number > ? ORDER BY vote.number"
        )
        return [answer_from_row(row) for row in self._database.read("read votes", query, [after])]

    def list_pending(self, seconds: float = 600) -> list[str]:
        """List the questions that raters were asked in the last `seconds` and have not answered.

        Only those of kind `question`; each as often as it is pending.
        """
        query = (
            "SELECT question FROM ask WHERE is_open AND kind = 'question' AND asked_at >= ? "
            "ORDER BY asked_at"
        )
        rows = self._database.read("read asks", query, [int(time.time() - seconds)])
        return [row[0] for row in rows]


def _now() -> int:
    return int(time.time())


def _check_number(name: str, value: int, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise UsageError(f"{name}: {value}; it must be a whole number from 1 to {most}")
