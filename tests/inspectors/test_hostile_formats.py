"""Every registered inspector survives hostile files: honest ones cut at every byte, and changed at random.

`python bench/mutations.py` does the same with 10,000 changed copies a format.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from supplyguard.inspectors import INSPECTORS, Inspector
from tests.examined import probe
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"
LARGEST = 64 * 1024
CUTS = 400
MUTATIONS = 150


def samples(inspector: Inspector) -> list[Path]:
    """Give small fixture files that the inspector recognises, honest ones first."""
    folder = FIXTURES / inspector.FORMAT
    found = []
    for group in ("benign", "malicious"):
        for path in sorted(
            (folder / group).rglob("*"), key=lambda path: (path.is_file() and path.stat().st_size, path)
        ):
            if path.is_file() and 0 < path.stat().st_size <= LARGEST:
                data = path.read_bytes()
                if inspector.recognizes(probe(data, path.name)):
                    found.append(path)
    return found


@pytest.mark.heavy
@pytest.mark.parametrize("inspector", [pytest.param(each, id=each.FORMAT) for each in INSPECTORS])
def test_cut_and_changed_files_are_survived(inspector: Inspector) -> None:
    files = samples(inspector)
    assert files, "a fixture that the inspector recognises"
    for path in (files[0], files[len(files) // 2]):
        data = path.read_bytes()
        for hostile in (*cuts(data, CUTS), *mutations(data, MUTATIONS)):
            survives(inspector, hostile, path.name)
