"""A process that votes, and prints the id of each vote that the store has acknowledged.

Usage: python voter.py DATABASE [LIMIT]: with LIMIT, no file may become larger than so many bytes;
the first error is printed, and the vote is sent again without the limit.
"""

import resource
import sys

from roi_ray.errors import StorageUnavailable
from roi_ray.votes.store.store import Store
from tests.votes.store.studies import add_rater, make_vote


def say(text: str) -> None:
    print(text, flush=True)


def main(path: str, limit: int | None) -> None:
    store = Store(path)
    say("open")
    rater = add_rater(store)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    vote = None
    try:
        while True:
            ask = store.add_ask(rater, "q", "question", "a", None)
            vote = make_vote(ask.id)
            store.add_vote(rater, vote)
            say(vote.id)
    except StorageUnavailable as error:
        say(str(error))
    assert vote is not None
    asks = len(store.list_asks(rater))  # reading goes on
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    ask = store.add_ask(rater, "q", "question", "a", None)
    assert ask.number == asks
    vote = make_vote(ask.id)
    store.add_vote(rater, vote)
    say(vote.id)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
