"""What the live services are asked, and what they say."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from supplyguard.advisories.evidence import Problem
from supplyguard.advisories.osv import Record

Question = tuple[str, str | None]
"""A normalised package name, and a version without local part or None: any version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a service said of a question.

    yanked: why the release was withdrawn from the index, "" without a reason, None when it was not.
    problems: in its own words. records: advisories that match, to be judged as those of a store.
    failure: why it did not say everything, "" when it did.
    """

    problems: tuple[Problem, ...] = ()
    records: tuple[Record, ...] = ()
    failure: str = ""
    yanked: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How to ask. timeout: seconds for one answer. deadline: by time.monotonic(), for all of them.

    workers: questions at a time. cache: folder for answers that stay true.
    """

    timeout: float
    deadline: float
    workers: int
    cache: Path


Answers = queue.SimpleQueue[tuple[Question, Answer]]
"""Where answers come out, one for each question, in any order."""

Start = Callable[[str, list[Question], Terms], Answers]
"""Begin to ask the service at an address everything, in threads of its own."""
