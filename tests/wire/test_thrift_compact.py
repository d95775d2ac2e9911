"""Thrift's compact protocol: every type is passed over, what is asked for comes back with its path."""

from __future__ import annotations

import pytest

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.limits import Budget, Limits
from supplyguard.wire.thrift_compact import MOST_DEPTH, Walker


def walked(data: bytes, budget: Budget | None = None) -> list[tuple[tuple[int, ...], int | bytes]]:
    return list(Walker(data, budget or Budget()).values(lambda _path: True))


def test_every_type() -> None:
    data = b"\x11\x12\x13\x05\x14\x03\x17" + bytes(8) + b"\x18\x02hi"
    assert walked(data + b"\x00") == [((1,), 1), ((2,), 2), ((3,), 5), ((4,), -2), ((6,), b"hi")]


def test_containers_count_as_field_0() -> None:
    listed = b"\x19\x25\x02\x04"
    lists_of_structs = b"\x1a\x1c\x18\x01x\x00"
    mapped = b"\x1b\x01\x85\x01y\x06"
    empty = b"\x1b\x00\x19\x0c"
    assert walked(listed + lists_of_structs + mapped + empty + b"\x00") == [
        ((1, 0), 1),
        ((1, 0), 2),
        ((2, 0, 1), b"x"),
        ((3, 0), b"y"),
        ((3, 0), 3),
    ]


def test_far_fields_and_booleans_in_lists() -> None:
    assert walked(b"\x05\xc8\x01\x02\x00") == [((100,), 1)]
    assert walked(b"\x19\x21\x01\x02\x00") == [((1, 0), 1), ((1, 0), 2)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1d",
        b"\x18\x05a",
        b"\x19\xf5\xff\xff\xff\x07",
        b"\x15" + b"\xff" * 11,
        b"\x1c" * (MOST_DEPTH + 1),
        b"\x19\x19" * 40,
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        walked(data)


def test_work_is_counted() -> None:
    with pytest.raises(BudgetExceededError):
        walked(b"\x15\x02" * 100, Budget(Limits(nodes=10)))
