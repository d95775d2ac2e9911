"""OpenVINO IR: declarations in the XML, operators of extensions, constants beyond the weights, kernel files.

Formats: https://docs.openvino.ai, "OpenVINO IR format" (versions 7 to 11), and the configuration files of
GPU custom kernels, which name OpenCL sources to compile. The weights (`.bin`) are only measured; whether
they are there is not asked for a model inside an archive.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import closing
from math import prod
from typing import Final

from supplyguard.archives.referenced_paths import path_facts
from supplyguard.archives.signs import text_signs
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget
from supplyguard.resources import format_data
from supplyguard.wire.xml_events import DECLARATIONS, Event, Kind, root_names, xml_events

FORMAT: Final = "openvino_ir"

SHOWN: Final = 50
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://")
_WEIGHTS: Final = frozenset({"data", "weights", "biases", "custom"})
_LIST: Final = re.compile(r"\s*,\s*")


def recognizes(probe: Probe) -> bool:
    """Whether the root is `net`, or that of a file of GPU kernels."""
    names = root_names(probe.head)
    return "CustomLayer" in names or ("net" in names and _has_layers(probe))


def _has_layers(probe: Probe) -> bool:
    """Whether it is a net of layers; where the head is not read that far, the end says so."""
    plain = (probe.head + probe.tail).replace(b"\0", b"")
    return b"<layers" in plain or b"</net>" in plain or b"<!ENTITY" in plain


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what the model needs and where it is wrong; raises SupplyguardError where it cannot be read."""
    reader = _Reader(member)
    with closing(member.open()) as stream:
        for event in xml_events(stream, budget):
            for item in reader.take(event):
                reader.shown += isinstance(item, Evidence)
                if reader.shown <= SHOWN or isinstance(item, Member):
                    yield item
    if reader.shown > SHOWN:
        text = f"more than {SHOWN} findings: the others are not listed"
        yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())
    if reader.needs_weights and reader.weights is None and not member.path:
        name = member.artifact.path.with_suffix(".bin").name
        text = f"the weights {name} are missing"
        yield Notification(code="companion-missing", message=text, location=member.at(), incomplete=True)


class _Reader:
    """What is needed of the whole while its elements go by."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._layers: list[str] = []
        self.shown = 0
        self.needs_weights = False
        self.weights = _weights_size(member)

    def take(self, event: Event) -> Iterator[Evidence | Member]:
        """Yield what one event tells."""
        if event.kind in DECLARATIONS:
            facts: dict[str, Fact] = {
                "what": event.kind.value,
                "name": event.name[:200],
                "target": event.text[:200],
            }
            yield self._see("openvino-declaration", event, f"{event.kind.value}:{event.name[:200]}", facts)
        elif event.kind is Kind.END and event.name == "layer" and self._layers:
            self._layers.pop()
        elif event.kind is Kind.START:
            yield from self._element(event)

    def _element(self, event: Event) -> Iterator[Evidence | Member]:
        table = format_data(FORMAT)
        given = event.attributes
        if event.name == "layer":
            self._layers.append(given.get("name", "")[:200])
            version, kind = given.get("version"), given.get("type", "")[:200]
            if version is not None and re.fullmatch(table["versions"], version) is None:
                known = kind in table["tokenizer_operations"] and version == "extension"
                facts: dict[str, Fact] = {"type": kind, "version": version[:200], "known": known}
                yield self._see("openvino-extension", event, f"{version[:200]}:{kind}", facts)
        if event.name in table["kernel_elements"]:
            name = given.get("filename") or given.get("name") or given.get("options") or ""
            facts = {"element": event.name, "name": name[:200]}
            yield self._see("openvino-kernel", event, f"{event.name}:{name[:200]}", facts)
        if event.name in _WEIGHTS and "offset" in given and "size" in given:
            yield from self._constant(event)
        if event.name in table["templates"] and "value" in given:
            yield self._template(event)
        else:
            yield from self._texts(event)

    def _constant(self, event: Event) -> Iterator[Evidence]:
        """Compare a constant's place with the weights, and its size with its shape."""
        where = self._layers[-1] if self._layers else event.name
        what = ""
        try:
            offset, size = int(event.attributes["offset"]), int(event.attributes["size"])
        except ValueError:
            offset = size = 0
            what = "has a place that is no number"
        self.needs_weights |= size > 0
        needed = _bytes_of(event)
        if offset < 0 or size < 0:
            what = "has a negative place"
        elif self.weights is not None and offset + size > self.weights:
            what = f"ends at {offset + size:,}, the weights have {self.weights:,} bytes"
        elif needed is not None and needed != size and not what:
            what = f"has {size:,} bytes, its shape asks for {needed:,}"
        if what:
            facts: dict[str, Fact] = {"name": where, "what": what}
            yield self._see("openvino-constant", event, where, facts)

    def _texts(self, event: Event) -> Iterator[Evidence]:
        """Yield attributes that hold a path out of the folder, an address or something encoded."""
        for key, value in event.attributes.items():
            signs = list(text_signs(value[: 64 * KIB]))
            if event.name == "data" and not signs:
                if _URL.match(value):
                    signs.append("an address")
                elif "../" in value or path_facts(value[:1000])["sensitive"]:
                    signs.append("a path out of the model's folder")
            for what in signs:
                facts: dict[str, Fact] = {"element": event.name, "key": key[:200], "what": what}
                yield self._see("openvino-text", event, f"{event.name}:{key[:200]}", facts)

    def _template(self, event: Event) -> Member:
        data = event.attributes["value"].encode()
        return Member(
            artifact=self._member.artifact,
            path=(*self._member.path, f"{event.name}.jinja"),
            open=lambda: io.BytesIO(data),
            size=len(data),
        )

    def _see(self, kind: str, event: Event, symbol: str, facts: dict[str, Fact]) -> Evidence:
        return Evidence(kind=kind, location=self._member.at(event.offset), facts=facts, symbol=symbol)


def _bytes_of(event: Event) -> int | None:
    """Compute the bytes of a constant from its type and shape; None when they are not said or vary."""
    bits = format_data(FORMAT)["bits"].get(event.attributes.get("element_type", ""))
    shape = event.attributes.get("shape")
    if bits is None or shape is None or len(shape) > KIB:
        return None
    try:
        sizes = [int(each) for each in _LIST.split(shape.strip()) if each]
    except ValueError:
        return None
    return -1 if any(each < 0 for each in sizes) else int((prod(sizes) * bits + 7) // 8)


def _weights_size(member: Member) -> int | None:
    """Measure the file of weights beside a model, None when it is not there."""
    if member.path:
        return None
    try:
        return member.artifact.path.with_suffix(".bin").stat().st_size
    except (OSError, ValueError):
        return None
