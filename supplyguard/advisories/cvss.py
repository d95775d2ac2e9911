"""CVSS scores of versions 2, 3.0, 3.1 and 4.0, from vectors.

Formulas and figures: FIRST's guides and specifications (https://www.first.org/cvss/); the figures
are in rules/knowledge/cvss.json. Versions 2 and 3 give the base score; version 4 also counts the
threat, requirement and modified metrics of a vector, as its specification does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Any, Final

from supplyguard.errors import MalformedError
from supplyguard.resources import rules_folder

_LONGEST: Final = 512
"""Characters of a vector; a version 4 vector with every metric has 190."""

_SETS: Final = ("eq1", "eq2", "eq3eq6", "eq4", "eq5")


@cache
def _figures() -> Mapping[str, Any]:
    """Read the tables of rules/knowledge/cvss.json."""
    text = (rules_folder() / "knowledge" / "cvss.json").read_text(encoding="utf-8")
    figures: Mapping[str, Any] = json.loads(text)
    return figures


def score(vector: str) -> float:
    """Give the score, 0.0 to 10.0, of a vector of any version; raises MalformedError."""
    if len(vector) > _LONGEST:
        raise MalformedError("CVSS vector too long")
    head, _, rest = vector.strip().partition("/")
    match head:
        case "CVSS:4.0":
            return _score_v4(_metrics(rest))
        case "CVSS:3.0" | "CVSS:3.1":
            return _score_v3(_metrics(rest))
        case _:
            return _score_v2(_metrics(vector.strip().strip("()").removeprefix("CVSS:2.0/")))


def _metrics(text: str) -> dict[str, str]:
    """Split "AV:N/AC:L" into a mapping; a metric said twice is an error."""
    metrics: dict[str, str] = {}
    for part in text.rstrip("/").split("/"):
        name, colon, value = part.partition(":")
        if not colon or name in metrics:
            raise MalformedError(f"not a CVSS metric: {part!r}")
        metrics[name] = value
    return metrics


def _weights(metrics: Mapping[str, str], table: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Look up the number of every base metric."""
    try:
        return {name: values[metrics[name]] for name, values in table.items()}
    except KeyError as error:
        raise MalformedError(f"CVSS vector lacks a base metric or has an unknown value: {error}") from None


def _score_v2(metrics: Mapping[str, str]) -> float:
    """Apply the base equation of the CVSS v2 guide, section 3.2.1."""
    w = _weights(metrics, _figures()["v2"])
    impact = 10.41 * (1 - (1 - w["C"]) * (1 - w["I"]) * (1 - w["A"]))
    if impact == 0:
        return 0.0
    exploitability = 20 * w["AV"] * w["AC"] * w["Au"]
    base = (0.6 * impact + 0.4 * exploitability - 1.5) * 1.176
    return math.floor(base * 10 + 0.5) / 10


