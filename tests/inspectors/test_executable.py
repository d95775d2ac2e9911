"""Programs under models' names are named; llamafiles are looked into."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_executable import ELF, FAT, JAVA, MACH_O, PE, STUB, llamafile
from supplyguard.finding import Evidence
from supplyguard.inspectors import executable
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "executable"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    found = {each.rule.id for each in findings(part)}
    assert {each["rule"] for each in EXPECTED[name]} <= found
    assert EXPECTED[name] or not found
    assert not gaps(part)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (ELF, "ELF"),
        (PE, "PE"),
        (MACH_O, "Mach-O"),
        (FAT, "Mach-O"),
        (STUB, "APE"),
        (JAVA, None),
        (b"MZ", None),
        (b"\x7fELF\x09\x01", None),
        (b"\xcf\xfa\xed\xfe", None),
        (b"text", None),
    ],
)
def test_kinds(data: bytes, kind: str | None) -> None:
    assert executable.program_of(data) == kind
    assert executable.recognizes(probe(data, "x.bin")) is (kind is not None)


def test_usual_arguments_are_silent() -> None:
    assert list(yielded(executable, b"-m\nmodel.gguf\n--host=127.0.0.1\n...\n", ".args")) == []
    odd = [
        each.facts["what"]
        for each in yielded(executable, b"--host=0.0.0.0\n--odd", ".args")
        if isinstance(each, Evidence)
    ]
    assert odd == ["opens the server to other machines", "is not among the usual arguments"]


def test_a_plain_elf_llamafile_name_needs_a_zip() -> None:
    (only,) = yielded(executable, ELF, "x.llamafile")
    assert isinstance(only, Evidence)
    assert only.facts["role"] == "program"


def test_cut_and_changed_files_are_survived() -> None:
    data = llamafile(b"-m\nmodel.gguf\n")
    for piece in [*cuts(data, 300), *mutations(data, 300)]:
        survives(executable, piece, "x.llamafile")
