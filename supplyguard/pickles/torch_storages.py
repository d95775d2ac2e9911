"""What PyTorch's pickles say of raw numbers: the storages they name and the tensors laid over them.

A storage is the persistent id ("storage", class, key, location, count), followed by None or a view in
the legacy stream. Tensors are calls of `torch._utils._rebuild_tensor_v2` and its like with a storage,
an offset, sizes and strides, all in elements. Source: torch/serialization.py, torch/_utils.py,
torch/_tensor.py. Sizes of elements and names of classes are rules/formats/torch_storages.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.inventory import Member
from supplyguard.limits import MIB, Budget
from supplyguard.pickles.knowledge import Knowledge
from supplyguard.pickles.programs import Program, Programs, examine
from supplyguard.pickles.values import Container, Global, Kind, Value
from supplyguard.resources import format_data
from supplyguard.streams import SliceReader, size_of

MOST_BYTES: Final = 16 * MIB
"""How much of a member is read for programs; the pickle of ten thousand tensors has about two MiB."""
_WHOLE: Final = 1 << 62
_NUMBERS: Final = r"(?P<{}>[-0-9, ]*)"
_TENSOR: Final = re.compile(
    r"persistent id \('storage', (?P<tag>[\w.]+), '(?P<key>[^'\\]*)', '(?P<location>[^'\\]*)',"
    r" (?P<count>\d+)(?:, None)?\), (?P<offset>-?\d+),"
    rf" \({_NUMBERS.format('sizes')}\), \({_NUMBERS.format('strides')}\)(?:, (?P<rest>.*))?",
    re.DOTALL,
)
"""The arguments of a call as the machine writes them; what it shortens does not match."""
_TYPE: Final = re.compile(r"torch\.([a-z0-9_]+)\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Storage:
    """One storage that a program names. size: in bytes, None when the class is not known."""

    key: str
    tag: str
    location: str
    count: int
    size: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor:
    """One tensor over a storage, counted in elements. elements: what the storage has, None: not known."""

    key: str
    call: int
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    elements: int | None

    def fits(self) -> bool:
        """Whether every element lies in the storage; a tensor without elements always does."""
        if self.offset < 0 or any(each < 0 for each in (*self.sizes, *self.strides)):
            return False
        if len(self.sizes) != len(self.strides):
            return False
        if self.elements is None or 0 in self.sizes:
            return True
        last = sum((size - 1) * stride for size, stride in zip(self.sizes, self.strides, strict=True))
        return self.offset + last < self.elements


def element_size(tag: str) -> int | None:
    """Give the bytes of one element of a storage class, by its name with or without module."""
    size: int | None = format_data("torch_storages")["elements"].get(tag.rpartition(".")[2])
    return size


def programs_of(member: Member, budget: Budget, knowledge: Knowledge) -> list[Program]:
    """Read the programs in a member's first MOST_BYTES with their calls; what they do is not reported.

    A program that does not end there has no `end`; what ends early is left to who reads the member
    first. Raises BudgetExceededError.
    """
    with closing(member.open()) as stream:
        size = min(size_of(stream) if member.size is None else member.size, MOST_BYTES)
    programs = Programs(keep_calls=True)
    near = Member(
        artifact=member.artifact,
        path=member.path,
        open=lambda: SliceReader(member.open(), 0, size),
        size=size,
    )
    with suppress(MalformedError):
        for _ in examine(near, budget, knowledge, programs=programs, lumps_after=_WHOLE):
            continue
    return [each for each in programs.found if each.path == member.path]


def storages_of(program: Program) -> Iterator[Storage]:
    """Yield each different storage that the program names."""
    seen: set[Storage] = set()
    for identifier in program.persistent_ids:
        storage = _storage(identifier)
        if storage is not None and storage not in seen:
            seen.add(storage)
            yield storage


def tensors_of(program: Program) -> Iterator[Tensor]:
    """Yield each tensor whose place in its storage is written out."""
    rebuilders = frozenset(format_data("torch_storages")["rebuilders"])
    for call in program.calls:
        if call.callable not in rebuilders:
            continue
        found = _TENSOR.match(call.arguments)
        if found is not None:
            yield Tensor(
                key=found["key"],
                call=call.offset,
                offset=int(found["offset"]),
                sizes=_numbers(found["sizes"]),
                strides=_numbers(found["strides"]),
                elements=_elements(found["tag"], int(found["count"]), found["rest"] or ""),
            )


def _storage(identifier: Value) -> Storage | None:
    if not isinstance(identifier, Container) or identifier.kind != Kind.TUPLE or len(identifier.items) < 5:
        return None
    word, tag, key, location, count = identifier.items[:5]
    if word != "storage" or not isinstance(tag, Global) or type(count) is not int:
        return None
    if not isinstance(key, str | int) or not isinstance(location, str):
        return None
    element = element_size(tag.name)
    size = None if element is None else element * count
    return Storage(key=str(key), tag=tag.dotted, location=location, count=count, size=size)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"-?[0-9]+", text))


def _elements(tag: str, count: int, rest: str) -> int | None:
    """Give how many of the tensor's elements the storage holds: an untyped one counts bytes."""
    if not tag.endswith("UntypedStorage"):
        return count
    found = _TYPE.search(rest)
    width = format_data("torch_storages")["types"].get(found[1]) if found else None
    return None if width is None else count // width
