"""Decompilation is for reading only: bounded, in a child process, and honest when it fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from supplyguard import decompile as module
from supplyguard.decompile import decompile
from supplyguard.errors import UnsupportedError

MALICIOUS = b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03."


def test_it_shows_the_call() -> None:
    assert "system('true')" in decompile(MALICIOUS)


def test_nothing_runs(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    command = f"touch {marker}".encode()
    decompile(b"cposix\nsystem\n(S'" + command + b"'\ntR.")
    assert not marker.exists()


@pytest.mark.parametrize("program", [b"", b"\x80\x02cposix", b"\xff" * 100])
def test_what_cannot_be_decompiled_is_said(program: bytes) -> None:
    with pytest.raises(UnsupportedError, match="cannot decompile"):
        decompile(program)


def test_size_time_and_output_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedError, match="too large"):
        decompile(bytes(module.MOST_INPUT + 1))
    monkeypatch.setattr(module, "MOST_OUTPUT", 10)
    assert "cut at" in decompile(MALICIOUS)

    def slow(*_arguments: object, **_more: object) -> None:
        raise subprocess.TimeoutExpired("child", 1)

    monkeypatch.setattr(subprocess, "run", slow)
    with pytest.raises(UnsupportedError, match="seconds"):
        decompile(MALICIOUS)
