"""One statement that a project uses a package: PEP 508 text or a direct reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inventory import Dependency, DependencyKind, Location
from supplyguard.sources.package_names import disguised
from supplyguard.sources.references import (
    LOOPBACK,
    PLAIN,
    Reference,
    is_reference,
    mask,
    read_reference,
    take_apart,
)
from supplyguard.sources.requirement_lines import Option, known_options, read_lines

LENGTH: Final = 4096
"""Characters of one requirement; far above any real one, far below what slows a parser down."""
NESTING: Final = 50
"""Brackets in a marker; the parser of packaging recurses."""
SHOWN: Final = 80
OPTION: Final = re.compile(r"(?:^|\s)-")
AFTER_NAME: Final = re.compile(r"[\s\[(<>=!~;@,]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A requirement's text and what its surroundings say.

    place: "requirements", "project", "group" or "build-system", for rules. hashes: as "alg:hex".
    """

    text: str
    location: Location
    place: str
    kind: DependencyKind = DependencyKind.REQUIREMENT
    group: str | None = None
    hashes: tuple[str, ...] = ()


def read_statement(statement: Statement) -> Iterator[Dependency | Evidence | Notification]:
    """Yield the dependency and what is to be said about it, or why it cannot be read."""
    text = statement.text
    if len(text) > LENGTH or text.count("(") > NESTING:
        yield unparsed(text, statement.location, "too long or nested too deep")
        return
    if is_reference(text):
        yield from _unnamed(statement)
    else:
        yield from _named(statement)


def unparsed(text: str, location: Location, reason: str) -> Notification:
    """Say that a requirement was not understood, so that it counts as not examined."""
    shown = mask(text) if len(text) <= SHOWN else f"{mask(text)[:SHOWN]}…"
    message = f"not understood as a requirement: {shown!r}: {reason}"
    return Notification(code="unparsed-requirement", message=message, location=location, incomplete=True)


def option_evidence(
    option: str, value: str, location: Location, *, place: str, hashed: bool = False
) -> Evidence:
    """Describe an option that changes where packages come from.

    hashed: every requirement that it applies to is checked against a digest.
    """
    address = take_apart(value)
    host = address.host or (value.partition(":")[0] if option == "--trusted-host" else "")
    facts: dict[str, Fact] = {
        "option": option,
        "value": address.shown,
        "scheme": address.scheme,
        "host": host,
        "loopback": host in LOOPBACK,
        "place": place,
        "hashed": hashed,
    }
    return Evidence(
        kind="index-option", location=location, facts=facts, symbol=f"{option} {host or address.shown}"
    )


def reference_evidence(reference: Reference, location: Location, *, place: str) -> Evidence:
    """Describe a package that is named by an address or path."""
    facts: dict[str, Fact] = {
        "url": reference.address.shown,
        "form": reference.form,
        "pinned": reference.pinned,
        "scheme": reference.address.scheme,
        "host": reference.address.host,
        "plain": reference.address.scheme.rpartition("+")[2] in PLAIN,
        "loopback": reference.address.host in LOOPBACK,
        "name": reference.name,
        "place": place,
    }
    return Evidence(kind="direct-url", location=location, facts=facts, symbol=reference.address.shown)


def options_in(text: str) -> Iterator[Option]:
    """Find what an installer would take for options if it got this text in a requirements file."""
    if OPTION.search(text) is not None:
        for line in read_lines(text):
            yield from line.options


def installs(option: str) -> bool:
    """Whether an option names something to install (-r, -c, -e)."""
    return bool(known_options().get(option, {}).get("installs"))


def _named(statement: Statement) -> Iterator[Dependency | Evidence | Notification]:
    from packaging.requirements import (  # noqa: PLC0415 - heavy: many scans see no requirement
        InvalidRequirement,
        Requirement,
    )
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - heavy: likewise

    try:
        requirement = Requirement(statement.text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        yield from disguised(_written_name(statement.text), statement.location)
        yield unparsed(statement.text, statement.location, reason)
        return
    reference = None
    if requirement.url is not None:
        reference = read_reference(requirement.url, hashed=bool(statement.hashes))
    exact = [
        each.version
        for each in requirement.specifier
        if each.operator in {"==", "==="} and not each.version.endswith(".*")
    ]
    version = exact[0] if exact else (reference.version if reference is not None else None)
    dependency = Dependency(
        name=canonicalize_name(requirement.name),
        raw_name=requirement.name,
        location=statement.location,
        version=version,
        specifier=str(requirement.specifier),
        extras=tuple(sorted(requirement.extras)),
        marker=str(requirement.marker) if requirement.marker is not None else None,
        hashes=statement.hashes,
        group=statement.group,
        url=mask(requirement.url) if requirement.url is not None else None,
        kind=statement.kind,
    )
    yield dependency
    if reference is not None:
        named = replace(reference, name=dependency.name)
        yield reference_evidence(named, statement.location, place=statement.place)
    elif not exact and not statement.hashes and statement.kind is DependencyKind.REQUIREMENT:
        yield _unpinned(dependency, statement)


def _written_name(text: str) -> str:
    """Give what stands where a requirement's name stands; at most SHOWN characters of one line."""
    return AFTER_NAME.split(text.strip(), maxsplit=1)[0][:SHOWN]


def _unpinned(dependency: Dependency, statement: Statement) -> Evidence:
    facts: dict[str, Fact] = {
        "name": dependency.name,
        "requirement": statement.text,
        "specifier": dependency.specifier,
        "bound": "range" if dependency.specifier else "none",
        "place": statement.place,
    }
    return Evidence(
        kind="dependency-unpinned", location=statement.location, facts=facts, symbol=dependency.name
    )


def _unnamed(statement: Statement) -> Iterator[Dependency | Evidence | Notification]:
    """Read an address or path that stands where a name would; pip takes it, PEP 508 does not."""
    separator = " ;" if "://" in statement.text else ";"
    said, found, marker = statement.text.partition(separator)
    said = said.strip()
    if separator == ";" and said.endswith("]"):
        said = said.rpartition("[")[0].rstrip()
    if not said or any(character.isspace() for character in said):
        yield unparsed(statement.text, statement.location, "not an address or a path")
        return
    reference = read_reference(said, hashed=bool(statement.hashes))
    yield from referred(statement, reference, marker=marker if found else None)


def referred(
    statement: Statement, reference: Reference, *, marker: str | None = None
) -> Iterator[Dependency | Evidence]:
    """Yield what a reference gives: the evidence, and a dependency when its name is known."""
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - heavy: few projects name files

    if reference.name is not None:
        yield Dependency(
            name=canonicalize_name(reference.name),
            raw_name=reference.name,
            location=statement.location,
            version=reference.version,
            marker=marker.strip() if marker is not None else None,
            hashes=statement.hashes,
            group=statement.group,
            url=reference.address.shown,
            kind=statement.kind,
        )
    yield reference_evidence(reference, statement.location, place=statement.place)
