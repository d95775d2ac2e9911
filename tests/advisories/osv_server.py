"""A stand-in for OSV's query service and PyPI's JSON service, with faults on demand."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from tests.stand_in import Answer, Asked, serve

Fault = Callable[[Asked], Answer | None]
"""Answers in the stead of the service, or gives None to let it answer."""


def records_for(records: Sequence[Mapping[str, Any]], name: str, version: str) -> list[Mapping[str, Any]]:
    """The records that enumerate this version; ranges are left to the code under test."""
    return [
        record
        for record in records
        if any(
            entry["package"]["name"] == name and version in entry.get("versions", ())
            for entry in record["affected"]
        )
    ]


def _page(records: Sequence[Mapping[str, Any]], query: Mapping[str, Any], size: int) -> dict[str, Any]:
    """One result of a batch: ids and times only; a query without a version asks for all of a package."""
    name, version = query["package"]["name"], query.get("version")
    if version is None:
        found = [one for one in records if any(each["package"]["name"] == name for each in one["affected"])]
    else:
        found = records_for(records, name, version)
    start = int(query.get("page_token", "0"))
    result: dict[str, Any] = {}
    if found[start : start + size]:
        result["vulns"] = [
            {"id": one["id"], "modified": one["modified"]} for one in found[start : start + size]
        ]
    if found[start + size :]:
        result["next_page_token"] = str(start + size)
    return result


def _pypi_view(record: Mapping[str, Any]) -> dict[str, Any]:
    """What PyPI's JSON tells of a record: no severity."""
    events = [
        event
        for entry in record["affected"]
        for span in entry.get("ranges", ())
        if span["type"] == "ECOSYSTEM"
        for event in span["events"]
    ]
    return {
        "id": record["id"],
        "aliases": record.get("aliases", []),
        "details": record.get("details", ""),
        "summary": record.get("summary"),
        "fixed_in": [event["fixed"] for event in events if "fixed" in event],
        "link": f"https://osv.dev/vulnerability/{record['id']}",
        "source": "osv",
        "withdrawn": record.get("withdrawn"),
    }


@contextmanager
def osv_server(
    records: Sequence[Mapping[str, Any]] = (),
    *,
    unknown: Sequence[str] = (),
    yanked: Mapping[str, str | None] | None = None,
    fault: Fault | None = None,
    log: list[Asked] | None = None,
    page: int = 1000,
    tls: ssl.SSLContext | None = None,
) -> Iterator[str]:
    """Serve `records`; PyPI answers 404 for the packages in `unknown`. Gives the base address.

    yanked: packages all of whose releases are withdrawn, and why.

    page: how many ids one page of a batch holds.
    """
    by_id = {record["id"]: record for record in records}

    def reply(asked: Asked) -> Answer:
        if log is not None:
            log.append(asked)
        given = fault(asked) if fault is not None else None
        if given is not None:
            return given
        if asked.path == "/v1/query":
            query = json.loads(asked.body)
            vulns = records_for(records, query["package"]["name"], query["version"])
            return Answer(body=json.dumps({"vulns": vulns} if vulns else {}).encode())
        if asked.path == "/v1/querybatch":
            results = [_page(records, query, page) for query in json.loads(asked.body)["queries"]]
            return Answer(body=json.dumps({"results": results}).encode())
        if asked.path.startswith("/v1/vulns/"):
            record = by_id.get(unquote(asked.path.removeprefix("/v1/vulns/")))
            if record is None:
                return Answer(status=404, body=b'{"code": 5, "message": "Bug not found."}')
            return Answer(body=json.dumps(record).encode())
        found = re.fullmatch(r"/pypi/([^/]+)/([^/]+)/json", asked.path)
        if found is None or found[1] in unknown:
            return Answer(status=404, body=b'{"message": "Not Found"}')
        vulnerabilities = [_pypi_view(record) for record in records_for(records, found[1], found[2])]
        info: dict[str, Any] = {"yanked": False, "yanked_reason": None}
        if yanked is not None and found[1] in yanked:
            info = {"yanked": True, "yanked_reason": yanked[found[1]]}
        return Answer(body=json.dumps({"info": info, "vulnerabilities": vulnerabilities}).encode())

    with serve(reply, tls=tls) as base:
        yield base
