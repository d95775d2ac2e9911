"""Every registered inspector survives hostile files: honest ones cut at every byte, and changed at random.

`python bench/mutations.py` does the same with 10,000 changed copies a format.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from supplyguard.inspectors import INSPECTORS, Inspector
from tests.examined import probe
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"
LARGEST = 64 * 1024
CUTS = 400
MUTATIONS = 150


def samples(inspector: Inspector) -> list[tuple[str, bytes]]:
    """Give small fixtures, or members of zipped ones, that the inspector recognises; honest ones first."""
    files = [
        path for group in ("benign", "malicious") for path in smallest(FIXTURES / inspector.FORMAT / group)
    ]
    pairs = [(path.name, path.read_bytes()) for path in files]
    found = [pair for pair in pairs if inspector.recognizes(probe(pair[1], pair[0]))]
    inside = [] if found else [pair for path in files for pair in members(path)]
    return found or [(name, data) for name, data in inside if inspector.recognizes(probe(data, name))]


def smallest(folder: Path) -> list[Path]:
    """Give the files that are not large, by size."""
    files = [path for path in folder.rglob("*") if path.is_file() and 0 < path.stat().st_size <= LARGEST]
    return sorted(files, key=lambda path: (path.stat().st_size, path))


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Give what is in a zip, if it is an ordinary one."""
    if path.suffix in {".zip", ".mar"} and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for each in archive.infolist():
                if not each.flag_bits & 1 and each.file_size:
                    yield each.filename, archive.read(each)


@pytest.mark.heavy
@pytest.mark.parametrize("inspector", [pytest.param(each, id=each.FORMAT) for each in INSPECTORS])
def test_cut_and_changed_files_are_survived(inspector: Inspector) -> None:
    found = samples(inspector)
    assert found, "a fixture that the inspector recognises"
    for name, data in (found[0], found[len(found) // 2]):
        for hostile in (*cuts(data, CUTS), *mutations(data, MUTATIONS)):
            survives(inspector, hostile, name)
