"""Beginnings of tensors: programs whose second mark is far are found, and work has an end."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

import pytest

from supplyguard.archives import tensor_starts
from supplyguard.limits import Budget


def test_a_windows_program_is_found() -> None:
    data = bytes(16) + b"MZ" + bytes(1000) + b"PE\0\0" + bytes(64)
    stream = cast("BinaryIO", io.BytesIO(data))
    places = [("a", 0, 16), ("b", 16, len(data)), ("c", 20, 20)]
    found = list(tensor_starts.embedded_tensors(stream, places, Budget()))
    assert found == [(places[1], "a Windows executable")]


def test_many_tensors_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_starts, "LOOKED_AT", 2)
    stream = cast("BinaryIO", io.BytesIO(b"#!/bin/sh"))
    places = [("a", 0, 9)] * 5
    assert len(list(tensor_starts.embedded_tensors(stream, places, Budget()))) == 2
