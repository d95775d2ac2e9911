import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.fingerprint import (
    Fingerprints,
    Occurrences,
    binary_fingerprint,
    distinct_primary,
    line_hashes,
    primary_of,
)

# values that GitHub's uploader gives for these files
PUBLISHED = {
    "": ["c129715d7a2bc9a3:1"],
    " a\nb\n  \t\tc\n d": [
        "271789c17abda88f:1",
        "54703d4cd895b18:1",
        "180aee12dab6264:1",
        "a23a3dc5e078b07b:1",
    ],
}


def by_definition(text: str) -> list[str]:
    """The slow way: one unit after the other, each line's window summed up on its own."""
    stream: list[int] = []
    starts: list[int] = []
    at_start = True
    after_cr = False
    raw = text.encode("utf-16-be", "surrogatepass")
    units = [raw[i] << 8 | raw[i + 1] for i in range(0, len(raw), 2)]
    for unit in [*units, 0xFFFF]:
        is_lf_of_crlf = after_cr and unit == 10
        after_cr = unit == 13
        if unit in (9, 32) or is_lf_of_crlf:
            after_cr = False
            continue
        if at_start:
            starts.append(len(stream))
        at_start = unit in (10, 13)
        stream.append(10 if unit == 13 else unit)
    stream.extend([0] * 100)
    hashes: list[str] = []
    for start in starts:
        window = stream[start : start + 100]
        value = sum(unit * 37 ** (99 - i) for i, unit in enumerate(window)) % 2**64
        seen = sum(1 for other in hashes if other.startswith(f"{value:x}:"))
        hashes.append(f"{value:x}:{seen + 1}")
    return hashes


@pytest.mark.parametrize(("text", "expected"), list(PUBLISHED.items()))
def test_line_hashes_are_githubs(text: str, expected: list[str]) -> None:
    assert list(line_hashes(text)) == expected


def test_equal_lines_are_counted_until_the_windows_differ() -> None:
    hashes = line_hashes("Lorem ipsum dolor sit amet.\n" * 10)
    assert hashes[:6] == tuple(f"a7f2ff13bc495cf2:{n}" for n in range(1, 7))
    assert hashes[6] == "a7f2ff1481e87703:1"
    assert hashes[-1] == "c129715d7a2bc9a3:1"


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from(["a", "é", "𝄞", "\ud800", "\uffff", "\0", " ", "\t", "\r", "\n", "x" * 99, "y" * 101])
    )
)
def test_line_hashes_follow_the_definition(parts: list[str]) -> None:
    text = "".join(parts)
    assert list(line_hashes(text)) == by_definition(text)


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_every_line_has_a_hash(text: str) -> None:
    assert len(line_hashes(text)) == len(re.split("\r\n|\r|\n", text))


def test_indentation_and_line_ends_do_not_matter() -> None:
    assert line_hashes("a b\r\n\tc\r\n") == line_hashes("ab\nc\n")


def test_occurrences_are_counted_by_scope() -> None:
    occurrences = Occurrences()
    given_keys = [("k",), ("k",), ("k", "file"), ("l",), ("k", "file")]
    assert [occurrences.number(*key) for key in given_keys] == ["k:1", "k:2", "k:1", "l:1", "k:2"]


def test_a_binary_fingerprint_depends_on_each_part_and_nothing_else() -> None:
    fingerprints = {
        binary_fingerprint(rule, member, symbol)
        for rule, member, symbol in product(("r", "rm"), ((), ("m",), ("m", "n"), ("mn",)), ("s", ""))
    }
    assert len(fingerprints) == 16
    assert all(re.fullmatch("[0-9a-f]{16}", fingerprint) for fingerprint in fingerprints)
    # fixed for good: reports of earlier versions are compared with it
    assert (
        binary_fingerprint("pickle-executes-code", ("archive/data.pkl",), "os.system") == "e57d808eefd92846"
    )


def test_fingerprints_are_unique_in_a_report_and_the_same_in_the_next() -> None:
    def make() -> list[str]:
        of = Fingerprints()
        return [
            of.text(rule_id="r", path="a.txt", symbol="CVE-1", line_hash="ab:1"),
            of.text(rule_id="r", path="a.txt", symbol="CVE-2", line_hash="ab:1"),
            of.text(rule_id="r", path="a.txt", symbol="CVE-2", line_hash="ab:1"),
            of.text(rule_id="q", path="a.txt", symbol="CVE-2", line_hash="ab:1"),
            of.text(rule_id="r", path="b.txt", symbol="CVE-1", line_hash="ab:1"),
            of.binary(rule_id="r", path="a.pt", member=("x",), symbol="os.system"),
            of.binary(rule_id="r", path="a.pt", member=("x",), symbol="os.system"),
            of.binary(rule_id="r", path="a.pt", member=("y",), symbol="os.system"),
            of.binary(rule_id="r", path="b.pt", member=("x",), symbol="os.system"),
        ]

    made = make()
    assert len(set(made)) == len(made)
    assert made == make()


def test_the_primary_part_is_what_services_compare() -> None:
    of = Fingerprints()
    assert primary_of(of.text(rule_id="r", path="a", symbol="", line_hash="ab:3")) == "ab:3"
    first, second = (
        primary_of(of.binary(rule_id="r", path="a", member=(), symbol="os.system")) for _ in range(2)
    )
    assert (first, second) == (
        f"{binary_fingerprint('r', (), 'os.system')}:1",
        f"{binary_fingerprint('r', (), 'os.system')}:2",
    )
    assert primary_of("ab:1") == "ab:1"


def test_several_advisories_on_one_line_are_told_apart() -> None:
    fingerprints = Fingerprints()
    (line_hash, *_rest) = line_hashes("torch==2.5.1\n")
    made = [
        fingerprints.text(rule_id="r", path="requirements.txt", symbol=symbol, line_hash=line_hash)
        for symbol in ("", "torch:CVE-1", "torch:CVE-2")
    ]
    assert {primary_of(each) for each in made} == {line_hash}
    assert len({distinct_primary(each) for each in made}) == 3
