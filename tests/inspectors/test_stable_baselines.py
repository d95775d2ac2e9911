"""Stable-Baselines3: every pickle in the JSON is a member, however it is nested or written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_stable_baselines import data, value
from fixtures.raw_zip import plain_pickle
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import stable_baselines as inspector
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "stable_baselines"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {(each.rule.id, each.location.member) for each in findings(part_of(FIXTURES / name))}
    assert {(each["rule"], tuple(each["member"])) for each in EXPECTED[name]} <= found
    assert bool(found) == bool(EXPECTED[name])


def test_recognised_by_key_or_name() -> None:
    assert inspector.recognizes(probe(data(a=value(b"x")), "anything"))
    assert inspector.recognizes(probe(b'\xef\xbb\xbf {"a": 1}', "a.zip/data"))
    assert not inspector.recognizes(probe(b"[]", "data"))
    assert not inspector.recognizes(probe(b'{"a": 1}', "a.json"))


def test_one_name_twice_gives_two_members() -> None:
    items = list(yielded(inspector, data(a=[value(plain_pickle()), value(b"other")]), "data"))
    assert all(isinstance(item, Member) for item in items)
    members = [item for item in items if isinstance(item, Member)]
    assert [item.path for item in members] == [("a",), ("a#2",)]
    assert [content(item) for item in members] == [plain_pickle(), b"other"]


@pytest.mark.parametrize("given_value", [1, None, "", "a", ["x"], {":serialized:": "YQ=="}])
def test_values_that_are_no_text(given_value: object) -> None:
    items = list(yielded(inspector, data(a={":serialized:": given_value}), "data"))
    assert isinstance(items[0], Evidence)


def test_bad_and_long_documents() -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, b'{"a": ', "data"))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, data(), "data", Budget(Limits(document_bytes=9))))
    for piece in (*cuts(data(a=value(plain_pickle())), 200), *mutations(data(a=value(b"x")), 200)):
        survives(inspector, piece, "data")


@given(st.binary(max_size=100))
@settings(deadline=None, max_examples=50)
def test_any_bytes(noise: bytes) -> None:
    survives(inspector, b"{" + noise, "data")
    assert survives(inspector, data(a=value(noise)), "data")
