"""Inspectors that are imported when the first file comes along that may be of their format.

Importing all of them takes longer than scanning a small file. A first look may say yes too often, never
no too often: a test holds it against every fixture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Final

from supplyguard.code.standing import ELSEWHERE, lists, standing_of
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors.shortlist import Look, joined
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget

if TYPE_CHECKING:
    from supplyguard.inspectors import Inspector

FirstLook = Callable[[Probe], bool]

_FIRST_OPCODES: Final = frozenset(
    bytes([code])
    for code in b"(]})NIJKMLSTUVXGFBCPc\x80\x82\x83\x84\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x95\x96\x97"
)
MACH_O: Final = tuple(
    bytes.fromhex(magic) for magic in ("feedface", "feedfacf", "cefaedfe", "cffaedfe", "cafebabe")
)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}\Z")
MESSAGE_PACK_MAPS: Final = tuple(bytes([first]) for first in (*range(0x81, 0x90), 0xDE, 0xDF))
TORCH7_TAGS: Final = (
    *(bytes([tag, 0, 0, 0]) for tag in (3, 4, 6, 7, 8)),
    *(b"%d\n" % tag for tag in (3, 4, 6, 7, 8)),
)
"""The first type tag of an object that may hold code, in both forms."""
_PROTO: Final = re.compile(rb"\x80[\x02-\x05]")
_HIDING: Final = re.compile(
    rb"(?<![.\w])(exec|eval|compile|execfile)\b|\b(__builtins__|builtins|__import__|import_module|marshal)\b"
    rb"|\b(FunctionType|CodeType|runpy)\b|globals\s*\(\s*\)\s*\[|[ \t]{120}"
    rb"|\xef[\xbc\xbd]|\xf0\x9d[\x90-\x9f]|#[^\n]*coding[:=][ \t]*(?!utf-?8|latin|ascii|iso)"
)
_TEXTS: Final = (
    *(".json", ".jsonl", ".csv", ".tsv", ".txt", ".md", ".yaml", ".yml", ".toml", ".cfg", ".jinja", ".xml"),
)
_CLAIMING: Final = (
    *(
        ".safetensors",
        ".gguf",
        ".onnx",
        ".npy",
        ".npz",
        ".tflite",
        ".parquet",
        ".arrow",
        ".feather",
        ".keras",
    ),
    *(".h5", ".hdf5", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", *_TEXTS),
)
_ODD_FIRST: Final = frozenset(bytes([first]) for first in b"(]})cilSVP#R7\x1f\x28\x7f\x80\x89\x93\xfd\xff")
_COUNTS: Final = re.compile(rb"[0-9]+ [0-9]+\r?\n")
_JUNK: Final = 1 << 13
_BOOSTERS: Final = (
    b"\6" + bytes(7) + b"gbtree",
    b"\x08" + bytes(7) + b"gblinear",
    b"\4" + bytes(7) + b"dart",
)
"""Names in XGBoost's old form, after their lengths."""
_COMPRESSED: Final = frozenset(
    bytes([first]) for first in b"\x1fB\xfd\x04(P\x02\xff\x89L]xZ" + bytes(range(0x50, 0x60))
)


