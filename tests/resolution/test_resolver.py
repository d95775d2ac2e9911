"""Resolution with the real uv against a local index, and what is said where it cannot be done."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from supplyguard.errors import UnsupportedError
from supplyguard.finding import Notification
from supplyguard.inventory import Dependency, DependencyKind, Location
from supplyguard.resolution import Terms, When, program
from supplyguard.resolution.resolver import Resolution, resolve
from supplyguard.resources import cache_folder
from tests.resolution.package_index import Packages, serving

needs_uv = pytest.mark.skipif(program.find_program(()) is None, reason="uv is not installed")


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    found = Packages(marker=tmp_path / "marker")
    found.wheel("alpha", "1.0", ["beta>=1", "gamma"])
    found.wheel("beta", "1.0")
    found.wheel("beta", "2.0", ["delta"])
    found.wheel("delta", "1.0")
    found.wheel("gamma", "1.0")
    return found


@pytest.fixture
def index(packages: Packages) -> Iterator[str]:
    with serving(packages) as url:
        yield url
    assert not packages.marker.exists()


def said(text: str, uri: str = "requirements.txt", line: int = 1, **more: object) -> Dependency:
    requirement = Requirement(text)
    version = str(requirement.specifier).removeprefix("==")
    values: dict[str, object] = {
        "name": requirement.name,
        "raw_name": requirement.name,
        "location": Location(uri=uri, line=line, column=1),
        "specifier": str(requirement.specifier),
        "version": version if str(requirement.specifier).startswith("==") else None,
        "extras": tuple(sorted(requirement.extras)),
        "marker": str(requirement.marker) if requirement.marker else None,
        "url": requirement.url,
        **more,
    }
    return Dependency(**values)  # type: ignore[arg-type]


def run(*dependencies: Dependency, index: str, **more: object) -> Resolution:
    values: dict[str, object] = {
        "when": When.AUTO,
        "cache": cache_folder() / "uv",
        "progress": lambda _text: None,
        "index": index,
        **more,
    }
    return resolve(dependencies, Terms(**values))  # type: ignore[arg-type]


def versions(resolution: Resolution) -> dict[str, str | None]:
    return {each.name: each.version for each in resolution.dependencies}


def notes(resolution: Resolution, code: str) -> list[Notification]:
    return [each for each in resolution.notifications if each.code == code]


@needs_uv
class TestSolved:
    def test_open_versions_and_what_comes_along(self, index: str) -> None:
        got = run(said("alpha"), index=index)
        assert versions(got) == {"alpha": "1.0", "beta": "2.0", "delta": "1.0", "gamma": "1.0"}
        alpha, beta, delta = got.dependencies[0], got.dependencies[1], got.dependencies[3]
        assert (alpha.direct, alpha.kind, alpha.via) == (True, DependencyKind.RESOLVED, ())
        assert (beta.direct, beta.via, beta.location) == (False, ("alpha",), alpha.location)
        assert (delta.name, delta.via) == ("delta", ("alpha", "beta"))
        assert [each.code for each in got.notifications] == ["resolved"]

    def test_constraints_beside_it_count(self, index: str) -> None:
        constraint = said("beta<2", uri="constraints.txt", kind=DependencyKind.CONSTRAINT)
        got = run(constraint, said("alpha"), index=index)
        assert [each.version for each in got.dependencies if each.name == "beta"] == [None, "1.0"]

    def test_constraints_without_solution_are_left_out(self, index: str) -> None:
        constraint = said("beta<1", uri="constraints.txt", kind=DependencyKind.CONSTRAINT)
        got = run(said("alpha"), constraint, index=index)
        assert "without the constraints" in notes(got, "not-resolved")[0].message

    def test_groups_that_exclude_each_other_are_resolved_apart(self, index: str) -> None:
        old, new = said("beta<2", group="old"), said("beta>=2", line=2, group="new")
        got = run(said("gamma", line=3), old, new, index=index)
        assert {each.version for each in got.dependencies if each.name == "beta"} == {"1.0", "2.0"}

    def test_locks_and_pins_need_none(self, index: str) -> None:
        locked = said("alpha==1.0", uri="uv.lock", kind=DependencyKind.LOCKED)
        assert run(said("alpha", uri="pyproject.toml"), locked, index=index).notifications == ()
        assert run(said("alpha==1.0"), index=index).notifications == ()
        got = run(said("alpha==1.0"), index=index, when=When.ALWAYS)
        assert versions(got)["delta"] == "1.0"
        assert got.dependencies[0].kind is DependencyKind.REQUIREMENT

    def test_another_python_and_platform(self, index: str) -> None:
        on_windows = said("alpha; sys_platform == 'win32' and python_version < '3.11'")
        assert "beta" not in versions(run(on_windows, index=index))
        got = run(on_windows, index=index, python_version="3.10", python_platform="windows")
        assert versions(got)["beta"] == "2.0"

    def test_no_solution_is_said(self, index: str) -> None:
        got = run(said("absent"), said("alpha", uri="b/requirements.txt"), index=index)
        assert versions(got)["absent"] is None
        assert versions(got)["alpha"] == "1.0"
        (note,) = notes(got, "not-resolved")
        assert note.incomplete
        assert "absent" in note.message

    def test_an_address_is_not_handed_on(self, index: str) -> None:
        got = run(said("evil @ git+https://127.0.0.1/x"), said("gamma", line=2), index=index)
        assert versions(got) == {"evil": None, "gamma": "1.0"}
        assert "from an address" in notes(got, "not-resolved")[0].message


@needs_uv
class TestSourcesOnly:
    def test_a_newer_release_without_wheels_is_not_passed_over(self, packages: Packages, index: str) -> None:
        packages.source("gamma", "3.0", ["delta", "x @ https://127.0.0.1/x.whl", "-e .", "beta\n-e ."])
        got = run(said("alpha"), index=index)
        assert versions(got)["gamma"] == "3.0"
        assert "has no wheel" in notes(got, "resolved-unbuilt")[0].message

    def test_a_package_that_has_no_wheel_at_all(self, packages: Packages, index: str) -> None:
        packages.source("only", "1.0", ["beta<2"])
        got = run(said("only"), index=index)
        assert versions(got) == {"only": "1.0", "beta": "1.0"}

    def test_what_it_needs_may_not_be_stated(self, packages: Packages, index: str) -> None:
        packages.source("only", "1.0", None)
        got = run(said("only"), index=index)
        assert "not stated" in notes(got, "resolved-unbuilt")[0].message

    def test_an_index_without_records(self, packages: Packages, index: str) -> None:
        packages.records = False
        packages.source("gamma", "3.0")
        packages.source("only", "1.0")
        (note,) = notes(run(said("gamma"), index=index), "resolved-older")
        assert note.incomplete
        assert "gamma 1.0 was taken, though 3.0" in note.message
        assert notes(run(said("only"), index=index), "not-resolved")[0].incomplete

    def test_what_is_for_another_python_is_no_backtracking(self, packages: Packages, index: str) -> None:
        packages.records = False
        packages.source("gamma", "3.0", python=">=3.99")
        packages.wheel("gamma", "3.0", python=">=3.99")
        packages.wheel("gamma", "2.5", tag="py3-none-win_arm64")
        packages.source("beta", "2.0")
        got = run(said("alpha"), index=index)
        assert versions(got)["gamma"] == "1.0"
        assert [each.code for each in got.notifications] == ["resolved"]

    def test_wheels_for_other_platforms_are_none(self, packages: Packages, index: str) -> None:
        packages.wheel("gamma", "2.5", tag="py3-none-win_arm64")
        packages.source("gamma", "2.5", ["delta"])
        got = run(said("gamma"), index=index)
        assert versions(got) == {"gamma": "2.5", "delta": "1.0"}

    def test_what_holds_a_package_back_may_be_what_it_needs(self, packages: Packages, index: str) -> None:
        packages.wheel("hydra", "0.1")
        packages.wheel("hydra", "1.3", ["antlr==4.9.*"])
        packages.source("antlr", "4.9.3", ["delta"])
        packages.wheel("antlr", "4.13")
        assert versions(run(said("hydra"), index=index)) == {"hydra": "1.3", "antlr": "4.9.3", "delta": "1.0"}
        packages.records = False
        got = run(said("hydra"), index=index)
        assert versions(got) == {"hydra": "0.1"}
        (note,) = notes(got, "resolved-older")
        assert note.incomplete
        assert "hydra 0.1 was taken, though 1.3 would be newer" in note.message
        assert "antlr has no wheel" in note.message

    def test_a_constraint_still_counts(self, packages: Packages, index: str) -> None:
        packages.source("gamma", "3.0")
        got = run(said("alpha"), said("gamma<3", line=2), index=index)
        assert versions(got)["gamma"] == "1.0"

    def test_an_answer_is_kept_when_the_time_for_more_is_over(
        self, packages: Packages, index: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        packages.source("gamma", "3.0")
        ask = program.Program.ask

        def once(self: program.Program, question: program.Question, *more: object) -> program.Answer:
            if question.wheels:
                raise UnsupportedError("the time for resolving is over")
            return ask(self, question, *more)  # type: ignore[arg-type]

        monkeypatch.setattr(program.Program, "ask", once)
        got = run(said("alpha"), index=index)
        assert versions(got)["gamma"] == "1.0"
        assert "time for resolving is over" in notes(got, "resolved-unchecked")[0].message


class TestNotTried:
    def test_offline(self) -> None:
        got = run(said("alpha"), index="https://127.0.0.1/simple", offline=True)
        (note,) = got.notifications
        assert note.message.startswith("1 declared dependency not resolved: offline")
        assert not note.incomplete

    def test_never(self) -> None:
        assert run(said("alpha"), index="", when=When.NEVER).notifications == ()

    def test_no_uv(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("supplyguard.resolution.resolver.find_program", lambda _forbidden: None)
        (note,) = run(said("alpha"), index="https://127.0.0.1/simple", when=When.ALWAYS).notifications
        assert "no uv was found" in note.message
        assert note.incomplete

    @needs_uv
    def test_an_index_that_may_not_be_asked(self) -> None:
        (note,) = run(said("alpha"), index="http://example.test/simple").notifications
        assert "not encrypted" in note.message

    @pytest.mark.skipif(os.name == "nt", reason="a shell script")
    def test_a_uv_that_hangs_is_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        slow = tmp_path / "uv"
        slow.write_text("#!/bin/sh\n/bin/sleep 60\n")
        slow.chmod(0o755)
        monkeypatch.setattr("supplyguard.resolution.resolver.find_program", lambda _forbidden: slow)
        told: list[str] = []
        started = time.monotonic()
        got = run(said("alpha"), index="https://127.0.0.1/simple", seconds=1, progress=told.append)
        assert time.monotonic() - started < 10
        assert "time for resolving is over" in got.notifications[0].message
        assert told[0].startswith("resolving requirements.txt")
