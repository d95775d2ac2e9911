"""Version constraints of other tools as PEP 440 specifiers.

Formats: Poetry's documentation, "Dependency specification" (caret, tilde, wildcard, unions);
conda's documentation, "Package match specifications".
"""

from __future__ import annotations

import re
from typing import Final

LENGTH: Final = 400
"""Characters of one constraint; far above any real one."""
PART: Final = re.compile(
    r"\s*(?P<operator>\^|~=|~|===|==|=|!=|>=|<=|>|<|)\s*(?P<version>[^\s,<>=!~^|]+)\s*,?"
)
RELEASE: Final = re.compile(r"v?(?:\d+!)?(\d+(?:\.\d+)*)", re.IGNORECASE)
ANY: Final = frozenset({"", "*", "x", "X"})
SEPARATOR: Final = "|"
FUZZY: Final = "fuzzy"
PINNING: Final = 3
"""Numbers of a version that is taken for a whole one."""


def poetry_specifier(text: str) -> str | None:
    """Give the PEP 440 specifier of one of Poetry's constraints, None when it is none.

    A union ("||") has no specifier: it is given as "", any version.
    """
    return _translated(text, bare="==", single="==")


def conda_specifier(text: str) -> str | None:
    """Give the PEP 440 specifier of a conda version constraint, None when it is none.

    "=1.2" is any 1.2; "=1.2.3", which conda would take 1.2.3.1 for too, is taken for the pin that
    people mean by it.
    """
    return _translated(text, bare="==", single=FUZZY)


def pip_specifier(text: str) -> str | None:
    """Give a PEP 440 specifier as Pipenv writes it, where "*" is any version."""
    return normal("" if text.strip() in ANY else text)


def normal(text: str) -> str | None:
    """Give a PEP 440 specifier in its normal form, None when it is none."""
    from packaging.specifiers import (  # noqa: PLC0415 - heavy: few files have versions
        InvalidSpecifier,
        SpecifierSet,
    )

    if len(text) > LENGTH:
        return None
    try:
        return str(SpecifierSet(text))
    except InvalidSpecifier:
        return None


def exact_version(specifier: str) -> str | None:
    """Give the one version that a valid specifier pins with == or ===, if it does."""
    for part in specifier.split(","):
        if part.startswith("==") and not part.endswith(".*"):
            return part.lstrip("=").strip()
    return None


def _translated(text: str, *, bare: str, single: str) -> str | None:
    """Translate each part; bare and single: what no operator and "=" mean."""
    if len(text) > LENGTH:
        return None
    if SEPARATOR in text:
        alternatives = [_translated(each, bare=bare, single=single) for each in re.split(r"\|+", text)]
        return None if None in alternatives else ""
    if text.strip() in ANY:
        return ""
    parts: list[str] = []
    at = 0
    while at < len(text.rstrip()):
        match = PART.match(text, at)
        if match is None or match.end() == at:
            return None
        operator = {"": bare, "=": single}.get(match["operator"], match["operator"])
        parts.append(_part(operator, match["version"]))
        at = match.end()
    return normal(",".join(part for part in parts if part))


def _part(operator: str, version: str) -> str:
    if version in ANY:
        return ""
    wild = version.endswith((".*", ".x"))
    if operator == FUZZY and not wild:
        whole = RELEASE.fullmatch(version) is None or version.count(".") + 1 >= PINNING
        return f"=={version}" if whole else f"=={version}.*"
    if operator in {"==", "!=", "^", "~", FUZZY} and wild:
        return f"{'!=' if operator == '!=' else '=='}{version[:-2]}.*"
    if wild:  # conda takes ">=1.8.*" for ">=1.8"
        return f"{operator}{version[:-2]}"
    if operator == "^":
        return f">={version},<{_above(version, caret=True)}"
    if operator == "~":
        return f">={version},<{_above(version, caret=False)}"
    return f"{operator}{version}"


def _above(version: str, *, caret: bool) -> str:
    """Give the first version that a caret or tilde constraint leaves out."""
    match = RELEASE.match(version)
    numbers = [int(each[:18]) for each in match[1].split(".")] if match is not None else [0]
    if caret:
        # the leftmost number that is not zero may not change; of zeros alone, the last
        index = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
    else:
        index = min(1, len(numbers) - 1)
    return ".".join(str(each) for each in (*numbers[:index], numbers[index] + 1))
