"""Marshalled code: compared with the code objects themselves, and hostile bytes end at once."""

from __future__ import annotations

import contextlib
import marshal
import struct
import sys
import time
from types import CodeType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.limits import Budget, Limits
from supplyguard.wire.marshal_code import CodeSummary, read_code

SOURCE = '''
import os.path
A = (1, 2**80, -3, 1.5, 2j, b"raw", None, ..., True, frozenset({"in set"}), "ünï", "x" * 3)
def outer(a, b="default", *, c=None):
    free = 1
    class Inner:
        """Words."""
        def method(self):
            return free + self.attribute + os.getcwd()
    return [lambda: __import__("socket") for _ in range(3)], Inner
'''


def expected(code: CodeType) -> tuple[set[str], set[str]]:
    names, constants, pending = set(code.co_names), set(), list(code.co_consts)
    while pending:
        each = pending.pop()
        if isinstance(each, str):
            constants.add(each)
        elif isinstance(each, bytes):
            constants.add(each.decode("latin-1"))
        elif isinstance(each, tuple | frozenset):
            pending += each
        elif isinstance(each, CodeType):
            below = expected(each)
            names |= below[0]
            constants |= below[1]
    return names, constants


def read(data: bytes) -> CodeSummary:
    return read_code(data, Budget())


@pytest.mark.parametrize("version", range(3 if sys.version_info >= (3, 14) else 0, marshal.version + 1))
def test_what_this_python_writes(version: int) -> None:
    code = compile(SOURCE, "model.py", "exec")
    summary = read(marshal.dumps(code, version))
    assert (set(summary.names), set(summary.constants)) == expected(code)
    assert summary.filename == "model.py"
    assert summary.functions[0] == "<module>"
    assert {"outer", "Inner", "method", "<lambda>"} <= set(summary.functions)


def text(value: str) -> bytes:
    return b"u" + struct.pack("<i", len(value)) + value.encode()


def group(*items: bytes) -> bytes:
    return b")" + bytes([len(items)]) + b"".join(items)


def code(numbers: int, objects: list[bytes], after: list[bytes]) -> bytes:
    return b"c" + struct.pack("<i", 1) * numbers + b"".join(objects) + struct.pack("<i", 1) + b"".join(after)


RAW = b"s\1\0\0\0x"
CONSTS = group(
    text("secret"), b"N", b"l\xfe\xff\xff\xff\1\0\2\0", b"f\0031.5", b"x\0011\0012", b"I" + bytes(8)
)
NAMES = group(text("os"), b"z\6system")
PLACE = [text("f.py"), text("name")]
OLDER = [RAW, CONSTS, NAMES, group(), group(), group(), *PLACE]
BY_VERSION = {
    "3.11 or later": code(5, [RAW, CONSTS, NAMES, group(), RAW, *PLACE, text("q")], [RAW, RAW]),
    "3.8 to 3.10": code(6, OLDER, [RAW]),
    "3.0 to 3.7": code(5, OLDER, [RAW]),
    "2.3 to 2.7": code(4, OLDER, [RAW]),
}


@pytest.mark.parametrize("version", BY_VERSION)
def test_each_layout(version: str) -> None:
    summary = read(BY_VERSION[version])
    assert summary == CodeSummary(
        names=("os", "system"), constants=("secret",), functions=("name",), filename="f.py", version=version
    )


def test_python_2_refers_to_interned_text() -> None:
    names = group(b"t\2\0\0\0os", b"R\0\0\0\0", b"R\1\0\0\0", b"t\1\0\0\0b")
    with pytest.raises(MalformedError):
        read(code(4, [RAW, CONSTS, names, group(), group(), group(), *PLACE], [RAW]))
    names = group(b"t\2\0\0\0os", b"t\1\0\0\0b", b"R\1\0\0\0")
    summary = read(code(4, [RAW, CONSTS, names, group(), group(), group(), *PLACE], [RAW]))
    assert summary.names == ("os", "b")


def test_a_slice_a_set_a_dictionary_and_what_refers_to_itself() -> None:
    constants = group(
        b":" + text("a") + b"NN",
        b"<\1\0\0\0" + text("b"),
        b"{" + text("c") + text("d") + b"0",
        b"\xdb\1\0\0\0r\0\0\0\0",
    )
    data = code(5, [RAW, constants, NAMES, group(), RAW, *PLACE, text("q")], [RAW, RAW])
    assert read(data).constants == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no marshalled code"),
        (b"N", "no marshalled code"),
        (BY_VERSION["3.11 or later"] + b"N", "more bytes"),
        (b"c" + b"\xff" * 100, "marshal type"),
        (b"c" + bytes(20) + RAW + b"s\xff\xff\xff\xff", "negative"),
        (b"c" + bytes(20) + RAW + b"(\xff\xff\xff\x7f", "beyond the end"),
        (b"c" + bytes(16) + b"[\2\0\0\0" * 3000, "deep"),
    ],
)
def test_what_no_python_wrote(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        read(data)


def test_every_truncation_is_malformed() -> None:
    data = marshal.dumps(compile(SOURCE, "m", "exec"))
    for length in range(len(data)):
        with pytest.raises(MalformedError):
            read(data[:length])


@given(st.binary(max_size=120), st.integers(0, 400), st.integers(0, 255))
@settings(deadline=None, max_examples=150)
def test_any_bytes(data: bytes, place: int, byte: int) -> None:
    changed = bytearray(BY_VERSION["3.11 or later"])
    changed[place % len(changed)] = byte
    for each in (b"c" + data, b"\xe3" + data, bytes(changed)):
        with contextlib.suppress(MalformedError):
            read(each)


def test_a_web_of_references_costs_its_bytes() -> None:
    start = time.monotonic()
    levels = b"".join(b"\xa9\2r" + struct.pack("<i", n) + b"r" + struct.pack("<i", n) for n in range(80))
    constants = b"\xa9\x51\xda\1x" + levels
    data = code(5, [RAW, constants, NAMES, group(), RAW, *PLACE, text("q")], [RAW, RAW])
    assert read(data).constants == ("x",)
    with pytest.raises(BudgetExceededError):
        read_code(data, Budget(Limits(nodes=50)))
    assert time.monotonic() - start < 2
