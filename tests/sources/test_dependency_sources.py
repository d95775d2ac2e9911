"""The table of docs/dependencies.md: each cell is backed by a test, and the page is what the table says."""

from __future__ import annotations

import importlib
import importlib.util
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.pylock import Pylock

from supplyguard.inventory import Artifact, Dependency, DependencyKind
from supplyguard.limits import Budget
from supplyguard.sources import SOURCES, claiming
from supplyguard.sources.drift import compare, mark_direct

ROOT = Path(__file__).parent.parent.parent
FIXTURES = ROOT / "fixtures"
ROWS: list[dict[str, Any]] = json.loads(
    (ROOT / "tests" / "data" / "dependency_sources.json").read_text(encoding="utf-8")
)


def collected(path: Path, uri: str) -> list[Dependency]:
    artifact = Artifact(uri=uri, path=path, size=path.stat().st_size, root=path.parent)
    found: list[Dependency] = []
    for source in claiming(SOURCES, path):
        found += (item for item in source.collect(artifact, Budget()) if isinstance(item, Dependency))
    return found


def file_of(row: dict[str, Any], tmp_path: Path) -> Path:
    if "fixture" in row:
        return FIXTURES / row["fixture"]  # type: ignore[no-any-return]
    path: Path = tmp_path / row["name"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(row["text"], encoding="utf-8")
    return path


def cells(column: str) -> list[Any]:
    return [pytest.param(row, id=row["source"]) for row in ROWS if column in row]


def named(row: dict[str, Any], column: str, tmp_path: Path) -> list[Dependency]:
    path = file_of(row, tmp_path)
    found = [each for each in collected(path, path.name) if each.name == row[column][0]]
    assert found
    return found


@pytest.mark.parametrize("row", cells("read"))
def test_read(row: dict[str, Any], tmp_path: Path) -> None:
    found = named(row, "read", tmp_path)
    assert {each.version for each in found} == {row["read"][1]}
    assert row["module"] in {each.NAME for each in claiming(SOURCES, file_of(row, tmp_path))}


@pytest.mark.parametrize("row", cells("lines"))
def test_lines(row: dict[str, Any], tmp_path: Path) -> None:
    place = named(row, "lines", tmp_path)[0].location
    assert [place.line, place.column] == row["lines"][1:]


@pytest.mark.parametrize("row", [pytest.param(row, id=row["source"]) for row in ROWS])
def test_every_place_is_that_of_the_name(row: dict[str, Any], tmp_path: Path) -> None:
    path = file_of(row, tmp_path)
    for each in collected(path, path.name):
        place = each.location
        assert place.line is not None
        assert place.column is not None
        if place.member:
            if path.suffix != ".whl":
                continue  # the sdist has the same text; the wheel shows its places
            text = zipfile.ZipFile(path).read(place.member[0]).decode()
        else:
            text = path.read_text(encoding="utf-8")
        line = text.splitlines()[place.line - 1]
        assert line[place.column - 1 :].startswith(each.raw_name), (each.raw_name, line)


@pytest.mark.parametrize("row", cells("markers"))
def test_markers(row: dict[str, Any], tmp_path: Path) -> None:
    assert {each.marker for each in named(row, "markers", tmp_path)} == {row["markers"][1]}


@pytest.mark.parametrize("row", cells("hashes"))
def test_hashes(row: dict[str, Any], tmp_path: Path) -> None:
    for each in named(row, "hashes", tmp_path):
        assert len(each.hashes) == row["hashes"][1]
        assert all(len(text.partition(":")[2]) in {32, 64} for text in each.hashes)


@pytest.mark.parametrize("row", cells("extras"))
def test_extras(row: dict[str, Any], tmp_path: Path) -> None:
    assert tuple(row["extras"][1]) in {each.extras for each in named(row, "extras", tmp_path)}


@pytest.mark.parametrize("row", cells("groups"))
def test_groups(row: dict[str, Any], tmp_path: Path) -> None:
    assert {each.group for each in named(row, "groups", tmp_path)} == {row["groups"][1]}


@pytest.mark.parametrize("row", cells("drift"))
def test_drift(row: dict[str, Any]) -> None:
    """What the tool wrote agrees; a declaration that no version satisfies does not."""
    pair = [FIXTURES / row["fixture"], FIXTURES / row["drift"]]
    found = mark_direct([each for path in pair for each in collected(path, f"x/{path.name}")])
    assert list(compare(found)) == []
    declared = [each for each in found if each.kind is DependencyKind.REQUIREMENT and each.group is None]
    locked = {each.name: each for each in found if each.kind is DependencyKind.LOCKED}
    changed = next(each for each in declared if each.name in locked and locked[each.name].version)
    assert locked[changed.name].direct
    others = [each for each in found if each is not changed]
    (drift,) = compare([*others, replace(changed, specifier="<0.0.1")])
    assert (drift.kind, drift.facts["reason"], drift.facts["name"]) == ("lock-drift", "version", changed.name)
    assert drift.location == changed.location
    places = {each.location for each in found if each.name == changed.name and each is not changed}
    assert drift.related[0] in places  # a lock may name a package once more with its extras


@pytest.mark.parametrize("name", ["uv", "pip"])
def test_pylock_as_packaging_reads_it(name: str) -> None:
    """A second opinion on PEP 751."""
    path = FIXTURES / "locks" / name / "pylock.toml"
    tomllib = importlib.import_module("tomllib")
    other = Pylock.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
    ours = collected(path, path.name)
    assert [(each.name, each.version) for each in ours] == [
        (str(package.name), str(package.version)) for package in other.packages
    ]
    assert [each.marker is None for each in ours] == [package.marker is None for package in other.packages]
    digests = [
        {f"{kind}:{value}" for file in files for kind, value in file.hashes.items()}  # type: ignore[attr-defined]
        for files in ([*(package.wheels or ()), *filter(None, [package.sdist])] for package in other.packages)
    ]
    assert [set(each.hashes) for each in ours] == digests


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "dependency_sources", ROOT / "docs" / "dependency_sources.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_generator_writes() -> None:
    module = generator()
    text = module.PAGE.read_text(encoding="utf-8")
    assert module.page(text) == text
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert set(module.COLUMNS) <= tested


def test_every_source_has_a_row() -> None:
    rows = {row["module"] for row in ROWS}
    readers = {source.NAME for source in SOURCES if source.ASPECT == "dependencies"}
    assert readers <= rows
