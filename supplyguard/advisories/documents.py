"""One JSON document as what the store keeps of it: a Record, or the packages that it leaves open."""

from __future__ import annotations

from collections.abc import Mapping

from supplyguard.advisories.osv import Record, is_id, load, named_packages, parse, parse_time
from supplyguard.advisories.store import Refused
from supplyguard.errors import MalformedError

_NO_ID = "(no id)"


def item_of(content: bytes) -> Record | Refused:
    """Read a document; raises MalformedError for what is not JSON or names no package that it concerns.

    A document that breaks the OSV format otherwise only makes the packages it names not audited.
    """
    document = load(content)
    try:
        return parse(document)
    except MalformedError as error:
        names = named_packages(document)
        if not names or not isinstance(document, Mapping):
            raise
        identifier = document.get("id")
        return Refused(
            id=identifier if is_id(identifier) else _NO_ID,
            names=names,
            reason=error.message[:100],
            modified=_modified(document.get("modified")),
        )


def _modified(value: object) -> str:
    """Give a time as the store writes it, "" when it cannot be read."""
    try:
        return parse_time(value).isoformat()
    except MalformedError:
        return ""
