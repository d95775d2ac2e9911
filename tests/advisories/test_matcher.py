from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from supplyguard.advisories import matcher
from supplyguard.advisories.osv import Affected, Event, Range, Record

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def span(*events: str) -> Range:
    """Write events as ">=1", "<2", "<=2" and "limit 3"."""
    kinds = {">=": "introduced", "<=": "last_affected", "limit ": "limit", "<": "fixed"}
    made = []
    for text in events:
        sign = next(sign for sign in (">=", "<=", "limit ", "<") if text.startswith(sign))
        made.append(Event(kind=kinds[sign], version=text.removeprefix(sign)))
    return Range(type="ECOSYSTEM", events=tuple(made))


def package(*ranges: Range, versions: tuple[str, ...] = ()) -> Affected:
    return Affected(name="x", ranges=ranges, versions=frozenset(versions))


def record(*affected: Affected, identifier: str = "CVE-1", withdrawn: bool = False) -> Record:
    return Record(
        id=identifier,
        modified=NOW,
        affected=affected,
        withdrawn=withdrawn,
        malicious=identifier.startswith("MAL-"),
    )


@pytest.mark.parametrize(
    ("affected", "version", "expected"),
    [
        # specifiers would refuse these: "<2.6.0" has no pre-release, ">2.5.1" no post-release
        (package(span(">=0", "<2.6.0")), "2.6.0rc1", True),
        (package(span(">=2.5.1", "<2.6.0")), "2.5.1.post1", True),
        (package(span(">=0", "<=2.5.1")), "2.5.1.post1", False),
        # a local version is greater than its public one, and is not for advisories
        (package(span(">=0", "<=2.5.1")), "2.5.1+cu121", True),
        (package(span(">=0", "<2.6.0")), "2.6.0+cpu", False),
        (package(versions=("2.5.1",)), "2.5.1+cu121", True),
        (package(versions=("2.5.1+cu121",)), "2.5.1+cu121", True),
        (package(versions=("2.5.1+cu121",)), "2.5.1", False),
        # "0" is before every version
        (package(span(">=0", "<1")), "0.dev0", True),
        (package(span(">=0", "<1")), "0a0.dev1", True),
        (package(span(">=0")), "999!1", True),
        # several intervals, events in any order
        (package(span(">=1", "<2", ">=3", "<4")), "2.5", False),
        (package(span("<4", ">=3", "<2", ">=1")), "2.5", False),
        (package(span("<4", ">=3", "<2", ">=1")), "1", True),
        (package(span("<4", ">=3", "<2", ">=1")), "3.9.9", True),
        (package(span("<4", ">=3", "<2", ">=1")), "4", False),
        (package(span(">=1", "<2"), span(">=3", "<4")), "3.5", True),
        # intervals that touch are one; one that ends where it begins is empty
        (package(span(">=1", "<2", ">=2", "<3")), "2", True),
        (package(span(">=2", "<3", ">=1", "<2")), "2.0", True),
        (package(span(">=2", "<2")), "2", False),
        (package(span(">=2", "<2")), "3", False),
        (package(span(">=2", "<=2")), "2", True),
        (package(span(">=2", "<=2")), "2.0.1", False),
        (package(span("<=2", ">=2")), "2", True),
        (package(span("<=2", ">=2")), "2.1", False),
        # limits
        (package(span(">=1", "limit 2")), "1.5", True),
        (package(span(">=1", "limit 2")), "2", False),
        (package(span(">=1", "limit *")), "7", True),
        (package(span(">=1", "limit 2", "limit 3")), "2.5", True),
        # versions are compared, not texts
        (package(versions=("1.0",)), "1.0.0", True),
        (package(versions=("1.0rc1",)), "1.0.RC.1", True),
        (package(versions=("1.0",)), "1.0.1", False),
        (package(span(">=1.9", "<1.10")), "1.9.9", True),
        # enumerated versions that are not PEP 440 match as they stand
        (package(versions=("2004d-beta_x",)), "2004d-beta_x", True),
        (package(span(">=0"), versions=("1",)), "not a version", None),
        (package(span(">=0")), "1" * 201, None),
        (package(span(">=0")), "1" * 5000, None),
        # a range that cannot be compared leaves the enumerated versions to tell
        (package(span(">=0", "<1.0-odd-x")), "1", None),
        (package(span(">=0", "<1.0-odd-x"), versions=("2",)), "1", False),
        (package(span(">=0", "<1.0-odd-x"), versions=("2",)), "2.0", True),
        (package(span("<1.0-odd-x"), span(">=1", "<2")), "1", True),
        # nothing is said
        (package(), "1", False),
        (package(span()), "1", False),
    ],
)
def test_what_is_affected(affected: Affected, version: str, expected: bool | None) -> None:
    assert matcher.is_affected(affected, version) is expected


ORDERED = """
0.dev1 0.1 1.0.dev1 1.0a1 1.0rc1 1.0 1.0.post1 1.0.1 1.9 1.10 2.0rc1 2.0 2.0.post2 3 1!0.5
"""
POINTS = tuple(map(Version, ORDERED.split()))


