"""Files made to exhaust: each ends soon, in little memory, and says what it is."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import pickle_stream
from tests.examined import yielded

pytestmark = pytest.mark.heavy

CALL = b"cos\nsystem\nX\x04\0\0\0true\x85R0"
P2, P4 = b"\x80\x02", b"\x80\x04"


def long(text: bytes, count: int) -> Callable[[], bytes]:
    return lambda: P2 + CALL + text * count


def gets_into_a_lump() -> bytes:
    strings = b"".join(b"\x8c\x04abcd\x94" for _ in range(100_000))
    names = (b"j" + struct.pack("<I", i * 7919 % 100_000) for i in range(20_000))
    return P4 + strings + b"".join(name + b"j\x05\0\0\0\x930" for name in names) + b"N."


def builds_of_one_state() -> bytes:
    pairs = b"".join(b"\x8c\x04k%03dK\x01" % (i % 1000) for i in range(20_000))
    return P4 + b"cargparse\nNamespace\n)\x81\x94}(" + pairs + b"u\x94" + b"h\x00h\x01b0" * 20_000 + b"."


HOSTILE: dict[str, tuple[Callable[[], bytes], bool]] = {
    "marks": (long(b"(", 10_000_000), True),
    "memo index": (lambda: P2 + CALL + b"Nr\xff\xff\xff\x7f.", True),
    "long number": (lambda: P2 + CALL + b"\x8b\xff\xff\xff\x7f\x01.", True),
    "long bytes": (lambda: P4 + CALL + b"\x8e" + b"\xff" * 8 + b".", True),
    "shared tuples": (lambda: P2 + CALL + b"N" + b"2\x86" * 1_000_000 + b".", True),
    "nested tuples": (lambda: P2 + CALL + b"N" + b"\x85" * 5_000_000 + b".", True),
    "stack": (lambda: P2 + CALL + b"N" + b"2" * 5_000_000 + b".", True),
    "gets into a lump": (gets_into_a_lump, False),
    "builds of one state": (builds_of_one_state, True),
    "pops": (lambda: P4 + b"(" + b"K\x01" * 100_000 + b"Q0" * 100_000 + b"1N.", False),
    "frames": (lambda: P4 + (b"\x95" + struct.pack("<Q", 5_000_000)) * 100_000 + b"N.", False),
    "long line": (lambda: b"I" + b"1" * 20_000_000 + b"\n.", False),
    "stacked": (lambda: (P2 + b"N.") * 5_000, False),
    "extension codes": (
        lambda: P2 + b"".join(b"\x84" + struct.pack("<i", i) + b"0" for i in range(50_000)) + b"N.",
        False,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_ends_soon_and_is_no_pass(name: str) -> None:
    make, incomplete = HOSTILE[name]
    data = make()
    started = time.process_time()
    found = list(yielded(pickle_stream, data))
    assert time.process_time() - started < 15  # mostly under two; a quadratic trap takes minutes
    notices = [each for each in found if isinstance(each, Notification) and each.incomplete]
    assert bool(notices) == incomplete
    assert len(found) < 100
    if CALL in data[:100]:
        assert "pickle-call" in {each.kind for each in found if isinstance(each, Evidence)}


MEASURE = """
import re, sys
from pathlib import Path
from supplyguard.inspectors import pickle_stream
from supplyguard.inventory import Artifact, Member
from supplyguard.limits import Budget

path = Path(sys.argv[1])
artifact = Artifact(uri="file", path=path, size=path.stat().st_size)
member = Member(artifact=artifact, open=lambda: path.open("rb", buffering=0), size=artifact.size)
found = list(pickle_stream.inspect(member, Budget()))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(int(peak[1]) // 1024, len(found))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize(
    "body", [b"K\x01" * 30_000_000, b"\x8c\x04abcd\x94h\x00G" + b"\x07" * 8], ids=["flat", "memo"]
)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "large.pkl"
    inner = body if len(body) > 1000 else b"".join(b"](" + body * 500 + b"e\x94" for _ in range(4000))
    path.write_bytes(P4 + b"(" + inner + b"t.")
    shown = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    peak, found = map(int, shown.stdout.split())
    assert found == 0
    assert peak < 100
