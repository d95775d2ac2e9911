"""From what is declared to what an install would take: which files, one uv at a time, and what to say."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from supplyguard import fetch
from supplyguard.errors import FetchError, UnsupportedError
from supplyguard.finding import Level, Notification
from supplyguard.inventory import Dependency, DependencyKind, Location
from supplyguard.resolution import INDEX, Terms, When
from supplyguard.resolution.answers import Package, read_answer, reason_of, resolved, wheelless
from supplyguard.resolution.index import Index, Target, check_index
from supplyguard.resolution.program import Answer, Program, Question, find_program
from supplyguard.resolution.sources_only import SourcesOnly
from supplyguard.resolution.units import Unit, settled_names, units_of

ROUNDS: Final = 5
"""How often uv is asked again because stub wheels were added."""
NAMES: Final = 5
CODE: Final = "not-resolved"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """All dependencies, those that were open with the version that an install would take."""

    dependencies: tuple[Dependency, ...]
    notifications: tuple[Notification, ...] = ()


def resolve(dependencies: Sequence[Dependency], terms: Terms) -> Resolution:
    """Resolve what is open, as far as the terms allow; never raises for what a project holds."""
    unchanged = tuple(dependencies)
    units = units_of(dependencies, terms.when) if terms.when is not When.NEVER else ()
    if not units:
        return Resolution(dependencies=unchanged)
    problem = "offline"
    program = None
    if not terms.offline:
        path = find_program(terms.forbidden)
        problem = "no uv was found (pip install 'supplyguard[resolve]')"
        if path is not None:
            try:
                index = check_index(terms.index)
            except FetchError as error:
                problem = error.message
            else:
                program = Program(
                    path=path,
                    index=index,
                    cache=terms.cache,
                    python_version=terms.python_version,
                    python_platform=terms.python_platform,
                )
    if program is None:
        note = _not_tried(units, problem, asked=terms.when is When.ALWAYS)
        return Resolution(dependencies=unchanged, notifications=(note,))
    return _Run(program, terms, dependencies).over(units)


def _not_tried(units: Sequence[Unit], problem: str, *, asked: bool) -> Notification:
    count = len({(each.location, each.name) for unit in units for each in unit.declared})
    what = "1 declared dependency" if count == 1 else f"{count} declared dependencies"
    text = f"{what} not resolved: {problem}; what is declared was looked at, not what comes with it"
    level = Level.WARNING if asked else Level.NOTE
    return Notification(code=CODE, message=text, level=level, incomplete=asked)


class _Run:
    """One scan's resolution."""

    def __init__(self, program: Program, terms: Terms, dependencies: Sequence[Dependency]) -> None:
        self._program = program
        self._terms = terms
        self._dependencies = dependencies
        self._settled = settled_names(dependencies)
        self._started = time.monotonic()
        self._deadline = self._started + terms.seconds
        target = Target(
            python=terms.python_version or platform.python_version(),
            native=not (terms.python_version or terms.python_platform),
        )
        self._index = Index(
            url=program.index, target=target, seconds=lambda: self._deadline - time.monotonic()
        )
        self._known: dict[tuple[tuple[str, ...], tuple[str, ...]], _Outcome] = {}
        self._notes: list[Notification] = []
        self._versions: dict[Dependency, Dependency] = {}
        self._coming: dict[Dependency, None] = {}

    def over(self, units: Sequence[Unit]) -> Resolution:
        """Resolve every unit, each for itself."""
        done = 0
        for unit in units:
            self._leave_out(unit)
            try:
                done += self._unit(unit)
            except UnsupportedError as error:
                self._fail(unit, error.message)
        if done:
            self._notes.append(self._summary(done))
        versions = tuple(self._versions.get(each, each) for each in self._dependencies)
        notes = tuple(dict.fromkeys(self._notes))
        return Resolution(dependencies=(*versions, *self._coming), notifications=notes)

    def _summary(self, done: int) -> Notification:
        terms = self._terms
        index = fetch.shown(terms.index) if terms.index != INDEX else "PyPI"
        python = terms.python_version or "this Python"
        files = "1 file" if done == 1 else f"{done} files"
        text = (
            f"{files} resolved by uv for {python} on {terms.python_platform or 'this platform'}, from "
            f"{index}: {len(self._versions)} open versions, {len(self._coming)} packages that come along"
        )
        return Notification(code="resolved", message=text, level=Level.NOTE)

    def _leave_out(self, unit: Unit) -> None:
        for each, reason in unit.left_out:
            text = f"{each.raw_name} is not resolved, nor what comes with it: {reason}"
            self._notes.append(
                Notification(code=CODE, message=text, level=Level.NOTE, location=each.location)
            )

    def _unit(self, unit: Unit) -> bool:
        """Resolve one file: all of it, else without the constraints, else group by group."""
        outcome = self._solve(unit)
        if not outcome.answer.solved and unit.constraints:
            freed = self._solve(replace(unit, constraints=()))
            if freed.answer.solved:
                text = "resolved without the constraints beside it, with which there is no solution"
                self._say(unit, text, incomplete=False)
                outcome = freed
        groups = {each.group for each in unit.declared}
        if outcome.answer.solved:
            self._take(unit, outcome)
        elif len(groups) > 1:
            parts = [frozenset({None, group}) for group in sorted(groups, key=lambda group: group or "")]
            return sum(self._part(unit.only(part)) for part in parts) > 0
        else:
            self._fail(unit, reason_of(outcome.answer.errors))
        return outcome.answer.solved

    def _part(self, unit: Unit) -> bool:
        outcome = self._solve(unit)
        if outcome.answer.solved:
            self._take(unit, outcome)
        else:
            named = ", ".join(sorted({each.group for each in unit.declared if each.group}))
            self._fail(unit, f"{named or 'the main dependencies'}: {reason_of(outcome.answer.errors)}")
        return outcome.answer.solved

    def _fail(self, unit: Unit, reason: str) -> None:
        self._say(unit, f"its dependencies were not resolved: {reason}", incomplete=True)

    def _say(self, unit: Unit, text: str, *, incomplete: bool) -> None:
        place = Location(uri=unit.uri)
        self._notes.append(Notification(code=CODE, message=text, location=place, incomplete=incomplete))

    def _solve(self, unit: Unit) -> _Outcome:
        """Ask uv, again with stub wheels where a release without wheels is in the way or passed over."""
        key = (unit.lines, unit.constraints)
        if key not in self._known:
            self._known[key] = self._asked(unit)
        return self._known[key]

    def _asked(self, unit: Unit) -> _Outcome:
        lacking = SourcesOnly(self._index)
        answer, packages = self._ask(unit, lacking)
        try:
            better, found = self._with_stubs(unit, answer, packages, lacking)
        except UnsupportedError as error:
            if not answer.solved:
                raise
            lacking.unseen = dict.fromkeys(packages, error.message)
        else:
            answer, packages = better, found
        return _Outcome(answer=answer, packages=packages, lacking=lacking)

    def _with_stubs(
        self, unit: Unit, answer: Answer, packages: dict[str, Package], lacking: SourcesOnly
    ) -> tuple[Answer, dict[str, Package]]:
        for _ in range(ROUNDS):
            self._tick(unit)
            names = tuple(packages) if answer.solved else wheelless(answer.errors)
            if not names or not lacking.add(names, packages, unit.declared):
                break
            again, found = self._ask(unit, lacking)
            if answer.solved and not again.solved:
                break
            answer, packages = again, found
        return self._held_back(unit, answer, packages, lacking) if answer.solved else (answer, packages)

    def _held_back(
        self, unit: Unit, answer: Answer, packages: dict[str, Package], lacking: SourcesOnly
    ) -> tuple[Answer, dict[str, Package]]:
        """Find what holds declared packages at old releases, by asking for the newest that fit.

        A release of which a dependency has no wheel is passed over as silently as one without wheels.
        """
        tried = 0
        for each in unit.declared:
            package = packages.get(each.name)
            newest = lacking.newest(package, each) if package is not None and each.version is None else None
            if package is None or newest is None or tried >= NAMES:
                continue
            tried += 1
            wanted = replace(unit, lines=(*unit.lines, f"{each.name}=={newest}"))
            asked, _packages = self._ask(wanted, lacking)
            names = wheelless(asked.errors) if not asked.solved else ()
            if names and lacking.add(names, {}, ()):
                again, found = self._ask(unit, lacking)
                if again.solved:
                    answer, packages = again, found
            blocking = [name for name in names if name in lacking.failed]
            if blocking and packages[each.name] == package:
                reason = f"{blocking[0]} has no wheel; {lacking.failed[blocking[0]][1]}"
                lacking.failed[each.name] = (str(newest), reason)
        return answer, packages

    def _ask(self, unit: Unit, lacking: SourcesOnly) -> tuple[Answer, dict[str, Package]]:
        self._tick(unit)
        question = Question(lines=unit.lines, constraints=unit.constraints, wheels=lacking.stubs)
        answer = self._program.ask(question, self._deadline, lambda: self._tick(unit))
        return answer, read_answer(answer.output) if answer.solved else {}

    def _tick(self, unit: Unit) -> None:
        self._terms.progress(f"resolving {unit.uri} ({time.monotonic() - self._started:.0f} s)")

    def _take(self, unit: Unit, outcome: _Outcome) -> None:
        """Note the versions of what was open, and what comes along that nothing else speaks of."""
        folder = unit.uri.rpartition("/")[0] + "/"
        elsewhere = {each.name for each, _reason in unit.left_out}
        declared = frozenset(unit.declared)
        for each in resolved(unit.declared, outcome.packages):
            known = {(folder, each.name), (unit.uri, each.name)} & self._settled
            if known or (not each.direct and each.name in elsewhere):
                continue
            if each.direct:
                source = replace(each, version=None, kind=DependencyKind.REQUIREMENT)
                if source in declared:  # what pins stays as it is
                    self._versions[source] = each
            else:
                self._coming[each] = None
        self._notes += _passed_over(unit, outcome)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outcome:
    """uv's last answer, and what was found of releases without wheels."""

    answer: Answer
    packages: dict[str, Package]
    lacking: SourcesOnly


