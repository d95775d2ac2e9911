"""safetensors: judged as the library judges, and stricter where readers differ."""

from __future__ import annotations

import copy
import json
import struct
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_safetensors_file import TENSOR, file
from supplyguard.archives.safetensors_header import BITS, parse_header
from supplyguard.archives.signs import embedded_format, targets, text_signs
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import safetensors_file
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, findings, part_of, probe, yielded

FIXTURES = Path(__file__).parents[2] / "fixtures" / "safetensors_file"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
FORGIVEN = {
    "duplicate tensor",
    "duplicate key",
    "extra field",
    "nesting",
}
"""Flaws with which the library loads a file all the same (and padding, unless it is NUL)."""


def accepted_by_library(data: bytes) -> bool:
    try:
        safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError:
        return False
    return True


def accepted_here(data: bytes) -> bool:
    (length,) = struct.unpack_from("<Q", data)
    if length > len(data) - 8:
        return False
    try:
        header = parse_header(data[8 : 8 + length], len(data) - 8 - length, Limits())
    except MalformedError:
        return False
    padded = data[8 : 8 + length].endswith(b"\0")
    return {flaw.what for flaw in header.flaws} <= FORGIVEN | ({"padding"} if not padded else set())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    wanted = {each["rule"] for each in EXPECTED[name]}
    assert wanted <= found
    assert wanted or not found


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_library_agrees_on_acceptance(name: str) -> None:
    data = (FIXTURES / name).read_bytes()
    assert accepted_here(data) == accepted_by_library(data)
    if name.startswith("benign"):
        assert accepted_here(data)


ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*BITS, "U7", "u8", 3]),
        "shape": st.lists(
            st.one_of(st.integers(0, 4), st.sampled_from([2**40, 2**64, -1, 2.0, True, None])), max_size=3
        ),
        "data_offsets": st.lists(st.integers(0, 12), min_size=2, max_size=2),
    },
    optional={"note": st.text(max_size=3)},
)
HEADERS = st.dictionaries(st.sampled_from("abcd"), ENTRIES, max_size=4)


@pytest.mark.heavy
@given(HEADERS, st.integers(0, 16), st.sampled_from([b"", b"  ", b"\n", b"\0", b"x"]))
@settings(deadline=None, max_examples=300)
def test_random_headers_are_judged_as_the_library_does(header: Any, size: int, padding: bytes) -> None:
    data = file(json.dumps(header).encode() + padding, bytes(size))
    assert accepted_here(data) == accepted_by_library(data)


SIZES = st.lists(
    st.tuples(st.sampled_from(sorted(BITS)), st.lists(st.integers(0, 3).map(lambda n: 8 * n), max_size=2)),
    max_size=5,
)


@pytest.mark.heavy
@given(SIZES, st.data())
@settings(deadline=None, max_examples=150)
def test_honest_headers_have_no_flaw_and_one_change_is_judged_alike(
    tensors: list[tuple[str, list[int]]], draw: st.DataObject
) -> None:
    header: dict[str, Any] = {}
    place = 0
    for number, (dtype, shape) in enumerate(tensors):
        count = 1
        for size in shape:
            count *= size
        if not shape:
            shape, count = [8], 8  # noqa: PLW2901 - a scalar of less than a byte is not possible
        end = place + count * BITS[dtype] // 8
        header[f"t{number}"] = {"dtype": dtype, "shape": shape, "data_offsets": [place, end]}
        place = end
    data = file(header, bytes(place))
    assert accepted_by_library(data)
    assert [item for item in yielded(safetensors_file, data)] == []  # noqa: C416 - the message shows them
    if header:
        changed = copy.deepcopy(header)
        entry = changed[draw.draw(st.sampled_from(sorted(changed)))]
        entry["data_offsets"][draw.draw(st.integers(0, 1))] += draw.draw(st.sampled_from([1, 8, 2**64]))
        data = file(changed, bytes(place))
        assert accepted_here(data) == accepted_by_library(data)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_header_ends_in_evidence_or_malformed(text: bytes) -> None:
    for data in (file(text), file(b'{"a":' + text), text):
        if not safetensors_file.recognizes(probe(data, "x.safetensors")):
            continue
        try:
            items = list(yielded(safetensors_file, data))
        except MalformedError:
            assert not accepted_by_library(data)
            continue
        assert all(isinstance(item, Evidence | Member | Notification) for item in items)


@given(st.binary(min_size=1, max_size=4000))
@settings(deadline=None, max_examples=100)
def test_random_bytes_are_not_claimed(data: bytes) -> None:
    assert not safetensors_file.recognizes(probe(b"\xff" + data, "x.bin"))


def test_recognised_by_content_or_by_name_when_broken() -> None:
    good = file({"a": TENSOR})
    assert safetensors_file.recognizes(probe(good, "model.bin"))
    assert safetensors_file.recognizes(probe(struct.pack("<Q", 999) + good[8:], "x.bin"))
    assert safetensors_file.recognizes(probe(b"\xff" * 8 + good[8:], "model.safetensors"))
    assert not safetensors_file.recognizes(probe(b"\xff" * 8 + good[8:], "x.bin"))
    assert not safetensors_file.recognizes(probe(b"short", "model.safetensors"))


def test_what_is_in_the_data_is_a_member() -> None:
    data = (FIXTURES / "malicious" / "pickle_inside.safetensors").read_bytes()
    (member,) = (item for item in yielded(safetensors_file, data) if isinstance(item, Member))
    assert member.path == ("(tensors)",)
    assert content(member).startswith(b"\x80\x02cos\n")


def test_many_flaws_are_cut_and_counted() -> None:
    header = {
        f"t{number}": {**TENSOR, "note": 1, "data_offsets": [0, 0], "shape": [0]} for number in range(80)
    }
    items = list(yielded(safetensors_file, file(header, b"")))
    assert sum(isinstance(item, Evidence) for item in items) == safetensors_file.SHOWN
    assert [item.code for item in items if isinstance(item, Notification)] == ["not-listed"]


@pytest.mark.parametrize("limits", [Limits(nodes=3), Limits(document_depth=2)])
def test_limits_hold(limits: Limits) -> None:
    with pytest.raises(MalformedError):
        list(yielded(safetensors_file, file({"a": TENSOR}), budget=Budget(limits)))


def test_a_header_over_the_document_limit_ends_it() -> None:
    with pytest.raises(BudgetExceededError):
        list(yielded(safetensors_file, file({"a": TENSOR}), budget=Budget(Limits(document_bytes=20))))


def test_hostile_headers_end_soon() -> None:
    start = time.monotonic()
    for text in (b'{"a":' + b"[" * 3_000_000, b'{"' + b"\\" * 3_000_000, b'{"a":"' + b'\\"' * 2_000_000):
        with pytest.raises(MalformedError):
            list(yielded(safetensors_file, file(text)))
    assert time.monotonic() - start < 10


def test_signs() -> None:
    assert embedded_format(bytes(100)) is None
    assert embedded_format(b"\x80\x04\x95" + b"\x10" + bytes(7)) == "a pickle"
    assert list(text_signs('{"a": 1}' + " " * 70_000)) == []
    assert list(text_signs("https://example.org/model and some words")) == []
    assert list(targets("{'_target_': 'subprocess.Popen'} _target_: my.Class")) == [
        ("subprocess.Popen", True),
        ("my.Class", False),
    ]
