"""Run commands as whole processes, in turn, and compare their medians."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One finished process. seconds: wall time. cpu: user and system seconds. peak: resident MiB."""

    seconds: float
    cpu: float
    peak: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Our command beside a peer's, run in turn. ratio: the median of ours / theirs pair by pair."""

    name: str
    ours: Run
    theirs: Run
    ratio: float
    at_most: float

    def __str__(self) -> str:
        verdict = "ok" if self.ratio <= self.at_most else "MISSED"
        return (
            f"{self.name:<44} {self.ours.seconds:7.3f} s {self.theirs.seconds:7.3f} s  "
            f"ratio {self.ratio:5.2f} (at most {self.at_most:4.1f}) {self.ours.peak:6.0f} MiB "
            f"{self.theirs.peak:6.0f} MiB  {verdict}"
        )


def run(command: Sequence[str], accepted: frozenset[int]) -> Run:
    """Run one command to its end, its output thrown away; fails when its exit code is not accepted."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in accepted:
        sys.exit(f"exit code {process.returncode}: {' '.join(command)}")
    return Run(seconds=seconds, cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss / 1024)


def compare(
    name: str,
    ours: Sequence[str],
    theirs: Sequence[str],
    *,
    at_most: float,
    rounds: int = 7,
    accepted: frozenset[int] = frozenset({0}),
) -> Comparison:
    """Run both in turn, one round to warm up, and take medians."""
    pairs = [(run(ours, accepted), run(theirs, accepted)) for _ in range(rounds + 1)][1:]
    return Comparison(
        name=name,
        ours=_median([pair[0] for pair in pairs]),
        theirs=_median([pair[1] for pair in pairs]),
        ratio=statistics.median(a.seconds / b.seconds for a, b in pairs),
        at_most=at_most,
    )


def _median(runs: Sequence[Run]) -> Run:
    return Run(
        seconds=statistics.median(each.seconds for each in runs),
        cpu=statistics.median(each.cpu for each in runs),
        peak=statistics.median(each.peak for each in runs),
    )


def program(name: str) -> str:
    """Give the path of a program installed beside the running Python."""
    return str(Path(sys.executable).parent / name)
