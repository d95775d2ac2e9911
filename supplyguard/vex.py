"""OpenVEX: what others say of vulnerabilities that do not matter here, and what we say of ours.

Format: OpenVEX 0.2.0 (https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md). Only PyPI
packages, named by package URL, are understood.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from supplyguard import __version__
from supplyguard.errors import ConfigError, UsageError
from supplyguard.finding import Finding, SuppressionKind
from supplyguard.limits import MIB
from supplyguard.policy import ADVISORY_KIND, JUSTIFICATIONS, Ignore, VexStatement, covers

CONTEXT: Final = "https://openvex.dev/ns/v0.2.0"
_CONTEXTS: Final = ("https://openvex.dev/ns", CONTEXT)
_STATUSES: Final = ("not_affected", "affected", "fixed", "under_investigation")
_MOST_BYTES: Final = 64 * MIB
_REASON_CHARACTERS: Final = 500


def read_vex(path: Path) -> tuple[VexStatement, ...]:
    """Read the statements of an OpenVEX document; raises ConfigError, naming the bad key."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"the VEX document {path} is larger than {_MOST_BYTES:,} bytes")
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read the VEX document {path}: {error}") from error
    if not isinstance(document, dict) or document.get("@context") not in _CONTEXTS:
        raise ConfigError(f"{path}: @context is not that of OpenVEX 0.2.0", hint=f"expected {CONTEXT}")
    statements = document.get("statements")
    if not isinstance(statements, list):
        raise ConfigError(f"{path}: statements: expected a list")
    issued = _time(document.get("timestamp"), f"{path}: timestamp")
    return tuple(
        _statement(each, f"{path}: statements[{index}]", issued) for index, each in enumerate(statements)
    )


def _statement(entry: object, where: str, issued: datetime) -> VexStatement:
    """Read one statement; what the document says for all of them counts where it says nothing."""
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: expected an object")
    status = entry.get("status")
    if status not in _STATUSES:
        raise ConfigError(f"{where}.status: not one of {', '.join(_STATUSES)}")
    if "timestamp" in entry:
        issued = _time(entry["timestamp"], f"{where}.timestamp")
    return VexStatement(
        ids=_ids(entry.get("vulnerability"), f"{where}.vulnerability"),
        products=_products(entry.get("products", []), f"{where}.products"),
        accepts=status in ("not_affected", "fixed"),
        reason=_reason(entry, status, where),
        issued=issued,
    )


def _time(value: object, where: str) -> datetime:
    """Read a time; one without a zone is taken as UTC."""
    try:
        time = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ConfigError(f"{where}: not a time") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _ids(value: object, where: str) -> frozenset[str]:
    """Give the name and the aliases of a vulnerability."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ConfigError(f"{where}.name: required, a text")
    aliases = value.get("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(each, str) for each in aliases):
        raise ConfigError(f"{where}.aliases: expected a list of texts")
    return frozenset({value["name"], *aliases})


def _products(value: object, where: str) -> frozenset[tuple[str, str | None]]:
    """Give the PyPI packages among the products; subcomponents say nothing of a product of another name."""
    if not isinstance(value, list):
        raise ConfigError(f"{where}: expected a list")
    found: set[tuple[str, str | None]] = set()
    for index, product in enumerate(value):
        identifiers = product.get("identifiers", {}) if isinstance(product, dict) else None
        if not isinstance(identifiers, dict):
            raise ConfigError(f"{where}[{index}]: expected an object")
        for purl in (product.get("@id"), identifiers.get("purl")):
            package = _package(purl) if isinstance(purl, str) else None
            if package is not None:
                found.add(package)
    return frozenset(found)


def _package(text: str) -> tuple[str, str | None] | None:
    """Give name and version of a PyPI package URL.

    None for other identifiers, and for URLs with qualifiers or a subpath: they name one file or
    another index, and nothing here tells whether it is that one.
    """
    from packageurl import PackageURL  # noqa: PLC0415 - heavy: only with --vex

    try:
        purl = PackageURL.from_string(text)
    except ValueError:
        return None
    if purl.type != "pypi" or purl.namespace or purl.qualifiers or purl.subpath:
        return None
    return _canonical(purl.name), purl.version or None


def _canonical(name: str) -> str:
    """Normalise a package name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _reason(entry: Mapping[str, Any], status: str, where: str) -> str:
    """Give the words of a statement; "not affected" has to be justified (OpenVEX, "Status labels")."""
    justification, impact = entry.get("justification"), entry.get("impact_statement")
    if justification is not None and justification not in JUSTIFICATIONS:
        raise ConfigError(f"{where}.justification: not one of {', '.join(JUSTIFICATIONS)}")
    texts = [each for each in (justification, impact) if isinstance(each, str) and each.strip()]
    if status == "not_affected" and not texts:
        raise ConfigError(f"{where}: not_affected needs a justification or an impact_statement")
    notes = entry.get("status_notes")
    if isinstance(notes, str) and notes.strip():
        texts.append(notes)
    return f"{status}: {'; '.join(texts)}"[:_REASON_CHARACTERS].rstrip(": ")


def write_vex(
    suppressed: Iterable[Finding], ignores: Sequence[Ignore], *, author: str, issued: datetime
) -> str:
    """Write an OpenVEX document of the configured ignores that name an advisory.

    suppressed: the findings of a scan. An ignore with a justification says "not affected"; one
    without says "affected", with its reason as what is done about it. Raises UsageError when there
    is nothing to say, since a document must say something.
    """
    statements: dict[str, dict[str, Any]] = {}
    for finding in suppressed:
        if finding.rule.kind != ADVISORY_KIND or finding.suppression is None:
            continue
        ignore = next((each for each in ignores if each.advisory and covers(each, finding, {})), None)
        if finding.suppression.kind is SuppressionKind.CONFIGURED and ignore is not None:
            statement = _made(finding, ignore)
            statements[json.dumps(statement, sort_keys=True)] = statement
    if not statements:
        raise UsageError(
            "no configured ignore names an advisory that affects this project",
            hint="write [[ignore]] with advisory and justification",
        )
    ordered = [statements[key] for key in sorted(statements)]
    content = json.dumps([author, ordered], sort_keys=True)
    document = {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "author": author,
        "timestamp": issued.isoformat(timespec="seconds"),
        "version": 1,
        "tooling": f"supplyguard/{__version__}",
        "statements": ordered,
    }
    return json.dumps(document, indent=2) + "\n"


def _made(finding: Finding, ignore: Ignore) -> dict[str, Any]:
    """Make the statement of one accepted finding."""
    from packageurl import PackageURL  # noqa: PLC0415 - heavy: only for this command

    facts = finding.facts
    aliases = facts["aliases"] if isinstance(facts["aliases"], tuple) else ()
    version = str(facts["version"])
    known = None if version.startswith("(") else version
    statement: dict[str, Any] = {
        "vulnerability": {
            "name": str(facts["id"]),
            "aliases": [each for each in aliases if each != facts["id"]],
        },
        "products": [{"@id": PackageURL("pypi", None, str(facts["package"]), known).to_string()}],
    }
    until = f" (accepted until {ignore.expires})" if ignore.expires is not None else ""
    if ignore.justification is not None:
        return {
            **statement,
            "status": "not_affected",
            "justification": ignore.justification,
            "status_notes": ignore.reason + until,
        }
    return {**statement, "status": "affected", "action_statement": ignore.reason + until}
