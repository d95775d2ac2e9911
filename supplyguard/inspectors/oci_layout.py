"""OCI artifacts and Ollama models: what manifests and Modelfiles name, and blobs that are not what they say.

Formats: OCI Image Manifest and Image Layout 1.1 (media types, digests, blobs/sha256/<hex>), and Ollama's
store (blobs/sha256-<hex>). A manifest that Ollama writes has no annotations; layers are named by media type.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from supplyguard.archives.referenced_paths import path_reasons
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Location, Member, Probe
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.resources import format_data
from supplyguard.wire.json_document import parse_json

FORMAT: Final = "oci_layout"

LARGEST: Final = 4 * MIB
HASHED: Final = 16 * MIB
"""Blobs up to this size are compared with the digest that is their name."""
MOST_LAYERS: Final = 5000
_SHOWN: Final = 200
_BLOB: Final = re.compile(r"(?:sha256-)?([0-9a-f]{64})")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_MODELFILE: Final = "modelfile"
_STATEMENT: Final = re.compile(r"\s*(\w{1,20})\s+(\S.{0,2000})")


def recognizes(probe: Probe) -> bool:
    """Whether it is a manifest by its words, or a blob by its name."""
    if _blob_name(probe.name) is not None or probe.name.rpartition("/")[2].lower() == _MODELFILE:
        return True
    head = probe.head
    return head.lstrip()[:1] == b"{" and b'"mediaType"' in head and b'"digest"' in head


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield what layers say of themselves; raises MalformedError for a manifest that is none."""
    with closing(member.open()) as stream:
        raw = stream.read(LARGEST + 1)
    if member.name.rpartition("/")[2].lower() == _MODELFILE:
        yield from _modelfile(member, raw[:LARGEST].decode("utf-8", "replace"), budget)
        return
    wanted = _blob_name(member.name)
    if wanted is not None:
        if _is_in_store(member):
            yield from _digest(member, wanted, budget)
        if not (raw.lstrip()[:1] == b"{" and b'"mediaType"' in raw and b'"digest"' in raw):
            return
    if len(raw) > LARGEST:
        raise BudgetExceededError("document_bytes", LARGEST)
    document = parse_json(raw, budget)
    if not isinstance(document, dict):
        raise MalformedError("a manifest that is no object", offset=0)
    yield from _manifest(member, document, budget)


def _is_in_store(member: Member) -> bool:
    """Whether the place says that the name is the content's digest: other programs use such names too."""
    if "sha256-" in member.name:
        return True
    folders = member.name.split("/")[:-1] or [member.artifact.path.parent.name]
    return folders[-1] == "sha256"


def _modelfile(member: Member, text: str, budget: Budget) -> Iterator[Evidence]:
    """Look at the lines of an Ollama Modelfile that name weights."""
    for number, line in enumerate(text.split("\n"), 1):
        budget.spend(Resource.NODES)
        found = _STATEMENT.match(line)
        if found is None or found[1].lower() not in format_data(FORMAT)["modelfile_words"]:
            continue
        value = found[2].strip().strip("\"'")
        if reasons := path_reasons(value):
            leaves = bool({"parent", "url", "nul"} & set(reasons))
            facts: dict[str, Fact] = {"value": value[:_SHOWN], "word": found[1].upper(), "leaves": leaves}
            where = Location(uri=member.artifact.uri, member=member.path, line=number)
            yield Evidence(kind="ollama-source", location=where, facts=facts, symbol=value[:_SHOWN])


def _digest(member: Member, wanted: str, budget: Budget) -> Iterator[Evidence | Notification]:
    """Compare a blob with its name."""
    if member.size is None or member.size > HASHED:
        text = f"larger than {HASHED // MIB} MiB, so not compared with the digest in its name"
        yield Notification(code="not-hashed", message=text, level=Level.NOTE, location=member.at())
        return
    digest = hashlib.sha256()
    with closing(member.open()) as stream:
        while piece := stream.read(MIB):
            budget.check_time()
            digest.update(piece)
    if digest.hexdigest() != wanted:
        facts: dict[str, Fact] = {"named": wanted, "found": digest.hexdigest()}
        yield Evidence(kind="oci-digest", location=member.at(), facts=facts, symbol=wanted)


def _manifest(member: Member, document: dict[str, Any], budget: Budget) -> Iterator[Evidence]:
    """Look at the descriptors of a manifest or index."""
    rows: list[Any] = [document.get("config")]
    for key in ("layers", "manifests", "blobs"):
        found = document.get(key)
        rows += found[:MOST_LAYERS] if isinstance(found, list) else []
    for row in rows:
        budget.spend(Resource.NODES)
        if isinstance(row, dict) and "mediaType" in row:
            yield from _descriptor(member, row)


def _descriptor(member: Member, row: dict[str, Any]) -> Iterator[Evidence]:
    """Look at one descriptor: digest, name, addresses, media type."""
    lists = format_data(FORMAT)
    digest, kind = str(row.get("digest", "")), str(row.get("mediaType", ""))
    size = row.get("size")
    if not _DIGEST.fullmatch(digest):
        yield _evidence(member, "oci-bad-digest", digest, kind)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        yield _evidence(member, "oci-bad-size", str(size), kind)
    notes = row.get("annotations")
    for key, value in notes.items() if isinstance(notes, dict) else ():
        if key in lists["path_annotations"] and isinstance(value, str) and (reasons := path_reasons(value)):
            yield _evidence(member, "oci-path", value, kind, reasons)
    urls = row.get("urls")
    if isinstance(urls, list) and urls:
        yield _evidence(member, "oci-foreign-layer", str(urls[0]), kind)


def _evidence(member: Member, kind: str, value: str, media: str, reasons: tuple[str, ...] = ()) -> Evidence:
    facts: dict[str, Fact] = {"value": value[:_SHOWN], "media_type": media[:_SHOWN], "reasons": reasons}
    return Evidence(kind=kind, location=member.at(), facts=facts, symbol=value[:_SHOWN])


def _blob_name(name: str) -> str | None:
    found = _BLOB.fullmatch(name.replace("\\", "/").rpartition("/")[2])
    return found[1] if found is not None else None
