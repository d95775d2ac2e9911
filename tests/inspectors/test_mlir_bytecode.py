"""MLIR: the targets of custom calls are read from bytecode and text; what cannot be told is said."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from fixtures.make_mlir_bytecode import bytecode, number, section
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import mlir_bytecode as inspector
from supplyguard.wire import mlir_sections
from supplyguard.wire.cursor import Cursor
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

ROOT = Path(__file__).parents[2] / "fixtures"
FIXTURES = ROOT / "mlir_bytecode"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
START = b"ML\xefR\x0decho\0"


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert [each.rule.id for each in findings(part)] == [each["rule"] for each in EXPECTED[name]]
    assert gaps(part) == []


def test_cut_and_changed_files_are_survived() -> None:
    for seed, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 150), *mutations(data, 60, seed)]:
            survives(inspector, piece, name)


def test_the_targets_of_a_real_export_are_read() -> None:
    data = (ROOT / "honest" / "jax_export" / "decomposed.mlirbc").read_bytes()
    targets = {each.facts["target"] for each in yielded(inspector, data) if isinstance(each, Evidence)}
    assert {"lapack_sgeqrf_ffi", "lapack_sorgqr_ffi", "lapack_spotrf_ffi"} <= targets


@pytest.mark.parametrize(
    "value", [0, 1, 127, 128, 16_383, 16_384, 1 << 40, (1 << 56) - 1, 1 << 56, (1 << 64) - 1]
)
def test_numbers(value: int) -> None:
    data = number(value)
    assert mlir_sections.number(Cursor(io.BytesIO(data), 0, len(data))) == value


@pytest.mark.parametrize("target", ["custom_run", "lapack_run", "cu_run", "xla", "echo$Qr", "Qr2"])
def test_names_that_look_like_known_ones_are_not_known(target: str) -> None:
    (found,) = yielded(inspector, bytecode(target))
    assert isinstance(found, Evidence)
    assert found.facts == {"target": target, "standing": "other"}


def test_targets_that_cannot_be_told_are_said_to_be_unread() -> None:
    (found,) = yielded(inspector, bytecode(""))
    assert isinstance(found, Notification)
    assert found.incomplete


@pytest.mark.parametrize(
    "data",
    [
        START,
        b"ML\xefR\x0d" + b"a" * 300,
        START + b"\x00\xff",
        START + section(77, b""),
        START + b"\x84\x01\x01",
        START + section(0, number(1 << 40)) + section(1, b"\1") + section(2, b"") + section(3, b"\1\1"),
        START + section(0, b"\1") + section(1, b"\3\1") + section(2, b"") + section(3, b"\1\1"),
    ],
)
def test_nonsense_ends_at_once(data: bytes) -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, data))


def test_a_large_text_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "LARGEST_TEXT", 8)
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, b"module @a {}", "a.mlir"))


def test_recognised_by_magic_or_name() -> None:
    assert inspector.recognizes(probe(START, "a"))
    assert inspector.recognizes(probe(b"module {}", "a.mlir"))
    assert not inspector.recognizes(probe(b"module {}", "a.txt"))


def test_many_known_targets_do_not_hide_another() -> None:
    data = "".join(f"custom_call @lapack_s{number}\n" for number in range(20_000)) + "custom_call @echo_run\n"
    found = list(yielded(inspector, data.encode(), "a.mlir"))
    others = [each for each in found if isinstance(each, Evidence) and each.facts["standing"] == "other"]
    assert [(each.facts["target"], each.location.line) for each in others] == [("echo_run", 20_001)]
