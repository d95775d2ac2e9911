"""The structure of an HDF5 file: every object with its attributes, links and how its data is stored.

Objects are visited once each, whatever links lead to them; no dataset's data is read. What cannot
be read becomes a Problem, and the walk goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.limits import Budget, Resource
from supplyguard.wire import hdf5_groups as groups
from supplyguard.wire import hdf5_records as records
from supplyguard.wire.cursor import Cursor
from supplyguard.wire.hdf5_file import Message, Storage, find_superblock
from supplyguard.wire.hdf5_records import Attribute, Datatype, Layout, Link

MOST_PATH_SEGMENTS: Final = 256
MOST_OBJECTS: Final = 1_000_000
ROOT: Final = "/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What could not be read at `path`, and where."""

    path: str
    message: str
    offset: int | None


@dataclass(kw_only=True, slots=True)
class Node:
    """A group, dataset or named type.

    path: the first one that led here. offset: of its header. links: of a group. shape: None when
    it is no dataset or has no elements by type; element_size: in bytes. stored: bytes that the data
    takes in the file, None when that is not known. filters: their registered numbers. external:
    files in which the data is kept.
    """

    path: str
    offset: int
    attributes: list[Attribute] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    element_size: int = 0
    layout: int | None = None
    stored: int | None = None
    filters: tuple[int, ...] = ()
    external: tuple[str, ...] = ()

    @property
    def declared(self) -> int:
        """Bytes that a reader of the whole dataset allocates."""
        if self.shape is None:
            return 0
        size = self.element_size
        for each in self.shape:
            size *= each
        return size


def walk(stream: BinaryIO, start: int, end: int, budget: Budget) -> Iterator[Node | Problem]:
    """Yield every object that can be reached from the root; `start` is where the superblock is.

    Raises MalformedError or UnsupportedError when not even the superblock can be read.
    """
    storage = Storage(stream, start, end, budget)
    seen: set[int] = set()
    pending: list[tuple[str, int | None]] = [(ROOT, storage.root)]
    while pending:
        path, address = pending.pop()
        if address is None or address in seen:
            continue
        seen.add(address)
        if len(seen) > MOST_OBJECTS or path.count("/") > MOST_PATH_SEGMENTS:
            yield Problem(path=path[:200], message="more or deeper objects than are read", offset=None)
            return
        budget.check_time()
        node = Node(path=path, offset=storage.base + address)
        yield from _Reader(storage, node).read(address)
        yield node
        prefix = path.rstrip("/")
        pending += (
            (f"{prefix}/{link.name}", link.address) for link in reversed(node.links) if link.kind == "hard"
        )


class _Reader:
    """Reads one object's messages into a Node."""

    def __init__(self, storage: Storage, node: Node) -> None:
        self._storage = storage
        self._node = node
        self._layout: Layout | None = None
        self._handlers: dict[int, Callable[[Message], None]] = {
            records.DATASPACE: self._dataspace,
            records.DATATYPE: self._datatype,
            records.LAYOUT: self._where,
            records.FILTERS: self._filters,
            records.EXTERNAL_FILES: self._external,
            records.LINK: self._link,
            records.LINK_INFO: self._dense_links,
            records.SYMBOL_TABLE: self._old_links,
            records.ATTRIBUTE: self._attribute,
            records.ATTRIBUTE_INFO: self._dense_attributes,
        }

    def read(self, address: int) -> Iterator[Problem]:
        """Fill the Node; what cannot be read is yielded."""
        messages = self._storage.messages(address)
        while True:
            try:
                message = next(messages, None)
                if message is None:
                    break
                handler = self._handlers.get(message.kind)
                if handler is not None:
                    handler(message)
            except (MalformedError, UnsupportedError) as error:
                yield self._problem(error)
        try:
            self._measure()
        except (MalformedError, UnsupportedError) as error:
            yield self._problem(error)

    def _problem(self, error: MalformedError | UnsupportedError) -> Problem:
        offset = error.offset if isinstance(error, MalformedError) else self._node.offset
        return Problem(path=self._node.path, message=error.message, offset=offset)

    def _body(self, message: Message) -> Cursor:
        return records.resolved(message, self._storage)

    def _dataspace(self, message: Message) -> None:
        self._node.shape = records.dataspace(self._body(message), self._storage)

    def _datatype(self, message: Message) -> None:
        kind: Datatype = records.datatype(self._body(message))
        self._node.element_size = kind.size

    def _where(self, message: Message) -> None:
        self._layout = records.layout(self._body(message), self._storage)
        self._node.layout = self._layout.kind

    def _filters(self, message: Message) -> None:
        self._node.filters = records.filters(self._body(message))

    def _link(self, message: Message) -> None:
        self._node.links.append(records.link(self._body(message), self._storage))

    def _attribute(self, message: Message) -> None:
        self._node.attributes.append(records.attribute(self._body(message), self._storage))

    def _old_links(self, message: Message) -> None:
        body = self._body(message)
        tree, heap = self._storage.address(body), self._storage.address(body)
        for link in groups.old_links(self._storage, tree, heap):
            self._node.links.append(link)

    def _dense_links(self, message: Message) -> None:
        """Read a link info message (IV.A.2.c)."""
        body = self._body(message)
        body.skip(1)
        flags = body.number("B")
        body.skip(8 if flags & 1 else 0)
        heap, index = self._storage.address(body), self._storage.address(body)
        if heap is not None:
            for each in groups.dense_objects(self._storage, heap, index):
                self._node.links.append(records.link(each, self._storage))

    def _dense_attributes(self, message: Message) -> None:
        """Read an attribute info message (IV.A.2.v)."""
        body = self._body(message)
        body.skip(1)
        flags = body.number("B")
        body.skip(2 if flags & 1 else 0)
        heap, index = self._storage.address(body), self._storage.address(body)
        if heap is not None:
            for each in groups.dense_objects(self._storage, heap, index):
                self._node.attributes.append(records.attribute(each, self._storage))

    def _external(self, message: Message) -> None:
        """Read an external data files message (IV.A.2.h)."""
        body = self._body(message)
        body.skip(6)
        count = body.number("H")
        heap = self._storage.address(body)
        names = []
        for _ in range(count):
            self._storage.budget.spend(Resource.NODES)
            offset = self._storage.length(body)
            body.skip(2 * self._storage.length_size)
            names.append(groups.heap_name(self._storage, heap, offset))
        self._node.external = tuple(names)

    def _measure(self) -> None:
        """Find how many bytes are stored: said by the layout, or the sum over the chunks."""
        found = self._layout
        if found is None:
            if self._node.layout is None:
                self._node.shape = None  # a shape alone makes no dataset
            return
        self._node.stored = found.stored
        if found.stored is not None or not found.old_index or found.address is None:
            return
        total = 0
        for key, _ in groups.old_tree(self._storage, found.address, 1, 8 + 8 * found.rank):
            total += key.number("I")
        self._node.stored = total


__all__ = ["ROOT", "Attribute", "Link", "Node", "Problem", "find_superblock", "walk"]
