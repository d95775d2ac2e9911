"""The one place that catches every exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def attempt(call: Callable[[], T]) -> T | Exception:
    """Give what `call` returns, or the exception that it raised."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the one boundary: a hostile file must not end a scan
        return error
