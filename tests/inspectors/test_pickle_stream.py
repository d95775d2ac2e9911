"""The pickle inspector: what it claims, and what each fixture is found to do."""

from __future__ import annotations

import pickle
import struct
import time

import pytest

from fixtures.make_pickle_stream import BENIGN, CALL, MALICIOUS, P2, P3, SILENT_LEVELS, b, c, x
from supplyguard.errors import BudgetExceededError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import pickle_stream
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget, Limits
from supplyguard.pickles.knowledge import load_knowledge
from supplyguard.pickles.programs import Programs, examine
from tests.examined import memory, probe, yielded

ALL = BENIGN | {name: data for name, (data, _) in (MALICIOUS | SILENT_LEVELS).items()}


def evidence(data: bytes) -> list[Evidence]:
    return [each for each in yielded(pickle_stream, data) if isinstance(each, Evidence)]


@pytest.mark.parametrize("name", ALL)
def test_every_fixture_is_recognised(name: str) -> None:
    assert pickle_stream.recognizes(probe(ALL[name]))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [None, 1, "text", [1, 2], {"a": (1, 2, 3, 4)}, ["x" * 100] * 3_000, list(range(50_000))],
    ids=lambda value: str(value)[:12],
)
def test_plain_pickles_are_recognised(protocol: int, value: object) -> None:
    assert pickle_stream.recognizes(probe(pickle.dumps(value, protocol)))


TEXTS = {
    "python": b"import os\n\n\ndef main():\n    return os.system('true')\n",
    "words": b"cat\ndog\nbird\nlizard\n",
    "csv": b"id,name,value\n1,a,2\n2,b,3\n",
    "json": b'{"a": [1, 2, 3], "b": null}\n',
    "json list": b"[1, 2, 3]\n",
    "markdown": b"# Title\n\nSome text. More.\n",
    "numbers": b"1.5\n2.5\n3.5\n",
    "toml": b"[project]\nname = 'x'\n",
    "ini": b"(section)\nI=1\n.\n",
    "yaml": b"- a: 1\n  b: [x]\n",
    "names": b"config\nname\nbuild\nother\n",
    "empty": b"",
    "blank": b"\n\n\n",
    "zeros": bytes(5_000),
    "dot": b".",
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100) + P2 + CALL + b".",
    "proto alone": b"\xff\x80\x02\xff",
    "bad opcode": b"\x80\x04\xff\xff",
}


@pytest.mark.parametrize("name", TEXTS)
def test_other_files_are_not(name: str) -> None:
    assert not pickle_stream.recognizes(probe(TEXTS[name]))


def test_looking_at_texts_is_cheap() -> None:
    probes = [probe(data * 20) for data in TEXTS.values()] * 50
    started = time.process_time()
    assert sum(pickle_stream.recognizes(each) for each in probes) == 0
    assert (time.process_time() - started) / len(probes) < 0.001


def test_a_long_text_pickle_is_recognised_by_its_head() -> None:
    data = pickle.dumps(list(range(100_000)), 0)
    assert pickle_stream.recognizes(Probe(head=data[:65_536], tail=b"", name="x", size=len(data)))


def test_offsets_and_arguments_are_those_of_the_call() -> None:
    (seen,) = evidence(P2 + CALL + b".")
    assert seen.location.offset == (P2 + CALL).rindex(b"R")
    assert seen.facts["callable"] == "os.system"
    assert seen.facts["arguments"] == "'echo pwned-by-fixture'"
    assert seen.facts["count"] == 1


def test_the_same_call_again_only_counts() -> None:
    (seen,) = evidence(P2 + (CALL + b"0") * 1000 + b"N.")
    assert seen.facts["count"] == 1000


def test_what_came_before_an_error_is_kept() -> None:
    for end in (b"", b"\xff", b"h\x07."):
        found = list(yielded(pickle_stream, P2 + CALL + end))
        assert [each.kind for each in found if isinstance(each, Evidence)] == ["pickle-call"]
        (notice,) = [each for each in found if isinstance(each, Notification)]
        assert (notice.code, notice.incomplete) == ("malformed", True)


def test_a_spent_budget_still_gives_the_evidence() -> None:
    items = yielded(pickle_stream, P2 + (CALL + b"0") * 9 + b"N.", budget=Budget(Limits(actions=5)))
    assert isinstance(next(items), Evidence)
    with pytest.raises(BudgetExceededError):
        list(items)


def nested(depth: int) -> bytes:
    data = P2 + CALL + b"."
    for _ in range(depth):
        data = P3 + c("torch.storage", "_load_from_bytes") + b(data) + b"\x85R."
    return data


def test_nested_pickles_are_followed_to_a_depth() -> None:
    deep = evidence(nested(5))
    assert [(each.kind, len(each.location.member)) for each in deep] == [("pickle-call", 5)]
    found = list(yielded(pickle_stream, nested(12)))
    assert [each.code for each in found if isinstance(each, Notification)] == ["nested-too-deep"]


def test_another_format_in_a_loader_is_a_member() -> None:
    data = P3 + c("torch.storage", "_load_from_bytes") + b(b"PK\x03\x04" + bytes(5_000)) + b"\x85R."
    (member,) = yielded(pickle_stream, data)
    assert isinstance(member, Member)
    assert member.path[-1].startswith("<bytes@")
    with member.open() as stream:
        assert stream.read(4) == b"PK\x03\x04"


def test_legacy_torch_files_are_five_pickles_and_raw_data() -> None:
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    data = magic + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + P2 + b"N." + pickle.dumps(["1"], 2)
    assert evidence(data + struct.pack("<Q", 1) + b"\x80\x02" * 30) == []
    evil = magic + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + P2 + CALL + b"." + pickle.dumps([], 2)
    assert [each.kind for each in evidence(evil)] == ["pickle-call"]


def test_programs_can_be_looked_into() -> None:
    programs = Programs(keep_calls=True)
    data = P2 + CALL + b"0" + x("key") + b"Q."
    list(examine(memory(data), Budget(), load_knowledge(), programs=programs))
    (program,) = programs.found
    assert (program.start, program.end) == (0, len(data))
    assert [(each.callable, each.opcode) for each in program.calls] == [("os.system", "REDUCE")]
    assert [each.dotted for each in program.globals] == ["os.system"]
    assert program.persistent_ids == ("key",)
