"""Which well-known package a name could be taken for: a measure of our own.

What is compared with is data: rules/formats/popular_names.json (the protected names, what is put
around them, honest neighbours) and rules/formats/look_alikes.json (characters that look alike).
How often it is wrong is measured by bench/typosquats.py.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from supplyguard.resources import rules_folder

LENGTH: Final = 64
"""Characters of the longest name that is compared; the longest protected one has 26."""
REPEATED: Final = re.compile(r"(.)\1+")


@dataclass(frozen=True, slots=True)
class Likeness:
    """name: the protected name. trick: how the other one differs, one of the words below.

    "characters" (others that look like them), "separators", "repeated" (letters), "order" (of words),
    "slip" (one letter more, less or other, or two swapped), "affix" (a word around it).
    """

    name: str
    trick: str


def likeness(name: str) -> Likeness | None:
    """Say which protected name a normalised name resembles, if it is not protected or honest itself."""
    index = _index()
    if name in index.known or len(name) > LENGTH:
        return None
    plain = _plain(name)
    for found, trick in (
        (index.plain.get(plain), "separators"),
        (index.words.get(_words(name)), "order"),
        (index.shapes.get(_shape(plain)), "characters"),
        (index.single.get(_single(plain)), "repeated"),
        (_slip(name, index), "slip"),
        (_inner(name, index), "affix"),
    ):
        if found is not None:
            return Likeness(found, trick)
    return None


def ascii_look(name: str) -> str:
    """Give the ASCII name that a name with other characters looks like; "?" for what looks like none."""
    letters = _letters()["letters"]
    taken = (letters.get(character, letters.get(character.lower(), character)) for character in name)
    # compatibility forms (full width, mathematical) and marks are Unicode's own tables
    apart = unicodedata.normalize("NFKD", "".join(taken))
    kept = (each for each in apart if unicodedata.category(each) not in {"Mn", "Me", "Cf"})
    return "".join(each if each.isascii() else letters.get(each, "?") for each in kept).lower()


@dataclass(frozen=True, slots=True)
class _Index:
    """The protected names by what they become when differences are taken away.

    near: by the name with any one letter left out, to find names one slip away.
    """

    known: frozenset[str]
    plain: Mapping[str, str]
    words: Mapping[tuple[str, ...], str]
    shapes: Mapping[str, str]
    single: Mapping[str, str]
    near: Mapping[str, tuple[str, ...]]
    affixed: frozenset[str]


@cache
def _index() -> _Index:
    data = known_names()
    names = [name for group in data["protected"].values() for name in group]
    near: dict[str, tuple[str, ...]] = {}
    for name in names:
        if len(name) >= data["distance"]:
            for each in _shortened(name):
                near[each] = (*near.get(each, ()), name)
    return _Index(
        known=frozenset(names) | data["honest"].keys(),
        plain={_plain(name): name for name in names},
        words={_words(name): name for name in names if "-" in name},
        shapes={_shape(_plain(name)): name for name in names},
        single={_single(_plain(name)): name for name in names},
        near=near,
        affixed=frozenset(name for name in names if len(name) >= data["affixed"]),
    )


@cache
def known_names() -> Any:
    """Load the protected names and what belongs to them; the bench empties its "honest"."""
    return json.loads((rules_folder() / "formats" / "popular_names.json").read_bytes())


@cache
def _letters() -> Any:
    return json.loads((rules_folder() / "formats" / "look_alikes.json").read_bytes())


def _plain(name: str) -> str:
    return name.replace("-", "")


def _words(name: str) -> tuple[str, ...]:
    return tuple(sorted(name.split("-")))


def _shape(plain: str) -> str:
    """Turn characters that look alike into one."""
    look = _letters()
    shape = "".join(look["same"].get(each, each) for each in plain)
    for pair, single in look["pairs"].items():
        shape = shape.replace(pair, single)
    return shape


def _single(plain: str) -> str:
    return REPEATED.sub(r"\1", plain)


def _shortened(name: str) -> Iterable[str]:
    return {name, *(name[:at] + name[at + 1 :] for at in range(len(name)))}


def _slip(name: str, index: _Index) -> str | None:
    """Find a protected name from which one slip of a finger leads here."""
    for each in sorted(_shortened(name)):
        for protected in index.near.get(each, ()):
            if _is_slip(protected, name):
                return protected
    return None


def _is_slip(wanted: str, typed: str) -> bool:
    """Whether one letter is missing, added, another, or two neighbours are swapped.

    Another first letter counts only when its key lies beside: people look at how a name begins.
    """
    if wanted[1:] == typed[1:]:
        return any(wanted[0] + typed[0] in row or typed[0] + wanted[0] in row for row in _letters()["keys"])
    start = 0
    while start < min(len(wanted), len(typed)) and wanted[start] == typed[start]:
        start += 1
    end = 0
    while end < min(len(wanted), len(typed)) - start and wanted[-1 - end] == typed[-1 - end]:
        end += 1
    left, right = wanted[start : len(wanted) - end], typed[start : len(typed) - end]
    return max(len(left), len(right)) <= 1 or (len(left) == len(right) == 2 and left == right[::-1])


def _inner(name: str, index: _Index) -> str | None:
    """Find a protected name with a word around it."""
    data = known_names()
    inner = [name.removeprefix(each) for each in data["before"]]
    inner += [name.removesuffix(each) for each in data["after"]]
    return next((each for each in inner if each != name and each in index.affixed), None)
