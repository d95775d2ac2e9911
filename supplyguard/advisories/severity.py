"""How bad an advisory is: from CVSS vectors, else from the word its database gives."""

from __future__ import annotations

from typing import Final

from supplyguard.advisories import cvss
from supplyguard.advisories.osv import Affected, Rating, Record
from supplyguard.errors import MalformedError

UNKNOWN: Final = "unknown"
LABELS: Final = (UNKNOWN, "low", "medium", "high", "critical")
"""Severity labels, ordered."""

_WORDS: Final = {
    "critical": "critical",
    "high": "high",
    "important": "high",
    "moderate": "medium",
    "medium": "medium",
    "low": "low",
}
"""Words that databases use (GitHub says "moderate", Red Hat "important")."""


def label_of(score: float, *, version2: bool = False) -> str:
    """Give the qualitative rating of a CVSS score; 0.0 is called low.

    CVSS v3.1 section 5 and v4.0 section 6; for version 2, which has no such scale of its own, the
    one of the NVD.
    """
    if score >= 9.0 and not version2:
        return "critical"
    if score >= 7.0:
        return "high"
    return "medium" if score >= 4.0 else "low"


def severity_of(record: Record, affected: Affected) -> tuple[str, float | None]:
    """Give the label and the score of `record` for one of its packages.

    A rating of the package itself takes the place of the record's (OSV format, "severity"). Of
    several vectors the highest counts; a vector that cannot be read counts as absent. The score is
    None when the label comes from a word or is unknown.
    """
    for ratings, word in ((affected.ratings, affected.word), (record.ratings, record.word)):
        rated = [found for found in map(_rate, ratings) if found is not None]
        if rated:
            return max(rated, key=lambda found: (LABELS.index(found[0]), found[1]))
        if word in _WORDS:
            return _WORDS[word], None
    return UNKNOWN, None


def _rate(rating: Rating) -> tuple[str, float] | None:
    """Score one vector; None for other systems (Ubuntu's words) and for malformed vectors."""
    if not rating.type.startswith("CVSS_"):
        return None
    try:
        score = cvss.score(rating.score)
    except MalformedError:
        return None
    return label_of(score, version2=not rating.score.startswith("CVSS:")), score
