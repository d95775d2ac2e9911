"""XML events: what is told, what is never followed, and what ends at once."""

from __future__ import annotations

import io

import pytest

from supplyguard.errors import BudgetExceededError, MalformedError, SupplyguardError
from supplyguard.limits import MIB, Budget, Limits
from supplyguard.wire.xml_events import Event, Kind, root_names, xml_events


def events(data: bytes, **limits: int) -> list[Event]:
    return list(xml_events(io.BytesIO(data), Budget(Limits(**limits))))


def told(data: bytes) -> list[tuple[str, str, str]]:
    """Everything up to an error."""
    found = []
    try:
        for event in xml_events(io.BytesIO(data), Budget()):
            found += [(event.kind.value, event.name, event.text)]
    except SupplyguardError as error:
        found.append(("error", type(error).__name__, ""))
    return found


def test_elements_and_text() -> None:
    found = events(b'<p:a x="1&amp;2">text<b/> <![CDATA[<more>]]></p:a>')
    assert [(each.kind.value, each.name or each.text) for each in found] == [
        ("start", "a"),
        ("text", "text"),
        ("start", "b"),
        ("end", "b"),
        ("text", " <more>"),
        ("end", "a"),
    ]
    assert (found[0].attributes, found[2].offset) == ({"x": "1&2"}, 21)


def test_declarations_are_told_and_not_followed() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x "word"><!ENTITY y "&x;&x;">]><a>&y;</a>'
    assert told(bomb) == [
        ("doctype", "a", ""),
        ("entity", "x", ""),
        ("entity", "y", ""),
        ("error", "UnsupportedError", ""),
    ]
    assert told(b'<!DOCTYPE a SYSTEM "u"><a/>')[0] == ("external", "a", "u")
    assert told(b'<!DOCTYPE a [<!ENTITY x SYSTEM "f">]><a/>')[1] == ("external", "x", "f")
    assert told(b'<!DOCTYPE a [<!ENTITY % x SYSTEM "f">%x;]><a/>')[1] == ("external", "x", "f")
    assert told(b"<?b c?><a/>")[0] == ("instruction", "b", "c")


@pytest.mark.parametrize(
    "data", [b"", b"<a>", b"a", b"<a></b>", b"<a>&x;</a>", b'<?xml version="1.0" encoding="zz"?><a/>']
)
def test_what_is_no_xml(data: bytes) -> None:
    with pytest.raises(MalformedError):
        events(data)


def test_limits_hold() -> None:
    for data, limits in ((b"<a>" * 100, {}), (b"<a>" + b"<b/>" * 100, {"nodes": 50})):
        with pytest.raises(BudgetExceededError):
            events(data, **limits)
    deep = list(xml_events(io.BytesIO(b"<a>" * 100 + b"</a>" * 100), Budget(), depth=100))
    assert len(deep) == 200


def test_one_long_attribute_is_read_once_and_cut() -> None:
    (start, _) = events(b'<a x="' + b"y" * 12 * MIB + b'"/>')
    assert (start.kind, len(start.attributes["x"])) == (Kind.START, MIB)


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (b"<a/>", {"a"}),
        (b"\xef\xbb\xbf <?xml?><!-- <b> --><p:a>", {"a"}),
        (b"<!DOCTYPE c [<!ENTITY x 'y'>]><a>", {"c", "a"}),
        ("<a>".encode("utf-16"), {"a"}),
        ("<a>".encode("utf-16-be"), {"a"}),
        ("<a>".encode("utf-16-le"), {"a"}),
        (b"a<b>", set()),
    ],
)
def test_root_names(head: bytes, names: set[str]) -> None:
    assert root_names(head) == names