def _passed_over(unit: Unit, outcome: _Outcome) -> Iterator[Notification]:
    """Say what is not as a plain install would have it."""
    lacking, place = outcome.lacking, Location(uri=unit.uri)
    direct = {each.name: each.location for each in unit.declared}
    for name, package in outcome.packages.items():
        if package.version in lacking.made.get(name, ()):
            text = (
                f"{name} {package.version} has no wheel for the target; it was not built, and what it needs "
            )
            unstated = (name, package.version) in lacking.unstated
            text += "is not stated by the index" if unstated else "is what the index states"
            where = direct.get(name, place)
            yield Notification(code="resolved-unbuilt", message=text, level=Level.NOTE, location=where)
        elif name in lacking.failed:
            version, reason = lacking.failed[name]
            text = (
                f"{name} {package.version} was taken, though {version} would be newer: it, or "
                f"what it needs, has no wheel, and nothing is built ({reason})"
            )
            yield Notification(
                code="resolved-older",
                message=text,
                location=direct.get(name, place),
                incomplete=name in direct,
            )
    if lacking.unseen:
        names = list(lacking.unseen)
        shown = ", ".join(names[:NAMES]) + (f" and {len(names) - NAMES} more" if len(names) > NAMES else "")
        text = f"not looked for newer releases without wheels of {shown}: {lacking.unseen[names[0]]}"
        yield Notification(code="resolved-unchecked", message=text, level=Level.NOTE, location=place)
