"""Run a study in the foreground: prepare it, serve its pages until a signal, and export."""

import asyncio
import contextlib
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from roi_ray import schema
from roi_ray.io import storage
from roi_ray.io.lock import OutputLock
from roi_ray.runtime.logs import LOGGER, last_line
from roi_ray.votes.options import Access, Address, Opening, StudyFiles, VoteOptions
from roi_ray.votes.study_files import (
    FOLDER,
    check_new,
    check_source,
    choose_database,
    open_store,
)
from roi_ray.web.addresses import listen, make_url
from roi_ray.web.keys import hash_key
from roi_ray.web.limits import check_positive

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from roi_ray.votes.study import Study

_LOCK = ("_run", "lock.json")
_CLOSING_SECONDS = 10
_KEEP_ALIVE_SECONDS = 15
_PROXIES = ["127.0.0.1", "::1"]
"""Addresses of a proxy whose X-Forwarded-For is believed: on this machine."""


def run_study(
    files: StudyFiles,
    options: VoteOptions,
    address: Address | None = None,
    access: Access | None = None,
    export_seconds: float = 60.0,
    *,
    announce: Callable[[Opening], None],
) -> int:
    """Ask people until SIGTERM or SIGINT; call it in the main thread.

    The first signal closes the door: requests in progress are answered, and all answers are
    exported. A second one ends the study at once; what it has acknowledged is in its database.

    Args:
        files: where questions come from, and where answers go.
        options: what people are asked, and how often.
        address: where the study is reached.
        access: who gets in.
        export_seconds: time between two exports, if there are new answers.
        announce: called when people can come; what it cannot write (OSError) ends nothing.

    Returns:
        number of answers that the study has.

    Raises:
        UsageError: an option, the host or the port cannot be used, or the answers would replace
            the comparisons or scores that the questions are made of.
        ManifestError: the comparisons or scores cannot be used.
        OutputError: the output or the database has files of another study, or another process uses
            it; or the answers could not be exported.
        StorageError: a file cannot be read or written.
    """
    address, access = address or Address(), access or Access()
    database = choose_database(files)
    check_source(files)
    check_positive("export_seconds", export_seconds)
    export_seconds = min(export_seconds, threading.TIMEOUT_MAX)
    from roi_ray.votes.asking.orders import make_order
    from roi_ray.votes.exporting import Exports
    from roi_ray.votes.http.app import build_app
    from roi_ray.votes.http.site import make_site
    from roi_ray.votes.questions.source import read_questions
    from roi_ray.votes.questions.stored import merge_stored
    from roi_ray.votes.study import Study

    output = storage.absolute(files.output)
    with ExitStack() as stack:
        server = stack.enter_context(listen(address.host, address.port))
        url = address.public_url or make_url(address.host, server.getsockname()[1])
        key = None if access.admin_keys else secrets.token_urlsafe(24)
        hashes = (hash_key(key),) if key else access.admin_keys
        site = make_site(url, address.host, files.consent, hashes)
        questions = read_questions(files.comparisons, files.scores, options, files.allow_prefixes)
        folder = storage.join(database, FOLDER)
        check_new(folder, output)
        if options.active:
            make_order(questions, options)  # refuses what it cannot use, before anything is written
        lock = stack.enter_context(OutputLock(storage.join(output, *_LOCK)))
        if database != output:
            stack.enter_context(OutputLock(storage.join(database, *_LOCK)))
        store = stack.enter_context(open_store(folder, output))
        questions = merge_stored(questions, folder, store.study, store.list_questions())
        study = Study(questions, store, options)
        app = build_app(study, site)
        stack.enter_context(Exports(study, output, lock, export_seconds))
        tokens = _invite(study, access)
        opening = Opening(
            site.origin,
            _count_ordinary(study),
            study.answers,
            [site.link(token) for token in tokens],
            study.count_places(),
            key,
        )
        has_proxy = address.public_url is not None
        asyncio.run(_serve(app, server, lambda: _announce(announce, opening), has_proxy))
        return study.answers


def _invite(study: "Study", access: Access) -> list[str]:
    """Make the invitations that were asked for; one where a new study has none."""
    number = access.invitations
    if number is None:
        number = 0 if study.answers or study.count_places() else 1
    return study.invite(number, access.raters) if number else []


def _count_ordinary(study: "Study") -> int:
    gold = study.questions.table[schema.GOLD].to_numpy()
    return int((study.questions.is_open & ~gold).sum())


def _announce(announce: Callable[[Opening], None], opening: Opening) -> None:
    try:
        announce(opening)
    except OSError as error:  # people can come nevertheless
        LOGGER.warning(
            "the study is open at %s, but links and key could not be written: %s",
            opening.url,
            last_line(str(error)),
        )


async def _serve(
    app: "ASGIApp", server: socket.socket, announce: Callable[[], None], has_proxy: bool
) -> None:
    """Serve an app until a signal; requests in progress are then answered."""
    import uvicorn

    class Server(uvicorn.Server):
        """Ends on the first signal, without raising it again, and at once on the second one."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            numbers = (signal.SIGTERM, signal.SIGINT)
            previous = [signal.signal(number, self.handle_exit) for number in numbers]
            try:
                yield
            finally:
                for number, handler in zip(numbers, previous, strict=True):
                    signal.signal(number, handler)

        def handle_exit(self, sig: int, frame: object) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                announce()

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # it has addresses, and links of invitations
        server_header=False,
        # Anybody could invent the header X-Forwarded-For, where no proxy replaces it.
        proxy_headers=has_proxy,
        forwarded_allow_ips=_PROXIES,
        lifespan="on",
        ws="none",
        backlog=1024,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_CLOSING_SECONDS,
    )
    await Server(config).serve([server])
