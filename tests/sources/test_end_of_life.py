"""What is past its support on a day: which Pythons sources ask for, and what the day makes of it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.finding import Evidence
from supplyguard.inventory import Dependency, Location
from supplyguard.rules import load_catalogue
from supplyguard.scan import ScanOptions, scan
from supplyguard.sources import ASKED, Source, command_lines, conda, pipenv, pyproject, setup_cfg
from supplyguard.sources.end_of_life import asked, asked_exactly, ended, ended_packages
from tests.sources.conftest import Collect

HERE = Location(uri="x", line=1, column=1)
DAY = date(2026, 11, 28)
TABLE = json.loads((Path(__file__).parents[2] / "rules" / "formats" / "end_of_life.json").read_bytes())


def judged(specifier: str, today: date = DAY) -> tuple[object, object] | None:
    found = list(ended([asked(specifier, HERE)], today))
    return (found[0].facts["version"], found[0].facts["reach"]) if found else None


@pytest.mark.parametrize(
    ("specifier", "expected"),
    [
        ("==3.8.*", ("3.8", "all")),
        ("==3.8.10", ("3.8", "all")),
        ("==3.8", ("3.8", "all")),
        ("<3.9", ("3.8", "all")),
        (">=3.6,<3.11", ("3.10", "all")),
        (">=3.6.1,<3.12", ("3.6", "some")),
        (">=3.10.4", ("3.10", "some")),
        (">=3.8,<4", ("3.8", "some")),
        (">3.10.99", None),
        (">=3.11", None),
        ("==3.14.*", None),
        ("==3.77.*", None),
        ("", None),
        ("not one", None),
        (">=3.8," * 100, None),
    ],
)
def test_specifiers(specifier: str, expected: tuple[str, str] | None) -> None:
    assert judged(specifier) == expected


def test_the_last_day_is_a_day_of_support() -> None:
    assert judged("==3.10.*", date(2026, 10, 31)) is None
    assert judged("==3.10.*", date(2026, 11, 1)) == ("3.10", "all")


def test_dates_are_dates_and_in_order() -> None:
    days = [date.fromisoformat(text) for version, text in TABLE["python"].items() if version != "2.7"]
    assert days == sorted(days)
    assert all(date.fromisoformat(row["ended"]) and row["said"] for row in TABLE["packages"].values())


def test_other_evidence_passes() -> None:
    other = Evidence(kind="other", location=HERE)
    assert list(ended([other], DAY)) == [other]


@pytest.mark.parametrize("version", ["3.x", "latest", "3", "", "python3.8"])
def test_what_is_no_version_asks_for_nothing(version: str) -> None:
    assert list(asked_exactly(version, HERE)) == []


@given(st.text(max_size=40), st.dates())
@settings(max_examples=100, deadline=None)
def test_any_text_is_answered(text: str, today: date) -> None:
    assert len(list(ended([asked(text, HERE), *asked_exactly(text, HERE)], today))) <= 2


@pytest.mark.parametrize(
    ("source", "name", "text", "place"),
    [
        (pyproject, "pyproject.toml", '[project]\nname = "x"\nrequires-python = ">=3.8"\n', "3:20"),
        (pyproject, "pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.8"\n', "2:11"),
        (pipenv, "Pipfile", '[requires]\npython_version = "3.8"\n', "2:19"),
        (pipenv, "Pipfile", '[requires]\npython_full_version = "3.8.1"\n', "2:24"),
        (setup_cfg, "setup.cfg", "[options]\npython_requires = >=3.8\n", "2:19"),
        (conda, "environment.yml", "dependencies:\n  - python=3.8\n", "2:5"),
        (conda, "python_env.yaml", "python: 3.8.10\ndependencies:\n  - numpy==1.24.4\n", "1:9"),
        (command_lines, "Dockerfile", "FROM --platform=x docker.io/library/python:3.8-slim AS a\n", "1:19"),
    ],
)
def test_who_asks(collect: Collect, source: Source, name: str, text: str, place: str) -> None:
    (found,) = (
        each for each in collect(source, name, text) if isinstance(each, Evidence) and each.kind == ASKED
    )
    assert str(found.location) == f"{name}:{place}"
    ((told),) = ended([found], DAY)
    assert told.facts["version"] == "3.8"


@pytest.mark.parametrize(
    "image", ["python", "python:3", "python:latest", "python@sha256:00", "my/python:3.8"]
)
def test_images_of_no_known_version(collect: Collect, image: str) -> None:
    assert collect(command_lines, "Dockerfile", f"FROM {image}\n") == []


def dependency(name: str, version: str | None, **fields: Any) -> Dependency:
    return Dependency(name=name, raw_name=name, version=version, location=HERE, **fields)


@pytest.mark.parametrize(
    ("name", "version", "told"),
    [
        ("tensorflow", "1.15.5", True),
        ("tensorflow", "2.0.0rc1", False),
        ("tensorflow", None, False),
        ("tensorflow", "odd one", False),
        ("mxnet", None, True),
        ("numpy", "1.0", False),
    ],
)
def test_packages(name: str, version: str | None, told: bool) -> None:
    found = list(ended_packages([dependency(name, version)] * 2, DAY))
    assert len(found) == int(told)
    assert list(ended_packages([dependency(name, version)], date(2017, 1, 1))) == []


def test_the_day_is_that_of_the_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM python:2.7\nRUN pip install mxnet==1.9.1\n")
    report = scan([tmp_path], ScanOptions(catalogue=load_catalogue()))
    assert [each.rule.id for each in report.findings] == ["python-end-of-life", "package-end-of-life"]
    assert report.notifications == ()