def _score_v3(metrics: Mapping[str, str]) -> float:
    """Apply the base equations of the CVSS v3.1 specification, sections 7.1 and 7.4, and its Roundup."""
    scope = metrics.get("S")
    if scope not in ("U", "C"):
        raise MalformedError("CVSS vector lacks a base metric or has an unknown value: 'S'")
    w = _weights(metrics, _figures()["v3"])
    subscore = 1 - (1 - w["C"]) * (1 - w["I"]) * (1 - w["A"])
    if scope == "U":
        impact, factor, privileges = 6.42 * subscore, 1.0, w["PR"]
    else:
        impact = 7.52 * (subscore - 0.029) - 3.25 * (subscore - 0.02) ** 15
        factor, privileges = 1.08, _figures()["v3_scope_changed_pr"][metrics["PR"]]
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * w["AV"] * w["AC"] * privileges * w["UI"]
    whole = round(min(factor * (impact + exploitability), 10.0) * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10


def _effective_v4(given: Mapping[str, str]) -> dict[str, str]:
    """Apply modified metrics and the defaults of those not defined (worst case)."""
    effective: dict[str, str] = {}
    for name, values in _figures()["v4"]["metrics"].items():
        value = given.get("M" + name, "X")
        if value == "X":
            value = given.get(name, "X")
        if value == "X" and name in ("E", "CR", "IR", "AR"):
            value = values[0]
        if len(value) != 1 or value not in values:
            raise MalformedError(f"CVSS vector lacks a base metric or has an unknown value: {name!r}")
        effective[name] = value
    return effective


def _macro_vector(m: Mapping[str, str]) -> str:
    """Give the six digits of the equivalence classes (specification, tables 24 to 29)."""
    none = (m["AV"] == "N", m["PR"] == "N", m["UI"] == "N")
    eq1 = _level(all(none), any(none) and m["AV"] != "P")
    eq2 = _level((m["AC"], m["AT"]) == ("L", "N"))
    eq3 = _level(m["VC"] == "H" == m["VI"], "H" in (m["VC"], m["VI"], m["VA"]))
    eq4 = _level("S" in (m["SI"], m["SA"]), "H" in (m["SC"], m["SI"], m["SA"]))
    eq5 = "APU".index(m["E"])
    eq6 = _level(any(m[r] == "H" == m[v] for r, v in (("CR", "VC"), ("IR", "VI"), ("AR", "VA"))))
    return f"{eq1}{eq2}{eq3}{eq4}{eq5}{eq6}"


def _level(*conditions: bool) -> int:
    """Give the place of the first condition that holds, or their number."""
    return (*conditions, True).index(True)


def _lower_scores(macro: str) -> tuple[float | None, ...]:
    """Give, for each set of classes, the score one level lower, or None where there is none."""
    scores: Mapping[str, float] = _figures()["v4"]["scores"]

    def step(*positions: int) -> float | None:
        digits = [int(digit) + (place in positions) for place, digit in enumerate(macro)]
        return scores.get("".join(map(str, digits)))

    match macro[2] + macro[5]:
        case "00":
            both = [found for found in (step(5), step(2)) if found is not None]
            joint = max(both, default=None)
        case "11" | "01":
            joint = step(2)
        case "10":
            joint = step(5)
        case _:
            joint = step(2, 5)
    return step(0), step(1), joint, step(3), step(4)


def _score_v4(given: Mapping[str, str]) -> float:
    """Score a vector by interpolation inside its MacroVector (specification, section 8.2)."""
    metrics = _effective_v4(given)
    if all(metrics[name] == "N" for name in ("VC", "VI", "VA", "SC", "SI", "SA")):
        return 0.0
    figures = _figures()["v4"]
    macro = _macro_vector(metrics)
    value: float = figures["scores"][macro]
    levels = (macro[0], macro[1], macro[2] + macro[5], macro[3], macro[4])
    distances = _distances(metrics, levels)
    steps: list[float] = []
    for name, level, lower, distance in zip(_SETS, levels, _lower_scores(macro), distances, strict=True):
        if lower is not None:
            steps.append(0.0 if name == "eq5" else (value - lower) * distance / figures["depth"][name][level])
    if steps:
        value -= sum(steps) / len(steps)
    return math.floor(max(0.0, min(10.0, value)) * 10 + 0.5 + 1e-6) / 10


def _distances(metrics: Mapping[str, str], levels: tuple[str, ...]) -> list[int]:
    """Count, for each set of classes, the steps from the highest vector at or above `metrics`.

    Each class has a highest vector above every vector in it, so there always is one.
    """
    highest = _figures()["v4"]["highest"]
    choices = product(*(highest[name][level] for name, level in zip(_SETS, levels, strict=True)))
    steps = ([_steps(metrics, part) for part in parts] for parts in choices)
    return next([sum(each) for each in found] for found in steps if all(min(each) >= 0 for each in found))


def _steps(metrics: Mapping[str, str], highest: str) -> list[int]:
    """Count how far each metric is below that of a highest vector; negative is above."""
    orders: Mapping[str, str] = _figures()["v4"]["metrics"]
    return [
        orders[name].index(metrics[name]) - orders[name].index(value)
        for name, value in _metrics(highest).items()
    ]
