"""Orbax, TensorStore and zarr: metadata that names other stores, codecs that unpickle, arrays of objects.

Formats: orbax/checkpoint of github.com/google/orbax (`_METADATA`, `_CHECKPOINT_METADATA`, `_sharding`);
the specs of google.github.io/tensorstore; zarr 2 and 3 of zarr-specs.readthedocs.io with the codecs of
numcodecs. Of an OCDBT manifest only the header is read; chunks and B-trees are passed over.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from supplyguard.archives.referenced_paths import path_reasons
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget, Resource
from supplyguard.resources import format_data
from supplyguard.streams import read_at, size_of
from supplyguard.wire.json_document import parse_json

FORMAT: Final = "orbax_checkpoint"

MANIFEST: Final = bytes.fromhex("0cdb3a2a")
SHOWN: Final = 50
_HEADER: Final = 12
_SHOWN_TEXT: Final = 200


def recognizes(probe: Probe) -> bool:
    """Whether it is an OCDBT manifest, or JSON under one of the names that only these formats use."""
    if probe.head.startswith(MANIFEST):
        return True
    if not probe.head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"[")):
        return False
    return re.split(r"[/\\]", probe.name)[-1] in format_data(FORMAT)["names"]


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield what the metadata refers to; raises MalformedError for what is not JSON or is cut."""
    with closing(member.open()) as stream:
        size = size_of(stream)
        head = read_at(stream, 0, min(_HEADER, size))
        if head.startswith(MANIFEST):
            yield _manifest(member, head, size)
            return
        if size > budget.limits.document_bytes:
            raise BudgetExceededError("document_bytes", budget.limits.document_bytes)
        document = parse_json(read_at(stream, 0, size), budget)
    seen: dict[tuple[str, str], None] = {}
    counts: Counter[str] = Counter()
    for found in _walk(member, document, budget):
        key = (found.kind, found.symbol)
        if key in seen:
            continue
        seen[key] = None
        counts[found.kind] += 1
        if counts[found.kind] > SHOWN:
            text = f"more than {SHOWN} of {found.kind}: the others are not listed"
            yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())
            return
        yield found


def _manifest(member: Member, head: bytes, size: int) -> Notification:
    """Compare the length in a manifest's header, which counts the whole file, with the file's."""
    if len(head) < _HEADER:
        raise MalformedError("an OCDBT manifest without a length", offset=len(head))
    length = int.from_bytes(head[4:], "little")
    if length != size:
        raise MalformedError(f"an OCDBT manifest of {length:,} bytes in a file of {size:,}", offset=4)
    text = "only the header of an OCDBT manifest is read, not the names in its tree"
    return Notification(code="header-only", message=text, level=Level.NOTE, location=member.at())


def _walk(member: Member, document: Any, budget: Budget) -> Iterator[Evidence]:
    """Look at each object; what users store beside the arrays is theirs and is passed over."""
    table = format_data(FORMAT)
    work: list[tuple[str, str, Any]] = [("", "", document)]
    while work:
        name, key, value = work.pop()
        budget.spend(Resource.NODES)
        if isinstance(value, str):
            if key in table["store_keys"] and "url" in path_reasons(value):
                yield _store(member, name, "", value)
        elif isinstance(value, list):
            work.extend((name, key, each) for each in value)
        elif isinstance(value, dict):
            yield from _spec(member, name, value)
            if "zarr_format" in value:
                yield from _array(member, name, value)
            for below, inner in value.items():
                if below not in table["of_the_user"]:
                    work.append((f"{name}.{below}"[-_SHOWN_TEXT:].lstrip("."), below, inner))


def _spec(member: Member, name: str, spec: dict[str, Any]) -> Iterator[Evidence]:
    """Yield where a TensorStore spec or key-value store leads out of the checkpoint."""
    table = format_data(FORMAT)
    driver, path = spec.get("driver"), spec.get("path")
    if not isinstance(driver, str):
        return
    if driver in table["network_drivers"]:
        place = next((spec[key] for key in table["places"] if isinstance(spec.get(key), str)), "")
        yield _store(member, name, driver, place)
    elif driver in table["drivers"] and isinstance(path, str) and path and path_reasons(path):
        yield _store(member, name, driver, path)


def _store(member: Member, name: str, driver: str, place: str) -> Evidence:
    facts: dict[str, Fact] = {
        "name": name or "(the document)",
        "driver": driver[:_SHOWN_TEXT],
        "place": place[:_SHOWN_TEXT],
    }
    symbol = f"{name}:{place[:_SHOWN_TEXT]}"
    return Evidence(kind="orbax-store", location=member.at(), facts=facts, symbol=symbol)


def _array(member: Member, name: str, array: dict[str, Any]) -> Iterator[Evidence]:
    """Yield the codecs of an array that are not plain, and a type of objects that no plain codec keeps."""
    table = format_data(FORMAT)
    used = list(_codecs(array))
    for codec in used:
        role = "pickle" if codec in table["pickle_codecs"] else "unknown"
        if role == "unknown" and re.fullmatch(table["plain_codecs"], codec):
            continue
        facts: dict[str, Fact] = {
            "codec": codec[:_SHOWN_TEXT],
            "role": role,
            "name": name or "(the document)",
        }
        symbol = codec[:_SHOWN_TEXT]
        yield Evidence(kind="orbax-codec", location=member.at(), facts=facts, symbol=symbol)
    explained = {*table["object_codecs"], *table["pickle_codecs"]}
    if explained.isdisjoint(used) and any(re.fullmatch(table["objects"], each) for each in _types(array)):
        facts = {"name": name or "(the document)"}
        yield Evidence(kind="orbax-objects", location=member.at(), facts=facts, symbol=name)


def _codecs(array: dict[str, Any]) -> Iterator[str]:
    """Give the names of an array's codecs, of those inside shards too."""
    work = [array.get(key) for key in ("compressor", "filters", "codecs")]
    while work:
        value = work.pop()
        if isinstance(value, list):
            work.extend(value)
        elif isinstance(value, str):
            yield value.removeprefix("numcodecs.")
        elif isinstance(value, dict):
            work.extend(each for key in ("id", "name") if isinstance(each := value.get(key), str))
            inner = value.get("configuration")
            if isinstance(inner, dict):
                work.extend(each for key in ("codecs", "index_codecs") if (each := inner.get(key)))


def _types(array: dict[str, Any]) -> Iterator[str]:
    """Give the names of an array's type: of each part when it is a record."""
    work = [array.get("dtype"), array.get("data_type")]
    while work:
        value = work.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            work.extend((value.get("name"), value.get("configuration"), value.get("fields")))
        elif isinstance(value, list):
            # A field of a record is [name, type] or [name, type, shape]: its name says nothing.
            field = len(value) in {2, 3} and isinstance(value[0], str)
            work.extend(value[1:] if field else value)
