"""A document as JSON text that no string in it can spoil."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_NOT_PLAIN: Final = re.compile(r"[^\n\x20-\x7e]")


def dump(document: Any) -> str:
    r"""Write `document` as indented JSON in ASCII, with a line end.

    What is not ASCII is escaped, so that the text is the same in every encoding and does nothing
    to a terminal. A lone surrogate, which many JSON readers refuse, becomes the six characters
    \udc80. "##[" is broken up: GitHub's runner would read a command there, were it printed.

    Raises ValueError for a number that JSON cannot hold.
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)
    return _NOT_PLAIN.sub(_unicode_escape, text).replace("##[", "##\\u005b") + "\n"


def _unicode_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xD800 <= code <= 0xDFFF:
        return f"\\\\u{code:04x}"
    if code > 0xFFFF:
        high, low = divmod(code - 0x10000, 0x400)
        return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
    return f"\\u{code:04x}"
