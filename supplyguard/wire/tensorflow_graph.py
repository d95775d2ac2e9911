"""TensorFlow graphs: nodes, functions and where a node's operand comes from.

Messages: tensorflow/core/framework/{graph,node_def,function,attr_value,tensor}.proto. Bodies of
constants are skipped unless they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from supplyguard.limits import KIB
from supplyguard.wire.protobuf import BYTES, Field, Message

GRAPH_NODE: Final = 1
GRAPH_LIBRARY: Final = 2
FUNCTION_NODE: Final = 3
MOST_STEPS: Final = 64
"""How many nodes are passed on the way from an operand to where it comes from."""
MOST_TEXTS: Final = 64
_LONGEST_TEXT: Final = 4 * KIB


@dataclass(frozen=True, slots=True)
class Node:
    """One operation. offset: of its message; attributes: name -> AttrValue."""

    name: str
    op: str
    inputs: tuple[str, ...]
    device: str
    offset: int
    attributes: Mapping[str, Message]


@dataclass(slots=True)
class Body:
    """A graph ("" as name) or one function of its library."""

    name: str
    arguments: set[str] = field(default_factory=set)
    nodes: dict[str, Node] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        """Keep a node; a second one of a name, which TensorFlow refuses, does not hide the first."""
        known = node.name in self.nodes
        self.nodes[f"{node.name}#{len(self.nodes)}" if known else node.name] = node


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an operand comes from. kind: "constant", "placeholder", "argument" or "unknown"."""

    kind: str
    texts: tuple[str, ...] = ()
    node: str = ""


def only_bytes(message: Message) -> Iterator[Field]:
    """Yield the fields that have a body; a number where a message should be is passed over."""
    return (each for each in message if each.wire == BYTES)


def bodies(graph: Message) -> Iterator[Body]:
    """Yield the graph itself and every function of its library."""
    main = Body("")
    libraries = []
    for each in only_bytes(graph):
        if each.number == GRAPH_NODE:
            main.add(read_node(graph.message(each)))
        elif each.number == GRAPH_LIBRARY:
            libraries.append(graph.message(each))
    yield main
    for library in libraries:
        for each in only_bytes(library):
            if each.number == 1:
                yield _function(library.message(each))


def _function(message: Message) -> Body:
    body = Body("(unnamed)")
    for each in only_bytes(message):
        if each.number == 1:
            signature = message.message(each)
            for part in only_bytes(signature):
                if part.number == 1:
                    body.name = signature.text(part) or body.name
                elif part.number == 2:
                    body.arguments.add(_first_text(signature.message(part)))
        elif each.number == FUNCTION_NODE:
            body.add(read_node(message.message(each)))
    return body


def read_node(message: Message) -> Node:
    """Read a NodeDef."""
    name = op = device = ""
    inputs: list[str] = []
    attributes: dict[str, Message] = {}
    for each in only_bytes(message):
        if each.number == 1:
            name = message.text(each)
        elif each.number == 2:
            op = message.text(each)
        elif each.number == 3:
            inputs.append(message.text(each))
        elif each.number == 4:
            device = message.text(each)
        elif each.number == 5:
            key, value = entry(message.message(each))
            if value is not None:
                attributes[key] = value
    return Node(name, op, tuple(inputs), device, message.start, attributes)


def entry(message: Message) -> tuple[str, Message | None]:
    """Read one entry of a map whose values are messages."""
    key, value = "", None
    for each in only_bytes(message):
        if each.number == 1:
            key = message.text(each)
        elif each.number == 2:
            value = message.message(each)
    return key, value


def _first_text(message: Message) -> str:
    return next((message.text(each) for each in only_bytes(message) if each.number == 1), "")


def texts_of(value: Message) -> tuple[str, ...]:
    """Give the texts of an AttrValue: one, a list of them, or those of a tensor."""
    found: list[str] = []
    for each in only_bytes(value):
        if each.number == 2:
            found.append(_text(value, each))
        elif each.number == 1:
            inner = value.message(each)
            found += (_text(inner, part) for part in only_bytes(inner) if part.number == 2)
        elif each.number == 8:
            found += (_text(tensor, part) for tensor, part in tensor_parts(value, each) if part.number == 8)
        if len(found) > MOST_TEXTS:
            break
    return tuple(found[:MOST_TEXTS])


def tensor_parts(value: Message, tensor: Field) -> Iterator[tuple[Message, Field]]:
    """Yield the raw content (4) and the texts (8) of a TensorProto."""
    message = value.message(tensor)
    return ((message, each) for each in only_bytes(message) if each.number in (4, 8))


def _text(message: Message, part: Field) -> str:
    return message.body(part, _LONGEST_TEXT).decode("utf-8", "replace")


def origin(body: Body, operand: str, through: Mapping[str, tuple[int, ...]]) -> Origin:
    """Follow an operand back.

    through: the operations that hand a text on, and which inputs decide where it begins. Of several
    branches a constant wins, because that is what an attacker chooses.
    """
    pending, seen = [operand], set()
    found = Origin("unknown")
    for _ in range(MOST_STEPS):
        if not pending:
            break
        name = pending.pop().lstrip("^").partition(":")[0]
        if name in seen:
            continue
        seen.add(name)
        if name in body.arguments:
            found = _stronger(found, Origin("argument", node=name))
            continue
        node = body.nodes.get(name)
        if node is None:
            continue
        if node.op == "Const" and "value" in node.attributes:
            found = _stronger(found, Origin("constant", texts_of(node.attributes["value"]), name))
        elif node.op.startswith("Placeholder"):
            found = _stronger(found, Origin("placeholder", node=name))
        elif node.op in through:
            pending += (node.inputs[index] for index in through[node.op] if index < len(node.inputs))
    return found


def _stronger(left: Origin, right: Origin) -> Origin:
    order = ("unknown", "placeholder", "argument", "constant")
    if left.kind == right.kind == "constant":
        return Origin("constant", left.texts + right.texts, left.node)
    return max(left, right, key=lambda each: order.index(each.kind))
