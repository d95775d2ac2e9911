"""TorchScript archives: what their code touches, however the name is spelled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_torchscript import HEAD, LOAD, archive, bytecode, load, make, method
from fixtures.raw_zip import Part, write_zip
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import torchscript
from supplyguard.limits import Budget, Limits
from supplyguard.wire.script_code import read_methods
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "torchscript"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
HONEST = FIXTURES.parent / "honest" / "torch_graphs"


def evidence(data: bytes) -> list[Evidence]:
    return [item for item in yielded(torchscript, data) if isinstance(item, Evidence)]


def kinds(data: bytes) -> list[str]:
    return [each.kind for each in evidence(data)]


def names(text: str) -> dict[str, set[str]]:
    return {each.name: set(each.names) for each in read_methods(text, Budget())}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    found = {each.rule.id for each in findings(part)}
    assert {each["rule"] for each in EXPECTED[name]} <= found
    assert EXPECTED[name] or not (found or gaps(part))


def test_regenerating_gives_the_same_bytes(tmp_path: Path) -> None:
    make(tmp_path)
    for path in (file for file in FIXTURES.rglob("*") if file.is_file()):
        assert (tmp_path / path.relative_to(FIXTURES)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", sorted(HONEST.glob("torch_TorchScript_*.pt")), ids=lambda path: path.name)
def test_what_torch_writes_is_silent(path: Path) -> None:
    data = path.read_bytes()
    assert torchscript.recognizes(probe(data))
    assert evidence(data) == []


@pytest.mark.parametrize(
    "spelled",
    [
        "torch.save(x)",
        "ops.aten.save(x)",
        "torch.ops.aten.save(x)",
        "((torch)).save(x)",
        "torch . save(x)",
        "torch .save(x)",
        'getattr(torch, "save")(x)',
        'getattr(torch, "sa\\x76\\145", )(x)',
        'getattr(getattr(ops, "aten"), "save")(x)',
        "(ops).aten.save(x)",
    ],
)
def test_one_operator_in_many_spellings(spelled: str) -> None:
    assert "aten::save" in names(f"def f(x):\n  _0 = {spelled}\n")["f"]


def test_an_alias_ends_with_its_function() -> None:
    text = "def f(x):\n  a = torch\n  b = a\n  b.save(x)\ndef g(a):\n  a.save(x)\n"
    assert "aten::save" in names(text)["f"]
    assert names(text)["g"] == {"def", "g", "a", "a.save", "x"}


def test_a_call_is_no_bracketed_name() -> None:
    assert names("def f(x):\n  torch(x).save(y)\n  (a)(b).c\n")["f"] >= {"torch", "x", "y", "a", "b"}


def test_what_breaks_off_is_given_first() -> None:
    methods = read_methods("def f(x):\n  torch.save(x)\n  \x01\n", Budget())
    given = [next(methods).name, next(methods).name]
    with pytest.raises(MalformedError):
        next(methods)
    assert given == ["", "f"]


def test_code_before_a_break_is_judged() -> None:
    assert kinds(archive(load("torch.save(x)") + "\x01")) == ["torchscript-unread", "torchscript-file"]


def test_bytecode_that_is_shaped_otherwise_is_survived() -> None:
    for mobile in (
        bytecode("forward", "aten::relu")[:-1] + b"0N.",
        b"\x80\x02X\x09\0\0\0operatorsN\x86.",
        b"\x80\x02X\x09\0\0\0operators(N)Nttt.",
        b"\x80\x02]q\0h\0a.",
    ):
        assert survives(torchscript, archive(HEAD, mobile=mobile))


def test_only_what_loading_reaches_is_at_load() -> None:
    text = method("torch.save(x)", name="apart") + LOAD + "    _0 = torch.relu(x)\n"
    (found,) = evidence(archive(text))
    assert found.facts["at_load"] is False
    both = method("torch.save(x)", name="apart") + LOAD + "    torch.save(x)\n"
    (found,) = evidence(archive(both))
    assert (found.facts["at_load"], found.facts["method"]) == (True, "__setstate__")
    later = load("torch.save(x)") + "  def apart(self):\n    torch.save(x)\n"
    assert [each.facts["method"] for each in evidence(archive(later))] == ["__setstate__"]


def test_the_budget_ends_long_code() -> None:
    with pytest.raises(BudgetExceededError):
        list(read_methods("x = 1\n" * 2000, Budget(Limits(nodes=2000))))


def test_long_code_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchscript, "MOST_CODE", 100)
    assert [each.facts["reason"] for each in evidence(archive(HEAD))] == ["is longer than 64 MiB"]


def test_other_archives_are_left_alone() -> None:
    assert not torchscript.recognizes(probe(b"no zip"))
    assert not torchscript.recognizes(probe(write_zip([Part(name=b"a.txt")])))
    assert evidence(write_zip([Part(name=b"a/constants.pkl")])) == []
    assert evidence(b"PK\3\4" + bytes(60)) == []


def test_members_that_cannot_be_read_are_left_to_the_archive() -> None:
    parts = [Part(name=b"a/data.pkl", method=9, written=b"?"), Part(name=b"a/constants.pkl", data=b"K\1.")]
    code = Part(name=b"a/code/b.py", method=9, written=b"?")
    gone = Part(name=b"a/code/c.py", central={"target": 7})
    assert evidence(write_zip([*parts, code, gone])) == []


def test_cuts_and_mutations() -> None:
    data = archive(load('torch.save(state, "fixture")'))
    for each in [*cuts(data, 200), *mutations(data, 300)]:
        survives(torchscript, each, "model.pt")
