"""Where reports go: stdout and files, each in the format that was asked for."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from supplyguard.console import Console
from supplyguard.errors import OutputError, UsageError
from supplyguard.finding import Report
from supplyguard.reporters import REPORTERS, RenderOptions, Reporter


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One place that a report goes to; path None is stdout."""

    reporter: Reporter
    path: Path | None


def outputs_of(format_: str | None, paths: Sequence[Path]) -> tuple[Output, ...]:
    """Give the outputs asked for: stdout by name (text when no file is asked for), files by suffix."""
    outputs = [Output(reporter=_by_suffix(path), path=path) for path in paths]
    if format_ is not None or not paths:
        outputs.append(Output(reporter=_by_name(format_ or "text"), path=None))
    return tuple(outputs)


def emit(
    report: Report,
    outputs: Sequence[Output],
    console: Console,
    *,
    show_suppressed: bool = False,
    category: str | None = None,
) -> None:
    """Write the report everywhere it should go; raises OutputError after all other places are served."""
    failures: list[OutputError] = []
    for output in outputs:
        options = RenderOptions(
            color=output.path is None and console.colors(sys.stdout),
            width=shutil.get_terminal_size((100, 24)).columns,
            quiet=console.quiet,
            verbose=console.verbose,
            show_suppressed=show_suppressed,
            category=category,
        )
        text = output.reporter.render(report, options)
        if output.path is None:
            _print(text)
            continue
        try:
            _write(output.path, text)
        except OSError as error:
            failures.append(
                OutputError(
                    f"cannot write {output.path}: {error.strerror or error}",
                    hint="the report is not there; any older file is as it was",
                )
            )
    if failures:
        raise failures[0]


def _print(text: str) -> None:
    """Write to stdout; a reader that went away (`| head`) is no failure of the scan."""
    try:
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(path: Path, text: str) -> None:
    """Write beside the target, then rename: an older report stays whole when the disk is full."""
    if path.exists() and not path.is_file():  # /dev/stdout, a pipe
        path.write_text(text, encoding="utf-8")
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _by_name(name: str) -> Reporter:
    for reporter in REPORTERS:
        if reporter.name == name:
            return reporter
    raise UsageError(f"no format is called {name!r}", hint=f"one of {', '.join(r.name for r in REPORTERS)}")


def _by_suffix(path: Path) -> Reporter:
    for reporter in REPORTERS:
        if path.suffix.lower() == reporter.suffix:
            return reporter
    known = ", ".join(reporter.suffix for reporter in REPORTERS)
    raise UsageError(f"cannot tell the format of {path} from its name", hint=f"known endings: {known}")
