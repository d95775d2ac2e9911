"""One artifact in depth: what an auditor sees, and that hostile text stays text."""

from __future__ import annotations

from pathlib import Path

import pytest

from supplyguard import dissect as module
from supplyguard.dissect import dissect
from supplyguard.errors import UsageError
from supplyguard.limits import Limits
from supplyguard.rules import load_catalogue

DEMO = Path(__file__).parent.parent / "fixtures" / "demo_project" / "models"


def shown(path: Path, limits: Limits | None = None) -> str:
    return "\n".join(dissect(path, path.name, load_catalogue(), limits))


def test_a_checkpoint_is_shown_member_by_member() -> None:
    text = shown(DEMO / "community_finetune.pt")
    assert "zip_archive, torch_zip" in text
    assert "community_finetune/data.pkl  pickle_stream" in text
    assert "CRITICAL pickle-executes-code @429" in text
    assert "import @370 posix.system  process" in text
    assert "call   @429 REDUCE posix.system('echo this-would-have-been-your-machine')" in text
    assert "from posix import system" in text, "fickling's pseudo-source"
    assert "2 members of raw data" in text


def test_an_honest_file_is_not_decompiled() -> None:
    text = shown(DEMO / "head.pt")
    assert "import @" in text
    assert "pseudo-source" not in text


def test_what_was_not_examined_is_said(tmp_path: Path) -> None:
    path = tmp_path / "cut.pkl"
    path.write_bytes(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01")
    text = shown(path)
    assert "Not examined" in text


def test_what_fickling_cannot_do_is_said(tmp_path: Path) -> None:
    path = tmp_path / "cut.pkl"
    path.write_bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R")
    text = shown(path)
    assert "CRITICAL" in text
    assert "cannot decompile" in text


def test_hostile_names_are_harmless(tmp_path: Path) -> None:
    path = tmp_path / "evil\x1b[2J.pkl"
    path.write_bytes(b"\x80\x02cos\nsys\x1b[2Jtem\nX\x05\x00\x00\x00\x1b[31m\x85R.")
    assert "\x1b" not in shown(path)


def test_calls_are_cut_and_the_cut_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CALLS", 1)
    assert "and 5 more calls" in shown(DEMO / "community_finetune.pt")


def test_a_spent_budget_is_said() -> None:
    assert "limit reached" in shown(DEMO / "community_finetune.pt", Limits(actions=1))


def test_only_a_file() -> None:
    with pytest.raises(UsageError):
        shown(DEMO)
