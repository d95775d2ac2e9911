from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.advisories import cvss
from supplyguard.advisories.osv import Affected, Rating, Record
from supplyguard.advisories.severity import label_of, severity_of
from supplyguard.errors import MalformedError

# scores by an independent implementation (cvss 3.6 of Red Hat), vectors drawn at random
SCORES = """
AV:A/AC:H/Au:S/C:C/I:N/A:N 4.3
AV:N/AC:H/Au:S/C:C/I:N/A:C 6.6
AV:L/AC:H/Au:M/C:P/I:P/A:N 2.3
AV:L/AC:H/Au:N/C:P/I:N/A:C 4.7
AV:L/AC:H/Au:N/C:C/I:C/A:N 5.6
AV:N/AC:L/Au:S/C:N/I:N/A:N 0.0
AV:N/AC:H/Au:S/C:P/I:N/A:C 5.6
AV:L/AC:L/Au:S/C:C/I:C/A:N 6.2
CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:U/C:N/I:H/A:N 6.5
CVSS:3.1/AV:A/AC:H/PR:H/UI:R/S:C/C:L/I:N/A:L 3.7
CVSS:3.0/AV:L/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:L 5.7
CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:C/C:N/I:H/A:H 6.5
CVSS:3.0/AV:P/AC:L/PR:L/UI:N/S:C/C:L/I:H/A:N 5.9
CVSS:3.1/AV:N/AC:H/PR:L/UI:R/S:C/C:N/I:L/A:H 6.5
CVSS:3.0/AV:N/AC:H/PR:L/UI:N/S:U/C:N/I:N/A:L 3.1
CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:C/C:H/I:L/A:L 6.0
CVSS:3.0/AV:A/AC:L/PR:L/UI:N/S:U/C:L/I:H/A:N 6.3
CVSS:3.1/AV:A/AC:H/PR:L/UI:R/S:U/C:H/I:L/A:L 5.6
CVSS:3.0/AV:L/AC:L/PR:L/UI:R/S:C/C:L/I:N/A:L 4.6
CVSS:3.1/AV:A/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:H 8.1
CVSS:3.0/AV:N/AC:H/PR:H/UI:N/S:C/C:L/I:H/A:H 7.9
CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N 0.0
CVSS:4.0/AV:N/AC:H/AT:P/PR:L/UI:P/VC:L/VI:H/VA:L/SC:N/SI:L/SA:H/E:A/CR:H/AR:H/MSI:H/MAV:L/MPR:X 5.9
CVSS:4.0/AV:N/AC:L/AT:P/PR:H/UI:N/VC:H/VI:H/VA:N/SC:H/SI:N/SA:H 8.7
CVSS:4.0/AV:A/AC:L/AT:N/PR:N/UI:A/VC:L/VI:H/VA:N/SC:L/SI:L/SA:N 6.9
CVSS:4.0/AV:A/AC:H/AT:N/PR:N/UI:P/VC:L/VI:L/VA:L/SC:L/SI:H/SA:H/E:A 5.3
CVSS:4.0/AV:A/AC:H/AT:P/PR:H/UI:N/VC:N/VI:H/VA:H/SC:N/SI:L/SA:H/CR:L/AR:L 6.8
CVSS:4.0/AV:N/AC:H/AT:N/PR:H/UI:P/VC:N/VI:L/VA:H/SC:L/SI:H/SA:N/MSI:L 5.8
CVSS:4.0/AV:P/AC:H/AT:N/PR:H/UI:N/VC:H/VI:L/VA:N/SC:H/SI:H/SA:N/E:P 4.1
CVSS:4.0/AV:A/AC:L/AT:N/PR:L/UI:P/VC:L/VI:H/VA:N/SC:N/SI:L/SA:L/MAV:L/MPR:X 5.2
CVSS:4.0/AV:A/AC:H/AT:N/PR:N/UI:N/VC:H/VI:L/VA:H/SC:L/SI:H/SA:L/CR:L/AR:L 5.8
CVSS:4.0/AV:N/AC:H/AT:P/PR:H/UI:N/VC:N/VI:H/VA:L/SC:N/SI:H/SA:L/E:A 7.0
CVSS:4.0/AV:L/AC:H/AT:N/PR:H/UI:P/VC:L/VI:L/VA:N/SC:H/SI:N/SA:H/MSI:S 5.1
CVSS:4.0/AV:N/AC:L/AT:N/PR:H/UI:P/VC:N/VI:H/VA:N/SC:N/SI:L/SA:N 6.8
CVSS:4.0/AV:A/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:H/E:P/CR:H/AR:H 7.0
CVSS:4.0/AV:N/AC:H/AT:N/PR:L/UI:A/VC:H/VI:N/VA:L/SC:L/SI:N/SA:L 5.8
CVSS:4.0/AV:N/AC:L/AT:P/PR:L/UI:A/VC:N/VI:N/VA:L/SC:N/SI:H/SA:N/MAV:L/MPR:X 1.8
CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:A/VC:H/VI:H/VA:H/SC:H/SI:L/SA:N/E:U/MSI:S 7.2
CVSS:4.0/AV:P/AC:L/AT:P/PR:H/UI:A/VC:N/VI:N/VA:L/SC:H/SI:N/SA:H/CR:H/AR:H 2.1
CVSS:4.0/AV:A/AC:L/AT:N/PR:H/UI:P/VC:N/VI:H/VA:H/SC:L/SI:L/SA:N 5.2
CVSS:4.0/AV:P/AC:L/AT:P/PR:L/UI:A/VC:N/VI:L/VA:N/SC:H/SI:N/SA:N/E:P 0.8
CVSS:4.0/AV:P/AC:L/AT:P/PR:N/UI:P/VC:H/VI:L/VA:L/SC:L/SI:H/SA:N 5.8
CVSS:4.0/AV:N/AC:H/AT:N/PR:N/UI:A/VC:L/VI:H/VA:H/SC:N/SI:N/SA:N/CR:M/AR:H/MSI:H 7.0
CVSS:4.0/AV:N/AC:H/AT:N/PR:H/UI:N/VC:L/VI:L/VA:H/SC:N/SI:H/SA:H/E:U/MAV:L/MPR:X 3.6
CVSS:4.0/AV:L/AC:H/AT:P/PR:L/UI:N/VC:L/VI:L/VA:H/SC:N/SI:L/SA:H 7.0
CVSS:4.0/AV:A/AC:H/AT:P/PR:H/UI:N/VC:L/VI:L/VA:N/SC:N/SI:L/SA:N 2.0
CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:L/VA:H/SC:H/SI:L/SA:H/E:P/CR:L/AR:M 8.0
CVSS:4.0/AV:L/AC:L/AT:P/PR:H/UI:P/VC:H/VI:L/VA:H/SC:N/SI:H/SA:L/MSI:S 7.2
CVSS:4.0/AV:A/AC:L/AT:N/PR:L/UI:N/VC:N/VI:H/VA:H/SC:L/SI:H/SA:L 8.4
CVSS:4.0/AV:N/AC:H/AT:P/PR:L/UI:A/VC:H/VI:H/VA:N/SC:N/SI:H/SA:H/E:A 8.6
CVSS:4.0/AV:A/AC:L/AT:N/PR:N/UI:P/VC:N/VI:L/VA:N/SC:H/SI:L/SA:L/CR:L/AR:L/MAV:L/MPR:X 6.2
CVSS:4.0/AV:N/AC:H/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N 7.7
CVSS:4.0/AV:N/AC:H/AT:N/PR:L/UI:N/VC:N/VI:N/VA:L/SC:N/SI:L/SA:N/E:P/MSI:L 1.3
CVSS:4.0/AV:A/AC:L/AT:N/PR:L/UI:N/VC:N/VI:N/VA:N/SC:H/SI:L/SA:L 6.3
CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:L/VA:L/SC:H/SI:H/SA:H/CR:L/AR:M 6.4
CVSS:4.0/AV:P/AC:H/AT:N/PR:H/UI:P/VC:H/VI:L/VA:H/SC:H/SI:L/SA:L/E:A 5.9
CVSS:4.0/AV:A/AC:H/AT:P/PR:H/UI:P/VC:H/VI:H/VA:L/SC:H/SI:L/SA:H 7.1
CVSS:4.0/AV:N/AC:H/AT:P/PR:N/UI:P/VC:L/VI:N/VA:N/SC:H/SI:H/SA:N/MSI:S/MAV:L/MPR:X 6.6
CVSS:4.0/AV:N/AC:H/AT:N/PR:N/UI:P/VC:N/VI:H/VA:L/SC:H/SI:L/SA:L/E:U/CR:H/AR:H 4.2
CVSS:4.0/AV:P/AC:L/AT:P/PR:L/UI:A/VC:L/VI:H/VA:L/SC:N/SI:N/SA:N 4.4
CVSS:4.0/AV:N/AC:L/AT:P/PR:H/UI:A/VC:N/VI:H/VA:N/SC:N/SI:N/SA:H 6.8
CVSS:4.0/AV:P/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:L/SC:H/SI:L/SA:L/E:U 4.0
"""

