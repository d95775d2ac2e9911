"""tokenizer.json: regular expressions that can take a very long time. The vocabulary is not parsed.

Format: the tokenizers library's serialisation, in which a pattern is {"Regex": text}; the engine is
Oniguruma, which backtracks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Resource
from supplyguard.resources import format_data

TOKENIZER: Final = "tokenizer.json"
MOST_PATTERNS: Final = 1000
_PATTERN: Final = re.compile(rb'"Regex"\s{0,100}:\s{0,100}("(?:[^"\\]|\\.)*+")')
_ESCAPE: Final = re.compile(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*+\]", re.DOTALL)
"""An escaped character, or a whole class of characters."""
_ENDLESS: Final = re.compile(r"[*+]|\{\d*,\}")


def tokenizer_patterns(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Yield patterns that are very long or repeat what already repeats."""
    largest = budget.limits.document_bytes
    with closing(member.open()) as stream:
        raw = stream.read(largest + 1)
    if len(raw) > largest:
        raise BudgetExceededError("document_bytes", largest)
    for number, found in enumerate(_PATTERN.finditer(raw)):
        budget.spend(Resource.NODES)
        if number == MOST_PATTERNS:
            raise BudgetExceededError("patterns", MOST_PATTERNS)
        try:
            pattern = str(json.loads(found[1]))
        except ValueError as error:
            raise MalformedError(f"not JSON: {error}", offset=found.start(1)) from error
        longest = format_data("hub_repository")["longest_pattern"]
        long = len(pattern) > longest
        if long or repeats_repetition(pattern):
            what = f"is {len(pattern):,} characters long" if long else "repeats a group that repeats"
            facts: dict[str, Fact] = {"pattern": pattern[:100], "what": what}
            place = member.at(found.start(1), len(found[1]))
            yield Evidence(kind="hub-slow-pattern", location=place, facts=facts, symbol=pattern[:100])


def repeats_repetition(pattern: str) -> bool:
    """Whether a group that holds an endless repetition is itself repeated without end.

    Possessive repetitions (`x++`) give nothing back and do not count. Class and escape contents are
    taken out first, so that their characters are not taken for operators.
    """
    plain = _ESCAPE.sub("x", pattern)
    groups = [False]
    place = 0
    while place < len(plain):
        char = plain[place]
        place += 1
        if char == "(":
            groups.append(False)
            place += plain.startswith("?", place)
            continue
        inner = False
        if char == ")" and len(groups) > 1:
            inner = groups.pop()
            groups[-1] |= inner
        found = _ENDLESS.match(plain, place)
        if found is not None:
            place = found.end()
            if plain.startswith("+", place):
                place += 1
                continue
            if inner:
                return True
            groups[-1] = True
    return False
