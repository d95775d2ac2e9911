import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.reporters.escape import (
    defuse_commands,
    for_markdown,
    for_terminal,
    shorten,
    visible,
    workflow_data,
    workflow_property,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, with ümläut and 漢字", "plain text, with ümläut and 漢字"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\r\nb\tc", r"a\x0d\x0ab\x09c"),
        ("\x9b2J", r"\x9b2J"),
        ("gpj\u202eexe", r"gpj\u202eexe"),
        ("os\u200b.system", r"os\u200b.system"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("\udcff\ud800", r"\udcff\ud800"),
        ("hi\U000e0041", r"hi\U000e0041"),
        ("blank\u3164\u2800", r"blank\u3164\u2800"),
        ("selector\U000e0100", r"selector\U000e0100"),
        ("\u00a0", r"\xa0"),
    ],
)
def test_what_is_not_seen_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_visible_text_is_one_line_of_seen_characters(text: str) -> None:
    shown = visible(text)
    assert shown.encode().decode() == shown
    assert len(shown.splitlines()) <= 1
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_long_strings_are_cut() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "ab…"
    assert len(for_terminal("\x00" * 10**6)) <= 2_000
    assert for_terminal("x" * 10**6).endswith("x…")
    assert len(for_terminal("x" * 10**6)) == 1_000


@pytest.mark.parametrize(
    "hostile",
    [
        "[click](https://evil.test)",
        "![](https://evil.test/pixel.png)",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "`code`",
        "**bold** _em_ ~~gone~~",
        "a | b",
        "a\\|b",
        "line\n## heading",
        "@everyone #1",
        "&lt;b&gt; &#60;",
        "https://evil.test www.evil.test a@evil.test",
        "$x^2$",
        ":bomb:",
        "<!-- -->",
    ],
)
def test_markdown_means_nothing(hostile: str) -> None:
    # what is left beside character references has no meaning inside a line of Markdown
    rest = re.sub(r"&#\d+;", "", for_markdown(hostile))
    assert not set(rest) & set("\\`*_{}[]<>!|~&:$^@#\n")
    assert "www." not in rest


def test_markdown_reads_as_it_was() -> None:
    assert for_markdown("torch 2.0.1 (CVE-2025-32434), really") == "torch 2.0.1 (CVE-2025-32434), really"
    assert for_markdown("@a") == "&#64;&#8203;a"
    assert for_markdown("www.x") == "www&#46;x"


def test_workflow_commands_stay_in_their_place() -> None:
    assert workflow_data("100%\r\n::set-output") == "100%25\\x0d\\x0a::set-output"
    assert workflow_property("a,b:c%") == "a%2Cb%3Ac%25"
    assert len(workflow_property("x" * 10_000)) == 300


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("::set-output name=a::b", r"\x3a:set-output name=a::b"),
        ("one\n  \x1b[31m::error::x", "one\n  \x1b[31m\\x3a:error::x"),
        ("a ##[add-mask]b", r"a ##\x5badd-mask]b"),
        ("a::b, line 3:1", "a::b, line 3:1"),
        (":one", ":one"),
    ],
)
def test_printed_lines_are_no_workflow_commands(line: str, printed: str) -> None:
    assert defuse_commands(line) == printed