class OnDemand:
    """Stands in for the inspector module `stem` until a file passes the first look."""

    __slots__ = ("FORMAT", "_module", "first_look")

    def __init__(self, stem: str, first_look: FirstLook) -> None:
        self.FORMAT = stem
        self.first_look = first_look
        self._module: Inspector | None = None

    def recognizes(self, probe: Probe) -> bool:
        """Take the first look, then ask the inspector."""
        return self.first_look(probe) and self.module.recognizes(probe)

    def inspect(self, member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
        """Hand over to the inspector."""
        return self.module.inspect(member, budget)

    @property
    def module(self) -> Inspector:
        """The inspector itself."""
        if self._module is None:
            found: Inspector = import_module(f"supplyguard.inspectors.{self.FORMAT}")
            self._module = found
        return self._module


def pickle_like(probe: Probe) -> bool:
    """Whether a pickle could begin here: an opcode that needs nothing below it, or PROTO soon after junk."""
    text = probe.head.lstrip(b"\0")
    return text[:1] in _FIRST_OPCODES or _PROTO.search(probe.head, 0, _JUNK) is not None


def zip_like(probe: Probe) -> bool:
    """Whether a local header is at the start or an end record near the end."""
    return probe.head.startswith(b"PK\x03\x04") or b"PK\x05\x06" in probe.tail


def tar_like(probe: Probe) -> bool:
    """Whether the first block has something like a checksum where tar keeps it, and is no text."""
    field = probe.head[148:156]
    return len(probe.head) >= 512 and not field.strip(b"01234567 \0") and b"\0" in probe.head[:512]


def compressed_like(probe: Probe) -> bool:
    """Whether the first byte is one of a compressed stream's."""
    return probe.head[:1] in _COMPRESSED


def code_like(probe: Probe) -> bool:
    """Whether it is Python that a loader would run, or that has a word which hidden code needs."""
    name = probe.name.lower()
    if name.endswith((".pyc", ".pth")):
        return True
    if not name.endswith((".py", ".pyw")):
        return False
    artifact = probe.artifact
    if artifact is None or probe.path or (probe.size or 0) > len(probe.head):
        return True
    if _HIDING.search(probe.head) is not None or artifact.path.stem in lists()["shadowed"]:
        return True
    return b"Builder" in probe.head or standing_of(artifact).place != ELSEWHERE


def odd_ends(probe: Probe) -> bool:
    """Whether name and first byte may disagree, or a zip may end a file that does not begin as one."""
    if probe.size == 0 or (b"PK\x05\x06" in probe.tail and not probe.head.startswith(b"PK")):
        return True
    name = probe.name.lower()
    if not name.endswith(_CLAIMING):
        return False
    return not name.endswith(_TEXTS) or probe.head[:1] in _ODD_FIRST or b"\0" in probe.head[:512]


def counted(probe: Probe) -> bool:
    """Whether the first line is two numbers."""
    return _COUNTS.match(probe.head) is not None


def digest_named(probe: Probe) -> bool:
    """Whether the name ends in the 64 digits of a SHA-256."""
    return _DIGEST.search(probe.name) is not None


def object_follows(probe: Probe) -> bool:
    """Whether a JSON object could begin after eight bytes."""
    return b"{" in probe.head[8:72]


def xgboost_like(probe: Probe) -> bool:
    """Whether UBJSON, one of the old forms or a JSON learner could begin here."""
    head = probe.head
    if head.startswith((b"{L\0\0", b"binf", b"bs64", b"CONFIG-offset:")):
        return True
    return b'"learner"' in head or any(name in head[:256] for name in _BOOSTERS)


def begins(*magics: bytes, at: int = 0) -> FirstLook:
    """Make a first look: one of these bytes at a place."""
    if not at:
        return Look(magics=magics)
    return Look(others=(lambda probe: probe.head.startswith(magics, at),))


def ends(*magics: bytes) -> FirstLook:
    """Make a first look: the last bytes."""
    return Look(others=(lambda probe: probe.tail.endswith(magics),))


def named(*endings: str) -> FirstLook:
    """Make a first look: the name ends like this, in any case."""
    return Look(endings=endings)


def either(*looks: FirstLook) -> FirstLook:
    """Make a first look of several: any of them."""
    return joined(looks)


def holds(*pieces: bytes, within: int = 1 << 16) -> FirstLook:
    """Make a first look: one of these pieces among the first bytes."""
    return Look(others=tuple(_holding(piece, within) for piece in pieces))


def _holding(piece: bytes, within: int) -> FirstLook:
    return lambda probe: probe.head.find(piece, 0, within) >= 0
