"""TensorFlow graphs: nodes, functions, and where operands come from."""

from __future__ import annotations

import io

import pytest

from fixtures.make_saved_model import const, function, node
from fixtures.raw_protobuf import Value, message
from supplyguard.limits import Budget
from supplyguard.wire.protobuf import Message
from supplyguard.wire.tensorflow_graph import MOST_TEXTS, Body, Origin, bodies, origin

THROUGH = {"Identity": (0,), "StringJoin": (0,), "Select": (1, 2)}


def graph(*fields: tuple[int, Value]) -> list[Body]:
    data = message(*fields)
    return list(bodies(Message.of(io.BytesIO(data), 0, len(data), Budget())))


def found(operand: str, *nodes: tuple[int, Value]) -> Origin:
    return origin(graph(*nodes)[0], operand, THROUGH)


def test_bodies() -> None:
    main, inner, unnamed = graph(
        node("a", "NoOp", device="/cpu:0"),
        (3, 12),
        function("f", ("x", "y"), node("b", "Identity", "x")),
        (2, [(1, []), (1, 5)]),
    )
    assert (main.name, list(main.nodes), main.nodes["a"].device) == ("", ["a"], "/cpu:0")
    assert (inner.name, inner.arguments, inner.nodes["b"].inputs) == ("f", {"x", "y"}, ("x",))
    assert (unnamed.name, unnamed.nodes) == ("(unnamed)", {})


@pytest.mark.parametrize(
    ("operand", "nodes", "expected"),
    [
        ("c:0", [const("c", "/x")], Origin("constant", ("/x",), "c")),
        ("^i", [const("c", "/x"), node("i", "Identity", "c:output:0")], Origin("constant", ("/x",), "c")),
        ("p", [node("p", "PlaceholderWithDefault", "c"), const("c", "/x")], Origin("placeholder", (), "p")),
        ("nowhere", [], Origin("unknown")),
        ("r", [node("r", "ReadVariableOp", "c"), const("c", "/x")], Origin("unknown")),
        ("c", [node("c", "Const")], Origin("unknown")),
        ("i", [node("i", "Identity", "i")], Origin("unknown")),
        ("i", [node("i", "Identity")], Origin("unknown")),
        (
            "s",
            [node("s", "Select", "b", "c", "p"), const("c", "/x"), node("p", "Placeholder")],
            Origin("constant", ("/x",), "c"),
        ),
        (
            "s",
            [node("s", "Select", "b", "c", "d"), const("c", "x"), const("d", "y")],
            Origin("constant", ("y", "x"), "d"),
        ),
    ],
)
def test_origins(operand: str, nodes: list[tuple[int, Value]], expected: Origin) -> None:
    assert found(operand, *nodes) == expected


def test_an_argument_and_a_long_way() -> None:
    (_, body) = graph(function("f", ("x",), node("i", "Identity", "x")))
    assert origin(body, "i:output:0", THROUGH) == Origin("argument", (), "x")
    chain = [node(f"n{index}", "Identity", f"n{index + 1}") for index in range(100)]
    assert found("n0", *chain, const("n100", "/x")) == Origin("unknown")


def test_many_texts_are_cut() -> None:
    assert len(found("c", const("c", *map(str, range(200)))).texts) == MOST_TEXTS


def test_a_second_node_of_a_name_hides_none() -> None:
    (main,) = graph(node("a", "WriteFile"), node("a", "NoOp"))
    assert [each.op for each in main.nodes.values()] == ["WriteFile", "NoOp"]
