"""Many small documents of one service, fetched side by side."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from supplyguard import fetch
from supplyguard.errors import FetchError

if TYPE_CHECKING:
    import requests

_GIVE_UP: Final = 3
"""Failures in a row after which a service counts as down."""
_TICK: Final = 0.5
"""Seconds beyond the deadline that a thread has to hand over its last answer."""

Outcome = bytes | FetchError


def read_many(
    urls: Sequence[str],
    *,
    limits: fetch.Limits | None = None,
    seconds: float = 60.0,
    workers: int = 8,
) -> Iterator[tuple[str, Outcome]]:
    """Yield each address with what it gave, or with why it gave nothing, in the order of arrival.

    limits: of one document. seconds: for all of them; what is not there by then is a failure. Once
    several in a row have failed, the others are not asked for any more.
    """
    bounds = limits if limits is not None else fetch.Limits()
    run = _Run(urls, bounds, time.monotonic() + seconds)
    for _ in range(min(workers, len(urls))):
        # daemons: an answer that never ends must not keep the process from ending
        threading.Thread(target=run.work, daemon=True).start()
    missing = dict.fromkeys(urls)
    while missing:
        try:
            url, outcome = run.done.get(timeout=max(0.0, run.deadline + _TICK - time.monotonic()))
        except queue.Empty:
            break
        del missing[url]
        yield url, outcome
    for url in missing:
        yield url, FetchError(f"{fetch.shown(url)}: no answer within {seconds:g} s")


class _Run:
    """Addresses still to be asked, shared by threads."""

    def __init__(self, urls: Sequence[str], limits: fetch.Limits, deadline: float) -> None:
        self.deadline = deadline
        self.done: queue.SimpleQueue[tuple[str, Outcome]] = queue.SimpleQueue()
        self._limits = limits
        self._todo: queue.SimpleQueue[str] = queue.SimpleQueue()
        for url in dict.fromkeys(urls):
            self._todo.put(url)
        self._failures = 0
        self._down: FetchError | None = None

    def work(self) -> None:
        """Fetch until there is nothing more to fetch, over connections of this thread's own."""
        with fetch.connection() as session:
            while True:
                try:
                    url = self._todo.get_nowait()
                except queue.Empty:
                    return
                self.done.put((url, self._ask(url, session)))

    def _ask(self, url: str, session: requests.Session) -> Outcome:
        """Ask once; a service that failed several times in a row is not asked again."""
        if self._down is not None:
            return self._down
        left = self.deadline - time.monotonic()
        if left <= 0:
            return FetchError(f"{fetch.shown(url)}: no time left")
        limits = replace(self._limits, seconds=min(self._limits.seconds, left))
        try:
            content = fetch.read(url, limits=limits, session=session)
        except FetchError as error:
            self._failures += 1
            if self._failures >= _GIVE_UP:
                self._down = error
            return error
        self._failures = 0
        return content
