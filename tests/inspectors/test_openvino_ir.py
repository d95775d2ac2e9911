"""OpenVINO: declarations, extensions, constants against the weights, kernels, texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_openvino_ir import KERNELS, net, other, place
from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import openvino_ir as inspector
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

ROOT = Path(__file__).parents[2] / "fixtures"
FIXTURES = ROOT / "openvino_ir"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
MODELS = sorted(name for name in EXPECTED if name.endswith(".xml"))


@pytest.mark.parametrize("name", MODELS)
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    wanted = {each["rule"] for each in EXPECTED[name]}
    assert wanted <= found
    assert found - wanted <= {"openvino-declaration"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "honest" / "openvino").glob("*.xml")), ids=lambda path: path.name
)
def test_what_the_library_writes_is_silent(path: Path) -> None:
    part = part_of(path)
    assert (part.evidence, gaps(part)) == ([], [])


def test_recognised_by_content() -> None:
    assert inspector.recognizes(probe(net(), "model.bin"))
    assert inspector.recognizes(probe(net().decode().encode("utf-16-le"), "model"))
    assert inspector.recognizes(probe(KERNELS))
    assert not inspector.recognizes(probe(b"<net><hosts/>", "hosts.xml"))
    assert not inspector.recognizes(probe(b"<html><net></net></html>", "a.xml"))
    assert not inspector.recognizes(probe(b"net", "a.xml"))


def test_weights_that_are_missing_are_said(tmp_path: Path) -> None:
    path = tmp_path / "model.xml"
    path.write_bytes(net())
    part = part_of(path)
    assert (part.evidence, [each.code for each in gaps(part)]) == ([], ["companion-missing"])
    path.write_bytes(net(place(0, 0, "0")))
    assert gaps(part_of(path)) == []


def test_shapes_that_are_not_known() -> None:
    for constant in (place(0, 9, "?, 3"), place(0, 24).replace("f32", "string"), place(0, 4, "")):
        assert [item for item in yielded(inspector, net(constant)) if isinstance(item, Evidence)] == []
    (found,) = (
        item for item in yielded(inspector, net(place(0, 24, "-2, -3"))) if isinstance(item, Evidence)
    )
    assert found.location.offset == net(place(0, 24)).index(b"<data")


def test_a_template_is_a_member() -> None:
    data = net(info='<chat_template value="{{ a }}" />')
    (member,) = (item for item in yielded(inspector, data) if isinstance(item, Member))
    assert (member.name, content(member)) == ("chat_template.jinja", b"{{ a }}")


def test_documents_with_entities_are_read_no_further() -> None:
    stream = yielded(inspector, (FIXTURES / "malicious" / "entities.xml").read_bytes())
    assert [next(stream), next(stream), next(stream)]
    with pytest.raises(UnsupportedError):
        list(stream)


def test_evidence_before_a_fault_is_kept() -> None:
    data = net(layer=other())
    stream = yielded(inspector, data[: data.index(b"</layers>")])
    assert isinstance(next(stream), Evidence)
    with pytest.raises(MalformedError):
        list(stream)


def test_many_findings_are_listed_up_to_a_number() -> None:
    items = list(yielded(inspector, net(layer="".join(other() for _ in range(99)))))
    assert len([item for item in items if isinstance(item, Evidence)]) == inspector.SHOWN
    assert isinstance(items[-2], Notification)


def test_limits_hold() -> None:
    for data, limits in (
        (b"<net><layers>" + b"<a>" * 200, Limits()),
        (net(), Limits(nodes=9)),
        (net(), Limits(seconds=0)),
    ):
        with pytest.raises(BudgetExceededError):
            list(yielded(inspector, data, budget=Budget(limits)))


def test_cut_and_changed_files_are_survived() -> None:
    data = net(layer=other(), info='<chat_template value="{{ a }}" />')
    for piece in [*cuts(data), *mutations(data, 200)]:
        survives(inspector, piece)


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, b"<net><layers>" + data)
    survives(inspector, b"<!DOCTYPE net [" + data)
