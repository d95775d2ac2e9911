"""OSV's query service (https://google.github.io/osv.dev/post-v1-querybatch/).

A batch of up to 1,000 questions gives the ids of what matches, page by page; the records are then
fetched one by one, side by side, and kept on disk: a record that was not modified is not fetched
again. Packages without an exact version are asked for too, to learn of malicious ones.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from supplyguard import fetch
from supplyguard.advisories import evidence, osv, parallel
from supplyguard.advisories.answers import Answer, Answers, Question, Terms
from supplyguard.advisories.record_cache import RecordCache
from supplyguard.advisories.severity import UNKNOWN
from supplyguard.errors import FetchError, MalformedError
from supplyguard.limits import MIB

URL: Final = "https://api.osv.dev"
_BATCH: Final = 1_000
_MOST_PAGES: Final = 50
_MOST_IDS: Final = 20_000
"""Advisories of one question that are read of an answer."""
_GRACE: Final = 0.5
"""Seconds before the deadline that the last records have to be there."""


def start(base: str, wanted: Sequence[Question], terms: Terms) -> Answers:
    """Begin to ask the service at `base` everything."""
    done: Answers = queue.SimpleQueue()

    def work() -> None:
        for question, answer in ask(base, wanted, terms).items():
            done.put((question, answer))

    # a daemon: an answer that never ends must not keep the process from ending
    threading.Thread(target=work, daemon=True).start()
    return done


@dataclass(kw_only=True, slots=True)
class _Match:
    """What a batch said of one question: ids, each with its `modified`."""

    ids: dict[str, str] = field(default_factory=dict)
    failure: str = ""


def ask(base: str, wanted: Sequence[Question], terms: Terms) -> dict[Question, Answer]:
    """Answer every question; what could not be learned is a failure of the questions it concerns."""
    matches = {question: _Match() for question in wanted}
    failure = ""
    for begin in range(0, len(wanted), _BATCH):
        chunk = {question: matches[question] for question in wanted[begin : begin + _BATCH]}
        if failure:  # the service is not asked again
            for match in chunk.values():
                match.failure = failure
        else:
            failure = _match(base, chunk, terms)
    known = _records(base, matches.values(), terms)
    return {question: _answer(question, match, known) for question, match in matches.items()}


def _match(base: str, matches: dict[Question, _Match], terms: Terms) -> str:
    """Fill in the ids of one batch, following every page; gives why the service cannot be used, or ""."""
    pages = dict.fromkeys(matches, "")
    try:
        for _ in range(_MOST_PAGES):
            pages = _page(base, matches, pages, terms)
            if not pages:
                return ""
    except FetchError as error:
        # what is complete stays: only questions with pages still to come are left open
        for question in pages:
            matches[question].failure = error.message
        return error.message
    for question in pages:
        matches[question].failure = f"{fetch.shown(base)}: more than {_MOST_PAGES} pages"
    return ""


def _page(
    base: str, matches: dict[Question, _Match], pages: dict[Question, str], terms: Terms
) -> dict[Question, str]:
    """Ask for one page of each question; gives the questions that have a further one, with its token."""
    body = json.dumps({"queries": [_query(question, token) for question, token in pages.items()]})
    content = fetch.read(f"{base}/v1/querybatch", limits=_limits(terms), body=body.encode())
    try:
        document = osv.load(content)
    except MalformedError:
        document = None
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or len(results) != len(pages):
        raise FetchError(f"{fetch.shown(base)}: an answer that cannot be used")
    further: dict[Question, str] = {}
    for question, result in zip(pages, results, strict=True):
        try:
            token = _read(result if result is not None else {}, question, matches[question])
        except MalformedError as error:
            matches[question].failure = f"{fetch.shown(base)}: an answer that cannot be used: {error}"
        else:
            if token:
                further[question] = token
    return further


def _query(question: Question, token: str) -> dict[str, Any]:
    """Make one query of a batch."""
    name, version = question
    query: dict[str, Any] = {"package": {"name": name, "ecosystem": osv.ECOSYSTEM}}
    if version is not None:
        query["version"] = version
    if token:
        query["page_token"] = token
    return query


def _read(result: object, question: Question, match: _Match) -> str:
    """Read one result into `match`; gives the next page's token, "" at the end. Raises MalformedError."""
    if not isinstance(result, dict):
        raise MalformedError("a result is not an object")
    found = result.get("vulns", [])
    token = result.get("next_page_token") or ""
    if not isinstance(found, list) or not isinstance(token, str):
        raise MalformedError("a result has no list of ids")
    for one in found:
        identifier = one.get("id") if isinstance(one, dict) else None
        if not osv.is_id(identifier):
            raise MalformedError("an advisory without a usable id")
        modified = one.get("modified")
        if question[1] is None and not identifier.startswith(osv.MALICIOUS_PREFIX):
            continue
        match.ids[identifier] = modified if isinstance(modified, str) else ""
    if len(match.ids) > _MOST_IDS:
        raise MalformedError(f"more than {_MOST_IDS:,} advisories")
    return token


