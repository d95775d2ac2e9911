"""HDF5 files, and the Keras models that legacy `.h5` files hold in their attributes.

Attributes, links and the description of each dataset are read, never its data. Keras' layout:
keras/src/legacy/saving/legacy_h5_format.py (`model_config`, `training_config`, `layer_names`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import BinaryIO, Final

from supplyguard.archives.signs import embedded_format
from supplyguard.errors import MalformedError, RuleError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inspectors.keras_config import Text, capped, examine_config
from supplyguard.inventory import Member, Probe
from supplyguard.limits import GIB, KIB, Budget
from supplyguard.resources import rules_folder
from supplyguard.streams import SliceReader, buffered, read_at, size_of
from supplyguard.wire import hdf5
from supplyguard.wire.hdf5_file import FIRST_USER_BLOCK, SIGNATURE
from supplyguard.wire.hdf5_records import VIRTUAL, Attribute

FORMAT: Final = "keras_h5"

CONFIGS: Final = ("model_config", "training_config")
"""Attributes of the root that Keras parses as JSON."""
SPLIT: Final = ("layer_names", "weight_names")
"""Attributes that Keras splits into numbered parts when they are too long for one."""
LARGE: Final = 4 * GIB
EXPANSION: Final = 1000
"""A dataset is out of proportion above LARGE bytes and so many times what is stored."""
MOST_PROBLEMS: Final = 20
_SUFFIXES: Final = (".h5", ".hdf5", ".hdf")
_LONGEST_HEAD: Final = 64 * KIB


def recognizes(probe: Probe) -> bool:
    """Whether HDF5's signature is where the library looks for it."""
    head = probe.head
    if head.startswith(SIGNATURE):
        return True
    if SIGNATURE in head:
        start = FIRST_USER_BLOCK
        while start < len(head):
            if head.startswith(SIGNATURE, start):
                return True
            start *= 2
    large = probe.size is not None and probe.size > _LONGEST_HEAD
    return large and probe.name.lower().endswith(_SUFFIXES)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what the structure says; raises MalformedError where there is no superblock."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        start = hdf5.find_superblock(stream, size)
        if start is None:
            raise MalformedError("no HDF5 superblock", offset=0)
        if start:
            yield from _user_block(member, stream, start)
        yield from capped(_objects(member, stream, start, size, budget), member.at())


def _see(member: Member, kind: str, node: hdf5.Node, symbol: str, **facts: Fact) -> Evidence:
    place = member.at(node.offset)
    return Evidence(kind=kind, location=place, facts={"path": node.path, **facts}, symbol=symbol)


def _user_block(member: Member, stream: BinaryIO, start: int) -> Iterator[Evidence | Member]:
    """Yield what is before the superblock, unless it is empty."""
    head = read_at(stream, 0, min(start, _LONGEST_HEAD))
    if start <= _LONGEST_HEAD and not head.strip(b"\0"):
        return
    what = embedded_format(head)
    facts: dict[str, Fact] = {"length": start, "format": what or "data", "known": what is not None}
    yield Evidence(kind="hdf5-user-block", location=member.at(0, start), facts=facts, symbol="user block")
    yield Member(
        artifact=member.artifact,
        path=(*member.path, "(user block)"),
        open=lambda: SliceReader(member.open(), 0, start),
        size=start,
    )


def _objects(
    member: Member, stream: BinaryIO, start: int, size: int, budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    problems = 0
    for each in hdf5.walk(stream, start, size, budget):
        if isinstance(each, hdf5.Node):
            yield from _links(member, each)
            yield from _dataset(member, each, size)
            yield from _attributes(member, each, budget)
            continue
        problems += 1
        if problems <= MOST_PROBLEMS:
            yield _gap(member, f"{each.path}: {each.message}", each.offset)
    if problems > MOST_PROBLEMS:
        yield _gap(member, f"{problems - MOST_PROBLEMS:,} more places could not be read", None)


def _gap(member: Member, message: str, offset: int | None) -> Notification:
    return Notification(code="malformed", message=message, location=member.at(offset), incomplete=True)


def _links(member: Member, node: hdf5.Node) -> Iterator[Evidence]:
    """Yield links that lead out of the file."""
    for link in node.links:
        if link.kind in {"external", "user"}:
            target = f"{link.file}:{link.target}" if link.file else "a target of its own kind"
            name = f"{node.path.rstrip('/')}/{link.name}"
            yield _see(member, "hdf5-external-link", node, name, name=name, target=target, how=link.kind)


def _dataset(member: Member, node: hdf5.Node, size: int) -> Iterator[Evidence]:
    """Yield datasets whose data is elsewhere, out of proportion, or behind a plug-in."""
    if node.external:
        yield _see(member, "hdf5-external-storage", node, node.path, files=node.external)
    if node.layout == VIRTUAL:
        yield _see(member, "hdf5-virtual-dataset", node, node.path)
    # an index that is not walked counts as the whole file
    stored = size if node.stored is None else node.stored
    if node.layout is not None and node.declared > LARGE and node.declared > EXPANSION * stored:
        yield _see(member, "hdf5-expansion", node, node.path, declared=node.declared, stored=stored)
    odd = tuple(str(each) for each in node.filters if each not in _known_filters())
    if odd:
        yield _see(member, "hdf5-filter", node, node.path, filters=odd)


def _attributes(
    member: Member, node: hdf5.Node, budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    """Yield what configurations build, and lists whose parts are missing."""
    names = {each.name for each in node.attributes}
    for name in SPLIT:
        parts = {each.removeprefix(name) for each in names if each.startswith(name)} - {""}
        numbers = sorted(int(each) for each in parts if each.isdecimal() and len(each) < 10)
        if numbers and numbers != list(range(len(numbers))):
            yield from _unread(member, node, name, "has parts that are missing")
    for attribute in node.attributes:
        if attribute.name in CONFIGS:
            yield from _config(member, node, attribute, budget)


def _config(
    member: Member, node: hdf5.Node, attribute: Attribute, budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    if attribute.texts is None or len(attribute.texts) != 1:
        yield from _unread(member, node, attribute.name, "is not one text")
        return
    data = attribute.texts[0].encode("utf-8", "surrogatepass")
    text = Text(data, member, member.at(attribute.offset), "legacy")
    try:
        yield from examine_config(text, budget)
    except MalformedError:
        yield from _unread(member, node, attribute.name, "is not JSON")


def _unread(member: Member, node: hdf5.Node, name: str, what: str) -> Iterator[Evidence | Notification]:
    yield _see(member, "keras-config-broken", node, name, name=name, what=what)
    yield _gap(member, f"attribute {name!r} of {node.path} {what}", node.offset)


@cache
def _known_filters() -> frozenset[int]:
    path = rules_folder() / "formats" / "hdf5_filters.json"
    try:
        return frozenset(json.loads(path.read_bytes())["known"])
    except (OSError, ValueError, KeyError) as error:
        raise RuleError(f"cannot read {path}: {error!r}") from error