# examples of FIRST: https://www.first.org/cvss/v3-1/examples, https://www.first.org/cvss/v4-0/examples
FIRST = """
AV:N/AC:L/Au:N/C:N/I:N/A:C 7.8
AV:N/AC:L/Au:N/C:C/I:C/A:C 10.0
CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N 6.4
CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N 3.1
CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H 10.0
CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H 10.0
CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N 9.3
CVSS:4.0/AV:P/AC:H/AT:P/PR:H/UI:A/VC:L/VI:L/VA:L/SC:L/SI:L/SA:L/E:U 0.1
CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N 0.0
"""


@pytest.mark.parametrize("line", (SCORES + FIRST).strip().replace("\n\n", "\n").split("\n"))
def test_scores(line: str) -> None:
    vector, _, expected = line.partition(" ")
    assert cvss.score(vector) == float(expected)


@pytest.mark.parametrize(
    "vector",
    [
        "",
        "CVSS:3.1",
        "CVSS:5.0/AV:N",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:Z/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:HH/VI:H/VA:H/SC:N/SI:N/SA:N",
        "AV:N/AC:L/Au:N/C:N/I:N",
        "AV:N" + "/X:Y" * 200,
    ],
)
def test_broken_vectors_are_refused(vector: str) -> None:
    with pytest.raises(MalformedError):
        cvss.score(vector)