def _limits(terms: Terms) -> fetch.Limits:
    """Give what one exchange may cost from now on."""
    left = max(0.0, terms.deadline - _GRACE - time.monotonic())
    return fetch.Limits(size=32 * MIB, seconds=left, timeout=terms.timeout)


def _records(base: str, matches: Iterable[_Match], terms: Terms) -> dict[str, osv.Record | str]:
    """Give each record by id, or why it could not be had."""
    wanted: dict[str, str] = {}
    for match in matches:
        wanted.update(match.ids)
    cache = RecordCache(terms.cache / "osv")
    known: dict[str, osv.Record | str] = {}
    missing: dict[str, str] = {}
    for identifier, modified in wanted.items():
        content = cache.get(identifier, modified) if modified else None
        record = _record(identifier, content) if content is not None else ""
        if isinstance(record, osv.Record):
            known[identifier] = record
        else:
            missing[f"{base}/v1/vulns/{quote(identifier, safe='')}"] = identifier
    limits = _limits(terms)
    outcomes = parallel.read_many(list(missing), limits=limits, seconds=limits.seconds, workers=terms.workers)
    for url, outcome in outcomes:
        identifier = missing[url]
        known[identifier] = str(outcome) if isinstance(outcome, FetchError) else _record(identifier, outcome)
        if isinstance(known[identifier], osv.Record) and isinstance(outcome, bytes):
            cache.put(identifier, wanted[identifier], outcome)
    return known


def _record(identifier: str, content: bytes) -> osv.Record | str:
    """Read a record; gives why it cannot be used otherwise."""
    try:
        record = osv.parse(osv.load(content))
    except MalformedError as error:
        return f"{identifier} cannot be read: {error}"
    return record if record.id == identifier else f"{identifier} was answered with {record.id}"


def _answer(question: Question, match: _Match, known: dict[str, osv.Record | str]) -> Answer:
    """Put together what is known of a question; an id without its record is a problem too."""
    records, bare, failure = [], [], match.failure
    for identifier in match.ids:
        record = known[identifier]
        if isinstance(record, str):
            failure = failure or record
            bare.append(identifier)
        elif record.withdrawn:
            continue
        elif question[0] in record.names:
            records.append(record)
        else:
            bare.append(identifier)
    # without a version, a record must say itself that it covers all of them
    problems = tuple(_bare(one) for one in bare) if question[1] is not None else ()
    return Answer(problems=problems, records=tuple(records), failure=failure)


def _bare(identifier: str) -> evidence.Problem:
    """Make a problem of which only the id is known."""
    malicious = identifier.startswith(osv.MALICIOUS_PREFIX)
    return evidence.Problem(
        ids=frozenset({identifier}),
        severity="critical" if malicious else UNKNOWN,
        score=None,
        summary="",
        fixed=(),
        upgrade=None,
        malicious=malicious,
        databases=frozenset({"osv"}),
    )
