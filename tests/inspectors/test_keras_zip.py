"""Keras configurations: what is named and embedded in them, wherever it is nested."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.keras_objects import HARMLESS, code, function, inline, layer, model, old_lambda
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import keras_config, keras_zip
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, probe, yielded
from tests.fuzzing import cuts, mutations, survives

BENIGN = Path(__file__).parents[2] / "fixtures" / "keras_zip" / "benign"


def seen(config: Any, name: str = "config.json") -> list[Evidence]:
    data = config if isinstance(config, bytes) else json.dumps(config).encode()
    return [item for item in yielded(keras_zip, data, name) if isinstance(item, Evidence)]


def kinds(config: Any) -> set[str]:
    return {each.kind for each in seen(config)}


def test_recognised_by_key_or_by_the_name_that_keras_reads() -> None:
    config = json.dumps(model()).encode()
    assert keras_zip.recognizes(probe(config, "anything.json"))
    assert keras_zip.recognizes(probe(b"\xef\xbb\xbf \n" + config, "config.json#2"))
    assert keras_zip.recognizes(probe(b" " * 100 + config, "config.json"))
    assert keras_zip.recognizes(probe(b"{}", "model.weights.json"))
    assert not keras_zip.recognizes(probe(b"{}", "tokenizer.json"))
    assert not keras_zip.recognizes(probe(b'x = {"class_name": 1}', "a.py"))
    assert not keras_zip.recognizes(probe(b"PK\3\4", "config.json"))


@pytest.mark.parametrize("path", sorted(BENIGN.glob("*.json")), ids=lambda path: path.name)
def test_honest_architectures_are_silent(path: Path) -> None:
    assert seen(path.read_bytes(), path.name) == []


def test_json_of_other_programs_is_left_alone() -> None:
    other = {"steps": [{"class_name": "Popen", "module": "subprocess", "config": {}}]}
    assert seen(other) == []
    assert seen({"architectures": ["x"], "text": "\u00e9"}) == []
    assert seen(b"[1, 2]") == []


@pytest.mark.parametrize(
    "wrap",
    [
        model,
        lambda inner: model(layer("TimeDistributed", layer=inner)),
        lambda inner: {**model(), "compile_config": {"loss": {"a": [inner]}}},
        lambda inner: {**model(), "build_config": inner},
        lambda inner: model({**layer("Dense"), "inbound_nodes": [{"args": [inner], "kwargs": {}}]}),
    ],
)
def test_at_any_depth(wrap: Any) -> None:
    assert "keras-lambda-code" in kinds(wrap(layer("Lambda", function=inline())))
    assert "keras-object" in kinds(wrap(function("os", "system")))


@pytest.mark.parametrize(
    ("names", "constants", "acts"),
    [
        (("tf", "nn", "relu"), ("axis", "same"), False),
        (("x",), ("a/b", "channels_last"), False),
        (("os",), (), True),
        (("eval",), (), True),
        (("open",), (), True),
        (("tf", "io", "write_file"), (), True),
        (("py_function",), (), True),
        (("x",), ("curl example.org | sh",), True),
        (("x",), ("/etc/passwd",), True),
    ],
)
def test_what_code_reaches(names: tuple[str, ...], constants: tuple[str, ...], acts: bool) -> None:
    (found,) = seen(model(layer("Lambda", function=inline(code(names, constants)))))
    assert (found.kind, found.facts["acts"], found.facts["names"]) == ("keras-lambda-code", acts, names)
    assert found.facts["version"] == "3.11 or later"


def test_code_as_keras_2_writes_it() -> None:
    raw = base64.b64decode(code(("os", "system")))
    for text in (code(("os", "system")), raw.decode("latin-1")):
        (found,) = seen(model(old_lambda(text)))
        assert found.facts["reaches"] == ("os", "system")
    (found,) = seen(model(old_lambda("no code")))
    assert (found.facts["readable"], found.facts["acts"]) == (False, False)
    assert seen(model({"class_name": "__lambda__", "config": {"code": 1}})) == []
    found = seen(model(old_lambda(HARMLESS, output_shape=[2, 3])))[0]
    assert found.facts["part"] == "function"


def test_a_function_that_lambda_calls_by_name() -> None:
    (found,) = [
        each
        for each in seen(model(layer("Lambda", function=function("os", "system"))))
        if "lambda" in each.kind
    ]
    assert (found.facts["callable"], found.facts["acts"]) == ("os.system", True)
    config = {"function": "f", "function_type": "function", "module": "__main__", "arguments": {"axis": -1}}
    (found,) = seen(model({"class_name": "Lambda", "config": config}))
    assert (found.kind, found.facts["acts"]) == ("keras-lambda-name", False)
    config = {"function": "f", "arguments": {"safe_mode": False, "axis": 1, "note": "a/b"}}
    told = {each.facts.get("argument") for each in seen(model({"class_name": "Lambda", "config": config}))}
    assert told == {None, "safe_mode", "note"}


@pytest.mark.parametrize(
    ("value", "standing"),
    [
        (layer("Popen", "subprocess"), "acting"),
        (layer("x.os.system", "odd"), "acting"),
        (layer("Thing", "calendar"), "foreign"),
        (layer("Thing", "odd.layers"), "foreign"),
        ({**layer("Thing", "odd.layers"), "registered_name": "Thing"}, "custom"),
        ({**layer("Thing", "__main__"), "registered_name": "Thing"}, "local"),
    ],
)
def test_objects_outside_of_keras(value: Any, standing: str) -> None:
    (found,) = seen(model(value))
    assert (found.kind, found.facts["standing"]) == ("keras-object", standing)


def test_what_is_keras_own_is_fine_but_for_its_gadgets() -> None:
    for module in (
        "keras.layers",
        "keras.src.models.functional",
        "tensorflow.keras.layers",
        "keras_hub.models",
        "builtins",
    ):
        assert seen(model(layer("Dense", module))) == []
    for module, name in (("keras.src.utils.file_utils", "get_file"), ("tf_keras.preprocessing.image", "x")):
        assert kinds(model(function(module, name))) == {"keras-gadget"}
    assert kinds(model(function("keras.utils", "image_dataset_from_directory"))) == {"keras-gadget"}
    assert seen(model(function("builtins", "softmax_v2", "function"))) == []
    assert kinds(model({"class_name": "Custom>Mine", "config": {}})) == {"keras-custom-class"}
    assert seen(model({"class_name": "keras_nlp>Backbone", "config": {}})) == []


def test_files_and_symbols() -> None:
    assert seen(model(layer("StringLookup", vocabulary=["a"]), layer("StringLookup", vocabulary=None))) == []
    assert kinds(model(layer("Any", vocabulary_file="x"))) == {"keras-path"}
    symbol = {"class_name": "TFOpLambda", "config": {"function": "math.add"}}
    assert seen(model(symbol)) == []
    symbol["config"] = {"function": "tf.raw_ops.WriteFile"}
    assert kinds(model(symbol)) == {"keras-symbol"}
    spec = {"class_name": "__typespec__", "module": "tensorflow.python", "config": []}
    assert seen(model(spec)) == []


def test_a_torch_module_is_a_member() -> None:
    payload = base64.b64encode(b"inner bytes").decode()
    for value in (payload, {"class_name": "__bytes__", "config": {"value": payload}}):
        wrapper = {"class_name": "TorchModuleWrapper", "config": {"module": value}}
        items = list(yielded(keras_zip, json.dumps(model(wrapper)).encode(), "config.json"))
        (member,) = (item for item in items if isinstance(item, Member))
        assert content(member) == b"inner bytes"
    wrapper = {
        "class_name": "TorchModuleWrapper",
        "config": {"module": {"class_name": "__bytes__", "config": 1}},
    }
    (found,) = seen(model(wrapper))
    assert found.facts["embedded"] is False


def test_shards_within_the_folder_are_fine() -> None:
    names = {"weight_map": {"a": "model_0.weights.h5", "b": ["c"], "d": 1}}
    assert seen(names, "model.weights.json") == []
    assert seen([], "model.weights.json") == []
    names["weight_map"]["e"] = "..\\x"
    (found,) = seen(names, "model.weights.json")
    assert found.facts["names"] == ("..\\x",)


def test_many_are_cut_and_counted() -> None:
    items = list(yielded(keras_zip, json.dumps(model(*[inline()] * 80)).encode(), "config.json"))
    assert sum(isinstance(item, Evidence) for item in items) == keras_config.SHOWN
    assert [item.code for item in items if isinstance(item, Notification)] == ["not-listed"]


def test_what_is_not_json_and_what_is_too_much() -> None:
    with pytest.raises(MalformedError):
        seen(b'{"class_name": ')
    deep = b'{"class_name": "a", "config": ' + b"[" * 100 + b"]" * 100 + b"}"
    for data, limits in ((deep, Limits()), (b'{"class_name": 1}', Limits(document_bytes=5))):
        with pytest.raises(BudgetExceededError):
            list(yielded(keras_zip, data, "config.json", Budget(limits)))


def test_cut_and_changed_configurations() -> None:
    data = json.dumps(
        model(old_lambda(), layer("Lambda", function=inline()), spec := {"class_name": "__typespec__"})
    ).encode()
    assert spec
    for each in (*cuts(data, 300), *mutations(data, 300)):
        survives(keras_zip, each, "config.json")


JSON = st.recursive(
    st.one_of(
        st.none(), st.text(max_size=4), st.sampled_from(["Lambda", "function", "__lambda__", HARMLESS])
    ),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["class_name", "config", "function", "module", "code", "arguments", "registered_name"]
            ),
            below,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(JSON)
@settings(deadline=None, max_examples=150)
def test_any_configuration(value: Any) -> None:
    assert survives(keras_zip, json.dumps({"class_name": "a", "config": value}).encode(), "config.json")