@pytest.mark.heavy
@given(st.data())
@settings(deadline=None, max_examples=300)
def test_ranges_agree_with_plain_intervals(data: st.DataObject) -> None:
    """Cut the line of versions at random places, and compare with membership in the pieces."""
    cuts = data.draw(st.lists(st.integers(0, len(POINTS) - 1), max_size=8, unique=True).map(sorted))
    intervals: list[tuple[int, int, bool]] = []
    for place in range(0, len(cuts) - 1, data.draw(st.sampled_from([1, 2]))):
        inclusive = data.draw(st.booleans()) and place + 2 >= len(cuts)
        intervals.append((cuts[place], cuts[place + 1], inclusive))
    events = []
    for start, end, inclusive in intervals:
        zero = start == 0 and data.draw(st.booleans())
        events.append(">=0" if zero else f">={POINTS[start]}")
        events.append(f"{'<=' if inclusive else '<'}{POINTS[end]}")
    affected = package(span(*data.draw(st.permutations(events))))
    for place, version in enumerate(POINTS):
        inside = any(
            start <= place < end or (inclusive and place == end) for start, end, inclusive in intervals
        )
        text = f"{version}+local.1" if data.draw(st.booleans()) else str(version)
        assert matcher.is_affected(affected, text) is inside


versions = st.text(alphabet="0123456789.abrcdevpost+!-_*", max_size=12)
kinds = st.sampled_from(["introduced", "fixed", "last_affected", "limit"])
hostile_ranges = st.lists(st.builds(Event, kind=kinds, version=versions | st.just("0")), max_size=5).map(
    lambda events: Range(type="ECOSYSTEM", events=tuple(events))
)


@given(st.lists(hostile_ranges, max_size=3), st.frozensets(versions, max_size=3), versions)
@settings(deadline=None, max_examples=200)
def test_any_record_gives_an_answer(ranges: list[Range], listed: frozenset[str], version: str) -> None:
    affected = Affected(name="x", ranges=tuple(ranges), versions=listed)
    answer = matcher.is_affected(affected, version)
    assert answer in (True, False, None)
    if version in listed:
        assert answer is True


def test_a_withdrawn_record_matches_nothing() -> None:
    assert matcher.matches(record(package(span(">=0")), withdrawn=True), "x", "1") is False


def test_other_packages_of_a_record_do_not_count() -> None:
    assert matcher.matches(record(package(span(">=0"))), "y", "1") is False


def test_several_entries_of_one_package() -> None:
    both = record(package(span(">=0", "<1.0-odd-x")), package(span(">=1", "<2")))
    assert matcher.matches(both, "x", "1.5") is True
    assert matcher.matches(both, "x", "3") is None
    assert matcher.matches(record(package(span(">=1", "<2"))), "x", "3") is False


@pytest.mark.parametrize(
    ("affected", "version", "expected"),
    [
        (package(span(">=0")), None, True),
        (package(span(">=0"), versions=("1",)), None, True),
        (package(span(">=0")), "2.0-odd-x", True),
        (package(), None, True),
        (package(versions=("1",)), None, False),
        (package(span(">=0", "<2")), None, False),
        (package(span(">=1")), None, False),
        (package(versions=("1",)), "1", True),
        (package(versions=("1",)), "2", False),
    ],
)
def test_malicious_packages_match_by_name(affected: Affected, version: str | None, expected: bool) -> None:
    assert matcher.matches(record(affected, identifier="MAL-2024-1"), "x", version) is expected


def test_a_vulnerable_package_does_not_match_by_name() -> None:
    assert matcher.matches(record(package(span(">=0"))), "x", None) is False


def test_fixed_versions_are_those_after_this_one() -> None:
    known = record(
        package(span(">=0", "<1.10", ">=2", "<2.0.1", ">=3", "<odd")), package(span(">=0", "<1.9"))
    )
    assert matcher.fixed_versions([known], "x", "1.2") == ("1.9", "1.10", "2.0.1")
    assert matcher.fixed_versions([known], "x", "1.9+local") == ("1.10", "2.0.1")
    assert matcher.fixed_versions([known], "x", None) == ("1.9", "1.10", "2.0.1")
    assert matcher.fixed_versions([known], "y", "1.2") == ()


def test_the_smallest_upgrade_clears_the_record() -> None:
    known = record(package(span(">=0", "<1.10", ">=2", "<2.0.1")), package(span(">=0", "<1.9")))
    fixed = matcher.fixed_versions([known], "x", "1.2")
    assert matcher.smallest_upgrade([known], "x", fixed) == "1.10"
    everywhere = record(package(span(">=0")))
    assert matcher.smallest_upgrade([known, everywhere], "x", fixed) is None


numbers = st.sampled_from(["0", "00", "1", "01", "2", "10", "010"])
spellings = st.builds(
    lambda lead, release, rest: lead + ".".join(release) + rest,
    st.sampled_from(["", "v", "V", " ", " v", "0!", "1!"]),
    st.lists(numbers, min_size=1, max_size=4),
    st.sampled_from(["", "a1", ".a1", "-1", ".post1", "rc0", ".dev1", "+cu121", "\n"]),
)


@given(spellings, spellings)
@settings(deadline=None, max_examples=300)
def test_equal_versions_begin_alike(one: str, other: str) -> None:
    first, second = matcher.parse_version(one), matcher.parse_version(other)
    assert first is not None
    begins = matcher._begin(one), matcher._begin(other)
    if first == second and None not in begins:
        assert begins[0] == begins[1]


@pytest.mark.heavy
@given(spellings, st.frozensets(spellings, max_size=5))
@settings(deadline=None, max_examples=200)
def test_enumeration_is_equality(raw: str, versions: frozenset[str]) -> None:
    version = Version(raw)
    expected = raw in versions or any(
        Version(one) in (version, matcher.public_version(version)) for one in versions
    )
    assert matcher.is_affected(Affected(name="x", versions=versions), raw) is expected
