"""Carrying a plan out: reading, editing and replacing files, and saying what was and was not done."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supplyguard.errors import OutputError, SupplyguardError
from supplyguard.finding import Report, Severity
from supplyguard.inventory import Dependency
from supplyguard.limits import MIB
from supplyguard.repair.edits import diff, raised
from supplyguard.repair.plan import Edit, Manual, Plan, advisories
from supplyguard.reporters.escape import NAME_CHARS, defuse_commands, for_terminal
from supplyguard.reporters.wording import count
from supplyguard.wire.text import read_bytes

FILE_SIZE: Final = 4 * MIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What was done (or would be): edits, their diffs by file, and what is left to people."""

    edits: tuple[Edit, ...]
    diffs: tuple[str, ...]
    manual: tuple[Manual, ...]
    dry: bool

    def remaining(self, report: Report) -> tuple[Severity, ...]:
        """Give the severities of the findings that are still true, accepted ones left out."""
        done = frozenset[tuple[object, str]]()
        if not self.dry:
            done = frozenset((each.dependency.location, each.dependency.name) for each in self.edits)
        return tuple(
            finding.severity
            for finding in advisories(report)
            if finding.suppression is None and (finding.location, finding.facts["package"]) not in done
        )

    def lines(self) -> Iterator[str]:
        """Say it, a line each; safe for a terminal."""
        yield from self.diffs
        for edit in self.edits if not self.dry else ():
            old, new = edit.dependency.version, edit.version
            yield _line(edit.dependency, f"raised from {old} to {new}")
        for each in self.manual:
            yield _line(each.dependency, each.advice)

    def summary(self) -> str:
        """Count it."""
        verb = "would be raised" if self.dry else "raised"
        return f"{count(len(self.edits), 'pin')} {verb}, {count(len(self.manual), 'statement')} left to you"


def carry_out(plan: Plan, targets: Sequence[Path], *, dry: bool) -> Outcome:
    """Edit the files of a plan; what cannot be edited is left to people, with the reason."""
    roots = [Path(os.path.realpath(each if each.is_dir() else each.parent)) for each in targets]
    files: dict[str, list[Edit]] = {}
    for edit in plan.edits:
        files.setdefault(edit.dependency.location.uri, []).append(edit)
    done: list[Edit] = []
    diffs: list[str] = []
    manual = list(plan.manual)
    for uri, edits in files.items():
        try:
            path = _inside(uri, roots)
            before = read_bytes(path, FILE_SIZE)
            after, missed = raised(before, edits)
            if after != before:
                diffs.append(diff(uri, before, after))
                if not dry:
                    replace_file(path, after)
        except SupplyguardError as error:
            manual += _by_hand(edits, error.message)
            continue
        done += (edit for edit in edits if edit not in missed)
        manual += _by_hand(missed, "its pin is not written plainly")
    return Outcome(edits=tuple(done), diffs=tuple(diffs) if dry else (), manual=tuple(manual), dry=dry)


def replace_file(path: Path, content: bytes) -> None:
    """Put new content in place of a file at once, with the same permissions; raises OutputError."""
    temporary = ""
    try:
        mode = path.stat().st_mode & 0o7777
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise OutputError(f"it cannot be written: {error.strerror}") from error


def _inside(uri: str, roots: Iterable[Path]) -> Path:
    """Give the real file of a place; raises OutputError when that is not in the scanned folders."""
    real = Path(os.path.realpath(uri))
    if not any(real.is_relative_to(root) for root in roots):
        raise OutputError("it lies, or leads, out of the scanned folders")
    if not real.is_file():
        raise OutputError("it is not a regular file")
    return real


def _by_hand(edits: Iterable[Edit], reason: str) -> Iterator[Manual]:
    for edit in edits:
        yield Manual(dependency=edit.dependency, advice=f"raise it to {edit.version} by hand: {reason}")


def _line(dependency: Dependency, text: str) -> str:
    version = f" {dependency.version}" if dependency.version is not None else ""
    place = for_terminal(str(dependency.location), NAME_CHARS)
    name = for_terminal(f"{dependency.name}{version}", NAME_CHARS)
    return defuse_commands(f"{place}: {name}: {for_terminal(text)}")
