"""ONNX: what a graph names and needs is seen wherever it hides, and honest exports are silent."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from fixtures.make_onnx import Fields, cases, external, function, model, node, outside, tensor
from fixtures.raw_protobuf import message
from supplyguard.archives.referenced_paths import is_sensitive, path_facts, path_reasons
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import onnx
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "onnx"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
BENIGN = sorted(FIXTURES.glob("benign/*.onnx"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each["rule"] for each in EXPECTED[name]} <= {each.rule.id for each in findings(part)}
    assert not gaps(part)
    if not EXPECTED[name]:
        assert findings(part) == []


@pytest.mark.parametrize("path", BENIGN, ids=lambda path: path.name)
def test_honest_models_are_recognised_by_content(path: Path) -> None:
    data = path.read_bytes()
    assert onnx.recognizes(probe(data, "weights"))
    assert not [item for item in yielded(onnx, data) if isinstance(item, Evidence)]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "a.onnx"),
        (b"\x08\x0a", "a.bin"),
        (b"\x08\x0a\x12\x05hello", "saved_model.pb"),
        (b"\x08\x0a\x3a\xff\xff\xff\x7f", "a.bin"),
        (b"\x0f\x00", "a.onnx"),
        (b"hello", "a.bin"),
    ],
)
def test_other_bytes_are_not_recognised(data: bytes, name: str) -> None:
    assert not onnx.recognizes(probe(data, name))


def test_a_graph_that_comes_first_is_recognised_under_its_name() -> None:
    data, _ = cases()["graph_first.onnx"]
    assert onnx.recognizes(probe(data, "model.onnx"))


def copied(tmp_path: Path) -> Path:
    for name in ("external.onnx", "external.onnx.data"):
        shutil.copy(FIXTURES / "benign" / name, tmp_path / name)
    return tmp_path / "external.onnx"


def test_a_link_out_of_the_folder_is_seen_and_one_inside_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = copied(folder)
    data = folder / "external.onnx.data"
    data.rename(folder / "real.bin")
    data.symlink_to("real.bin")
    assert findings(part_of(path)) == []
    (folder / "real.bin").rename(tmp_path / "real.bin")
    data.unlink()
    data.symlink_to("../real.bin")
    assert [each.rule.id for each in findings(part_of(path))] == ["onnx-external-link"]


def test_a_hard_link_is_noted(tmp_path: Path) -> None:
    path = copied(tmp_path)
    os.link(tmp_path / "external.onnx.data", tmp_path / "other")
    part = part_of(path)
    assert [each.code for each in part.notifications] == ["hard-link"]
    assert findings(part) == []


def test_a_missing_or_short_data_file_is_told(tmp_path: Path) -> None:
    path = copied(tmp_path)
    data = tmp_path / "external.onnx.data"
    data.write_bytes(data.read_bytes()[:-1])
    assert [each.rule.id for each in findings(part_of(path))] == ["onnx-external-range"]
    data.unlink()
    assert [each.code for each in part_of(path).notifications] == ["companion-missing"]


def test_only_the_first_of_many_are_listed() -> None:
    items = list(yielded(onnx, model([(5, external(f"../{number}")) for number in range(60)])))
    assert sum(isinstance(item, Evidence) for item in items) == onnx.SHOWN
    assert [item.code for item in items if isinstance(item, Notification)] == ["not-listed"]


def test_evidence_before_a_fault_is_kept_and_so_are_operators() -> None:
    graph: Fields = [(5, external("../w.bin")), node("Evil", "org.example.custom")]
    data = message((1, 10), (7, message(*graph) + b"\x0a\x7f"))
    found: list[object] = []
    with pytest.raises(MalformedError):
        found.extend(iter(yielded(onnx, data)))
    assert {item.kind for item in found if isinstance(item, Evidence)} == {
        "onnx-external-path",
        "onnx-custom-domain",
    }


def test_functions_give_their_operators_a_body() -> None:
    plain = model([node("A", "own")], function("A", "C"), function("C", "Relu"))
    kinds = [item.kind for item in yielded(onnx, plain) if isinstance(item, Evidence)]
    assert kinds == ["onnx-custom-domain"]  # own::Relu has no body


def test_deep_subgraphs_end() -> None:
    graph: Fields = [(5, tensor())]
    for _ in range(60):
        graph = [node("If", "", [(1, "then_branch"), (6, graph)])]
    with pytest.raises(MalformedError, match="nested"):
        list(yielded(onnx, model(graph)))


@pytest.mark.parametrize(
    ("path", "reasons"),
    [
        ("weights.bin", ()),
        ("./sub/weights.bin", ()),
        ("a..b/weights", ()),
        ("../w", ("parent",)),
        ("a\\..\\..\\w", ("parent",)),
        ("C:\\w", ("drive",)),
        ("\\\\host\\share", ("absolute",)),
        ("https://example.org/w", ("url",)),
        ("  ", ("empty",)),
    ],
)
def test_paths(path: str, reasons: tuple[str, ...]) -> None:
    assert path_reasons(path) == reasons
    assert path_facts(path)["escapes"] is bool(reasons)


def test_sensitive_paths() -> None:
    for path in ("/etc/passwd", "../../.ssh/id_rsa", "C:\\Users\\me\\x", "~/x", "/home/me/.aws/credentials"):
        assert is_sensitive(path), path
    for path in ("/data/weights.bin", "../shared/w.bin", "model/etcetera"):
        assert not is_sensitive(path), path


def test_cut_and_changed_models_are_survived() -> None:
    for name in ("matmul.onnx", "if.onnx", "functions.onnx"):
        data = (FIXTURES / "benign" / name).read_bytes()
        for piece in cuts(data):
            survives(onnx, piece)
        for changed in mutations(data, 100):
            survives(onnx, changed)
    hostile = [data for data, _ in cases().values() if len(data) < 1000]
    for number, data in enumerate(hostile):
        for changed in mutations(data, 10, number):
            survives(onnx, changed)
    assert survives(onnx, outside("../x"))
