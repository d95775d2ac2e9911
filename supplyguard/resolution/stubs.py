"""Wheels that hold metadata only, so that a package without a wheel can be resolved without a build.

Format: PEP 427 (wheel), core metadata 2.1. They live in a temporary folder and are never installed.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from packaging.version import Version

LENGTH: Final = 1000
NESTING: Final = 50
MOMENT: Final = (1980, 1, 1, 0, 0, 0)
WHEEL: Final = "Wheel-Version: 1.0\nGenerator: supplyguard\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def stub(name: str, version: Version, requires: Iterable[str], requires_python: str) -> tuple[str, bytes]:
    """Make a wheel's file name and content; requirements that are unusual or name an address are left out.

    name: normalised. requires: PEP 508 texts, from an index, so not to be trusted.
    """
    stem = f"{name.replace('-', '_')}-{str(version).replace('-', '_')}"
    headers = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    python = _specifier(requires_python)
    if python:
        headers.append(f"Requires-Python: {python}")
    headers += (f"Requires-Dist: {each}" for each in filter(None, map(_requirement, requires)))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file, text in (
            ("METADATA", "\n".join(headers) + "\n"),
            ("WHEEL", WHEEL),
            ("RECORD", ""),
        ):
            archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/{file}", MOMENT), text)
    return f"{stem}-py3-none-any.whl", content.getvalue()


def _requirement(text: str) -> str | None:
    from packaging.requirements import (  # noqa: PLC0415 - heavy: only for packages without wheels
        InvalidRequirement,
        Requirement,
    )

    if len(text) > LENGTH or text.count("(") > NESTING:
        return None
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    written = str(requirement)
    plain = requirement.url is None and written.isascii() and written.isprintable()
    return written if plain else None


def _specifier(text: str) -> str:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - heavy: likewise

    try:
        return str(SpecifierSet(text)) if len(text) <= LENGTH else ""
    except InvalidSpecifier:
        return ""
