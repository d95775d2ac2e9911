"""TensorFlow graphs: what operations can do, with which paths, and what is beside the graph."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_saved_model import Fields, const, function, node, saved
from fixtures.raw_protobuf import message
from supplyguard.errors import MalformedError, RuleError, UnsupportedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import saved_model, tensorflow_ops
from tests.examined import findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "saved_model"
HONEST = sorted(
    path
    for path in FIXTURES.glob("benign/**/*")
    if path.suffix in {".pb", ".meta"} and "finger" not in path.name
)


def seen(data: bytes, name: str = "saved_model.pb") -> list[Evidence]:
    return [item for item in yielded(saved_model, data, name) if isinstance(item, Evidence)]


def wheres(data: bytes) -> list[tuple[object, object]]:
    return [(each.facts["group"], each.facts["where"]) for each in seen(data) if "group" in each.facts]


@pytest.mark.parametrize("path", HONEST, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_honest_files_are_silent_and_recognised_without_their_name(path: Path) -> None:
    part = part_of(path)
    assert findings(part) == []
    assert part.notifications == []
    assert saved_model.recognizes(probe(path.read_bytes(), "x.bin"))


def test_a_fingerprint_is_no_graph() -> None:
    data = (FIXTURES / "benign" / "module" / "fingerprint.pb").read_bytes()
    assert not saved_model.recognizes(probe(data, "fingerprint.pb"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08",
        b"\x08\x08\x12\x07pytorch",  # ONNX: version, then the producer's name
        b"\n\x05words and words",
        b"\n\x03\n\x01a",
        b"\x0a\xff\xff\xff\xff\x7f",
        b"%PDF-1.5",
    ],
)
def test_other_bytes_are_not_claimed(data: bytes) -> None:
    assert not saved_model.recognizes(probe(data, "x.bin"))


def test_names_that_tensorflow_reads_are_claimed_and_must_hold() -> None:
    assert saved_model.recognizes(probe(b"", "saved_model.pb"))
    with pytest.raises(MalformedError):
        seen(b"")
    with pytest.raises(MalformedError):
        seen(b"\xff\xff")
    with pytest.raises(UnsupportedError):
        seen(b"saved_model_schema_version: 1", "saved_model.pbtxt")
    library = message(function("f", (), node("w", "WriteFile", "p")))
    assert saved_model.recognizes(probe(library, "graph.pb"))
    assert not saved_model.recognizes(probe(library, "graph.bin"))
    assert wheres(library) == []  # as a SavedModel it has no graph
    assert [each.kind for each in seen(library, "graph.pb")] == ["tensorflow-operation"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("/a", "absolute"),
        ("~/a", "absolute"),
        ("C:\\a", "absolute"),
        ("\\\\host\\a", "absolute"),
        ("file:///a", "absolute"),
        ("a/../b", "parent"),
        ("..", "parent"),
        ("gs://a", "url"),
        ("https://a", "url"),
        ("a/b", "relative"),
        ("a..b", "relative"),
        ("", "empty"),
    ],
)
def test_kinds_of_paths(text: str, where: str) -> None:
    assert wheres(saved(const("p", text), node("r", "ReadFile", "p"))) == [("reads-file", where)]


def test_operands_that_the_loader_sets_are_not_constants_of_the_graph() -> None:
    nodes = [
        const("save/Const", "/model"),
        node("s", "SaveV2", "save/Const"),
        node("r", "RestoreV2", "save/Const:0"),
    ]
    assert wheres(saved(*nodes)) == [("saves", "absolute"), ("restores", "absolute")]
    saver: Fields = [(3, [(1, "save/Const:0"), (2, "save/c:0")])]
    assert wheres(saved(*nodes, more=saver)) == [("saves", "asset"), ("restores", "asset")]
    assets: Fields = [(6, [(1, [(1, "save/Const:0")]), (2, "words")])]
    assert wheres(saved(*nodes, more=assets)) == [("saves", "asset"), ("restores", "asset")]
    inside = function("f", (), *nodes)  # only the graph's own constants are replaced
    assert wheres(saved(inside, more=saver)) == [("saves", "absolute"), ("restores", "absolute")]


def test_attributes_count_only_where_they_lead_out() -> None:
    for stream in ("stdout", "stderr", "log(info)"):
        assert seen(saved(node("p", "PrintV2", "x", output_stream=[(2, stream)]))) == []
    assert seen(saved(node("p", "PrintV2", "x"))) == []
    assert wheres(saved(node("i", "ImmutableConst"))) == [("reads-file", "empty")]
    assert wheres(saved(node("w", "WriteFile"))) == [("writes-content", "unknown")]


def test_operations_of_functions_and_of_extensions() -> None:
    assert seen(saved(function("my_function", ()), node("c", "my_function"))) == []
    (found,) = seen(saved(node("a", "OddOp"), node("b", "OddOp")))
    assert (found.facts["count"], found.facts["known"]) == (2, False)
    (found,) = seen(saved(node("a", "SentencepieceOp")))
    assert found.facts["known"] is True


def test_devices_names_and_collections_of_every_day() -> None:
    quiet = saved(
        *(
            node(f"n{index}", "NoOp", device=each)
            for index, each in enumerate(("/cpu:0", "/job:localhost/task:0"))
        ),
        node("a/b_1-2.c>d", "NoOp"),
        function("__inference_<lambda>_12", ()),
        more=[
            (4, [(1, "variables"), (2, [(2, [(1, "x")])])]),
            (4, [(1, "mine"), (2, [(5, [(1, [(1, "type.googleapis.com/tensorflow.X")])])])]),
            (4, [(1, "nothing")]),
        ],
    )
    assert seen(quiet) == []


def test_a_constant_of_plain_text_is_fine() -> None:
    assert (
        seen(
            saved(
                const("c", "a", "b"), node("d", "Const", value=[(8, [(4, b"\0" * 100)])]), node("e", "Const")
            )
        )
        == []
    )


def test_a_missing_asset_is_a_gap(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "benign" / "module" / "saved_model.pb", tmp_path)
    part = part_of(tmp_path / "saved_model.pb")
    assert [(each.code, each.incomplete) for each in part.notifications] == [("missing-file", True)]


def test_keras_metadata() -> None:
    data = message((1, [(2, 0), (5, "{}")]), (1, [(5, "not json")]))
    with pytest.raises(MalformedError, match="Keras metadata") as caught:
        seen(data, "keras_metadata.pb")
    assert caught.value.offset == data.index(b"not json")
    text = json.dumps({"class_name": "Popen", "module": "subprocess", "config": {}})
    data = message((1, [(2, 0), (3, "root"), (4, "_tf_keras_layer"), (5, text)]))
    assert saved_model.recognizes(probe(data, "x.bin"))
    (found,) = seen(data, "x.bin")
    assert found.location.offset == data.index(b"{")


def test_evidence_before_a_fault_is_kept() -> None:
    data = saved(const("p", "/x"), node("r", "ReadFile", "p")) + b"\x12\xff"
    stream = yielded(saved_model, data, "saved_model.pb")
    assert isinstance(next(stream), Evidence)
    with pytest.raises(MalformedError):
        next(stream)


def test_the_lists_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorflow_ops, "rules_folder", lambda: tmp_path)
    tensorflow_ops.operations.cache_clear()
    with pytest.raises(RuleError):
        tensorflow_ops.operations()
    tensorflow_ops.operations.cache_clear()


def test_every_capability_is_an_operation_of_tensorflow() -> None:
    table = tensorflow_ops.operations()
    assert set(table.capabilities) <= table.registry
    assert set(table.through) <= table.registry
    assert len(table.registry) == 1908


@pytest.mark.parametrize(
    "name", ["benign/frozen.pb", "malicious/save_joined/saved_model.pb", "malicious/model.meta"]
)
def test_cut_and_changed_files(name: str) -> None:
    data = (FIXTURES / name).read_bytes()
    for each in (*cuts(data, 400), *mutations(data, 100)):
        survives(saved_model, each, Path(name).name)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=150)
def test_any_bytes(data: bytes) -> None:
    for name in ("saved_model.pb", "keras_metadata.pb", "x.meta", "x.bin"):
        survives(saved_model, b"\x08\x01\x12" + data, name)
        survives(saved_model, data, name)


def test_harmless_operations_do_not_crowd_out_others() -> None:
    many = [node(f"r{index}", "RestoreV2", "p") for index in range(200)]
    found = seen(saved(node("p", "Placeholder"), *many, node("w", "WriteFile", "p")))
    assert [each.facts["group"] for each in found].count("restores") == 50
    assert found[-1].facts["op"] == "WriteFile"
