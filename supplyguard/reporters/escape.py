"""Strings from scanned files, made harmless for the place they are shown in.

Every name, message and symbol in a report may have been chosen by an attacker. Each output puts
every such string through its own function of this module, once, where it is written.
"""

from __future__ import annotations

import re
from typing import Final

NAME_CHARS: Final = 300
"""The most characters of a file, member or symbol name that an output for people shows."""

MESSAGE_CHARS: Final = 1_000
"""The most characters of a message that an output for people shows."""

# printable to Unicode, nothing to the eye: Hangul fillers, the blank Braille pattern, joiners,
# the Khmer inherent vowels, and the variation selectors that smuggle text behind an emoji
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u2d7f\u3164\uffa0\U0001107f").union(
    map(chr, range(0xE0100, 0xE01F0))
)

# everything that begins, ends or escapes something in GitHub's Markdown; "-", "_" in words,
# "(", "." and digits stay readable, because without the others they mean nothing inside a line
_MARKDOWN: Final = {ord(char): f"&#{ord(char)};" for char in "\\`*_{}[]<>!|~&:$^"} | {
    # a mention or an issue's number is recognised after rendering: a zero-width space breaks it up
    ord(char): f"&#{ord(char)};&#8203;"
    for char in "@#"
}
_BARE_LINK: Final = re.compile(r"(?i)\bwww\.")

_COMMAND_AT_LINE_START: Final = re.compile(r"(?m)^((?:\x1b\[[0-9;]*m|[^\S\n])*):(?=:)")


def shorten(text: str, limit: int) -> str:
    """Cut `text` to at most `limit` characters, "…" included."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def visible(text: str) -> str:
    r"""Show every character that is not seen, or moves others, as \x1b, \u202e or \U000e0041.

    These are the control, format, surrogate, private, unassigned and separator characters other
    than the space, and letters without a shape. The result is one line and can be encoded as UTF-8.
    """
    if text.isprintable() and _BLANK.isdisjoint(text):
        return text
    return "".join(char if _is_seen(char) else _escaped(char) for char in text)


def for_terminal(text: str, limit: int = MESSAGE_CHARS) -> str:
    """Make `text` safe to print: one line of at most about `limit` visible characters."""
    return shorten(visible(shorten(text, limit)), 2 * limit)


def for_markdown(text: str, limit: int = MESSAGE_CHARS) -> str:
    """Make `text` plain words in GitHub's Markdown and HTML: no markup, link, mention or new cell."""
    plain = for_terminal(text, limit).translate(_MARKDOWN)
    return _BARE_LINK.sub(lambda match: f"{match[0][:-1]}&#46;", plain)


def workflow_data(text: str, limit: int = MESSAGE_CHARS) -> str:
    """Make `text` the message of a GitHub workflow command ("::error ...::message")."""
    return for_terminal(text, limit).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def workflow_property(text: str, limit: int = NAME_CHARS) -> str:
    """Make `text` the value of a GitHub workflow command's property ("file=...")."""
    return workflow_data(text, limit).replace(":", "%3A").replace(",", "%2C")


def defuse_commands(output: str) -> str:
    r"""Break up what GitHub's runner would take for a command in a program's output.

    It obeys "::name ...::" at the start of a line, leading space aside, and "##[name]" anywhere:
    the first colon and the bracket become \x3a and \x5b.
    """
    return _COMMAND_AT_LINE_START.sub(r"\1\\x3a", output).replace("##[", r"##\x5b")


def _is_seen(char: str) -> bool:
    return char.isprintable() and char not in _BLANK


def _escaped(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
