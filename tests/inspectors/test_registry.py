"""The registry: every inspector is in it, and a first look never says no where the inspector says yes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from supplyguard.examine import examine
from supplyguard.examine import probe_of as real_probe_of
from supplyguard.inspectors import INSPECTORS, Inspector
from supplyguard.inspectors.on_demand import OnDemand, begins, either, holds, named
from supplyguard.inventory import Artifact, Member, Probe
from supplyguard.limits import Limits

ROOT = Path(__file__).parent.parent.parent
FIXTURES = ROOT / "fixtures"


def modules() -> Iterator[str]:
    for path in sorted((ROOT / "supplyguard" / "inspectors").glob("*.py")):
        if "\ndef recognizes(" in path.read_text(encoding="utf-8"):
            yield path.stem


def test_every_inspector_is_registered_once() -> None:
    assert sorted(each.FORMAT for each in INSPECTORS) == sorted(modules())


@pytest.mark.parametrize("stem", list(modules()))
def test_every_inspector_keeps_the_contract(stem: str) -> None:
    module = import_module(f"supplyguard.inspectors.{stem}")
    assert stem == module.FORMAT
    assert callable(module.inspect)
    assert (ROOT / "rules" / f"{stem}.yaml").is_file()
    assert (ROOT / "fixtures" / f"make_{stem}.py").is_file()
    assert (ROOT / "tests" / "inspectors" / f"test_{stem}.py").is_file()


def probes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Probe]:
    """Yield what inspectors are shown of every fixture and of every member in one."""
    seen: list[Probe] = []

    def recording(member: Member) -> Probe:
        probe = real_probe_of(member)
        seen.append(probe)
        return probe

    monkeypatch.setattr("supplyguard.examine.probe_of", recording)
    for folder in sorted(path for path in FIXTURES.iterdir() if path.is_dir()):
        for path in sorted(path for path in folder.rglob("*") if path.is_file())[::3]:
            examine(Artifact(uri=path.name, path=path, size=path.stat().st_size), Limits())
            yield from seen
            seen.clear()


@pytest.mark.heavy
def test_first_looks_miss_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: list[tuple[OnDemand, Inspector]] = [
        (each, each.module) for each in INSPECTORS if isinstance(each, OnDemand)
    ]
    recognised = set()
    for probe in probes(monkeypatch):
        for entry, module in pairs:
            if module.recognizes(probe):
                assert entry.recognizes(probe), f"{entry.FORMAT}: {probe.name}"
                recognised.add(entry.FORMAT)
    assert recognised == {entry.FORMAT for entry, _ in pairs}


def test_looks() -> None:
    probe = Probe(head=b"abcdef", tail=b"abcdef", name="Model.BIN", size=6)
    assert begins(b"x", b"ab")(probe)
    assert begins(b"cd", at=2)(probe)
    assert named(".bin")(probe)
    assert holds(b"de")(probe)
    assert not holds(b"ef", within=3)(probe)
    assert either(named(".no"), begins(b"a"))(probe)
    assert not either(named(".no"), begins(b"b"))(probe)