def test_brackets_and_the_prefix_of_version_2_are_allowed() -> None:
    assert (
        cvss.score("(AV:N/AC:L/Au:N/C:N/I:N/A:C)") == cvss.score("CVSS:2.0/AV:N/AC:L/Au:N/C:N/I:N/A:C") == 7.8
    )


METRICS = {
    "AV": "NALPX",
    "AC": "LHM",
    "AT": "NP",
    "PR": "NLH",
    "UI": "NPAR",
    "S": "UC",
    "VC": "HLN",
    "C": "HLNC",
}
vectors = st.tuples(
    st.sampled_from(["CVSS:3.1/", "CVSS:4.0/", "", "CVSS:9/"]),
    st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in METRICS.items()}),
    st.text(max_size=10),
).map(lambda parts: parts[0] + "/".join(f"{k}:{v}" for k, v in parts[1].items()) + parts[2])


@given(vectors)
@settings(deadline=None, max_examples=150)
def test_any_text_gives_a_score_or_a_refusal(vector: str) -> None:
    with contextlib.suppress(MalformedError):
        assert 0.0 <= cvss.score(vector) <= 10.0


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_a_graver_impact_never_scores_lower(data: st.DataObject) -> None:
    base = {
        name: data.draw(st.sampled_from(values))
        for name, values in {
            "AV": "NALP", "AC": "LH", "AT": "NP", "PR": "NLH", "UI": "NPA", "VC": "LN", "VI": "LN",
            "VA": "LN", "SC": "LN", "SI": "LN", "SA": "LN",
        }.items()
    }  # fmt: skip
    worse = {**base, data.draw(st.sampled_from(["VC", "VI", "VA", "SC"])): "H"}
    low, high = (cvss.score("CVSS:4.0/" + "/".join(f"{k}:{v}" for k, v in m.items())) for m in (base, worse))
    assert low <= high


@pytest.mark.parametrize(
    ("score", "label"),
    [
        *((score, "critical") for score in (10.0, 9.0)),
        *((score, "high") for score in (8.9, 7.0)),
        *((score, "medium") for score in (6.9, 4.0)),
        *((score, "low") for score in (3.9, 0.1, 0.0)),
    ],
)
def test_labels(score: float, label: str) -> None:
    assert label_of(score) == label
    assert label_of(score, version2=True) == label.replace("critical", "high")


V2, V3 = "AV:N/AC:L/Au:N/C:C/I:C/A:C", "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:L"
V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"


def rate(
    *own: Rating, record: tuple[Rating, ...] = (), own_word: str = "", word: str = ""
) -> tuple[str, float | None]:
    affected = Affected(name="x", ratings=own, word=own_word)
    when = datetime(2026, 1, 1, tzinfo=UTC)
    return severity_of(
        Record(id="X", modified=when, affected=(affected,), ratings=record, word=word), affected
    )


def test_where_the_severity_comes_from() -> None:
    v2, v3, v4 = (Rating(type=f"CVSS_V{n}", score=vector) for n, vector in ((2, V2), (3, V3), (4, V4)))
    broken, ubuntu = Rating(type="CVSS_V3", score="CVSS:3.1/none"), Rating(type="Ubuntu", score="high")
    assert rate(v3) == ("low", 3.3)
    assert rate(v3, v4) == ("critical", 9.3)
    assert rate(v2) == ("high", 10.0)
    assert rate(v3, record=(v4,)) == ("low", 3.3), "the package's own rating replaces the record's"
    assert rate(record=(v4,)) == ("critical", 9.3)
    assert rate(broken, ubuntu, record=(v3,)) == ("low", 3.3)
    assert rate(v3, word="critical") == ("low", 3.3)
    assert rate(word="moderate") == ("medium", None)
    assert rate(own_word="important", word="low") == ("high", None)
    assert rate(broken, word="dreadful") == ("unknown", None)


def test_the_figures_are_complete() -> None:
    figures = cvss._figures()["v4"]
    assert len(figures["scores"]) == 270
    assert all(re.fullmatch(r"[0-2][01][0-2][0-2][0-2][01]", key) for key in figures["scores"])
