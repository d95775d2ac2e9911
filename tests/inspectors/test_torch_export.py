"""torch.export archives: texts that the loader evaluates have only what torch writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_torch_export import archive, model
from fixtures.raw_zip import Part, write_zip
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import torch_export as inspector
from supplyguard.limits import Budget, Limits
from tests.examined import findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "torch_export"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


def kinds(data: bytes) -> list[str]:
    return [item.kind for item in yielded(inspector, data) if isinstance(item, Evidence)]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert {each["rule"] for each in EXPECTED[name]} <= found
    assert bool(found) == bool(EXPECTED[name])


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 60), *mutations(data, 30, number)]:
            survives(inspector, piece, name)


@pytest.mark.parametrize(
    "text",
    [
        "Symbol('u0', integer=True)",
        "2*s0 + 1",
        "Max(Integer(1), Add(Mul(Integer(2), Symbol('s44', positive=True, integer=True)), Integer(-2)))",
        "TruncToInt(Mul(Float('1.5', precision=53), ToFloat(Symbol('s53', positive=True, integer=True))))",
        "StrictLessThan(Symbol('u0', integer=True), Integer(10))",
        "oo",
        "(s0 >> 1) & ~u1",
    ],
)
def test_expressions_of_torch(text: str) -> None:
    assert kinds(archive(model(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "exec('1')",
        "Symbol('a').func",
        "Symbol('s0', positive=exec)",
        "Symbol('s0', **{})",
        "Symbol('a b')",
        "Integer(Symbol)('x')",
        "(lambda: 1)()",
        "[x for x in y]",
        "'text'",
        "_private",
        "a[0]",
        "(" * 300,
        "-" * 8000 + "1",
        "x = 1",
        "a" + ".b" * 4000 + "()",
    ],
)
def test_expressions_that_are_more(text: str) -> None:
    assert kinds(archive(model(text))) == ["pt2-expression"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("L['y'].size()[0] == L['x'].size()[0]", ""),
        ("(L['x'].size()[3]*L['x'].size()[2]) != max(1, L['x'].size()[2] // 2)", ""),
        ("isinstance(L['x'], torch.Tensor) and len(L['x']) == math.floor(2.5)", ""),
        ("torch.sym_max(L['a']['b'].numel(), 2) > 1", ""),
        ("L['x'].shape == 1", "pt2-guard"),
        ("L['x'].size()[0] == 'text'", "pt2-guard"),
        ("print(1)", "pt2-guard"),
        ("L.size()", "pt2-guard"),
        ("torch.load('x')", "pt2-guard"),
    ],
)
def test_guards(text: str, kind: str) -> None:
    assert kinds(archive(model(guard=text))) == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("target", "fine"),
    [
        ("torch.ops.higher_order.cond", True),
        ("_operator.floordiv", True),
        ("torch.sym_max", True),
        ("#our_ops:scale", True),
        ("torch.ops.__class__.x", False),
        ("_operator.methodcaller", False),
        ("torch.load", False),
        ("os.system", False),
    ],
)
def test_targets(target: str, fine: bool) -> None:
    assert kinds(archive(model(target=target))) == ([] if fine else ["pt2-target"])


def test_long_expressions_are_said_to_be_unread() -> None:
    data = archive(model("1+" * 5000 + "1", guard="1+" * 5000 + "1"))
    (item,) = yielded(inspector, data)
    assert isinstance(item, Notification)
    assert item.incomplete


def test_one_broken_document_does_not_hide_another() -> None:
    parts = [
        Part(name=b"a/archive_format", data=b"pt2"),
        Part(name=b"a/models/a.json", data=b"{"),
        Part(name=b"a/models/b.json", data=model("exec(1)")),
    ]
    seen = yielded(inspector, write_zip(parts))
    assert isinstance(next(seen), Evidence)
    with pytest.raises(MalformedError):
        next(seen)


def test_other_archives_are_left_alone() -> None:
    assert kinds(write_zip([Part(name=b"archive_format")])) == []
    assert kinds(archive(model())[:300]) == []
    assert not inspector.recognizes(probe(b"{}", "a.pt2"))
    assert not inspector.recognizes(probe(write_zip([Part(name=b"a")])))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, archive(model()), budget=Budget(Limits(document_bytes=20))))


def test_many_are_cut() -> None:
    more = [(f"data/aotinductor/m/{number}.so", b"") for number in range(60)]
    items = list(yielded(inspector, archive(model(), *more)))
    assert len(items) == 51
    assert not isinstance(items[-1], Evidence)


def test_texts_that_only_look_like_trees() -> None:
    spec = {"type": "x", "context": "default_factory_module, no JSON", "children_spec": []}
    assert kinds(archive(model(spec=spec))) == []


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.text(max_size=20)),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["expr_str", "guards_code", "target", "path_name", "use_pickle", "__enum__", "fqn"]
            ),
            below,
        ),
    ),
    max_leaves=10,
)


@given(JSON)
@settings(deadline=None, max_examples=80)
def test_any_document(value: Any) -> None:
    assert survives(inspector, archive(json.dumps(value).encode()))
