"""Throughput on opcode-heavy pickles, beside picklescan and pickle.load, in one run.

`python bench/pickles.py [MEGABYTES]` makes lists of records (numbers, texts, lists, dicts) at protocols
2 and 4, reads each in a child process of its own and prints bytes per CPU second and peak memory.
"""

from __future__ import annotations

import multiprocessing
import pickle
import random
import sys
import tempfile
from pathlib import Path
from typing import Final

from measure import Run, run

LEAST_RATIO: Final = 25.0
MOST_MEMORY: Final = 100
OURS: Final = """
import sys
from pathlib import Path
from supplyguard.inventory import Artifact, Member
from supplyguard.limits import Budget
from supplyguard.pickles.knowledge import load_knowledge
from supplyguard.pickles.programs import examine
path = Path(sys.argv[1])
artifact = Artifact(uri="file", path=path, size=path.stat().st_size)
member = Member(artifact=artifact, open=lambda: path.open("rb", buffering=0), size=artifact.size)
assert not list(examine(member, Budget(), load_knowledge()))
"""
PICKLESCAN: Final = """
import sys
from picklescan.scanner import scan_file_path
scan_file_path(sys.argv[1])
"""
UNPICKLE: Final = """
import pickle, sys
with open(sys.argv[1], "rb") as file:
    pickle.load(file)
"""


def record(chance: random.Random, number: int) -> dict[str, object]:
    """Make one record of the kind that data sets hold."""
    return {
        "id": number,
        "name": f"user{chance.randrange(10**6)}",
        "score": chance.random(),
        "tags": [f"a{chance.randrange(1000)}" for _ in range(5)],
        "vector": [chance.random() for _ in range(8)],
        "place": (chance.random(), number),
        "more": {"x": None, "y": True, "z": [1, 2, 300, 70_000]},
    }


def make(path: Path, protocol: int, megabytes: int) -> None:
    """Write a pickle of about `megabytes`."""
    chance = random.Random(1)  # noqa: S311 - test data
    sample = len(pickle.dumps([record(chance, number) for number in range(1000)], protocol))
    records = [record(chance, number) for number in range(megabytes * 10**9 // sample)]
    with path.open("wb") as file:
        pickle.dump(records, file, protocol)


def measured(program: str, path: Path) -> Run:
    """Run one reader on a file in a child process."""
    return run((sys.executable, "-c", program, str(path)), frozenset({0}))


def main() -> None:
    """Print one line a reader and protocol; exits with 1 when a promise is not kept."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for protocol in (2, 4):
            path = Path(folder) / f"records{protocol}.pkl"
            maker = multiprocessing.get_context("spawn").Process(
                target=make, args=(path, protocol, megabytes)
            )
            maker.start()  # in a process of its own: a child's peak begins with its parent's memory
            maker.join()
            size = path.stat().st_size
            ours, theirs, real = (measured(each, path) for each in (OURS, PICKLESCAN, UNPICKLE))
            ratio, faster = theirs.cpu / ours.cpu, real.cpu / ours.cpu
            for name, each in (("supplyguard", ours), ("picklescan", theirs), ("pickle.load", real)):
                speed = size / each.cpu / 1e6
                print(f"protocol {protocol}  {name:<12} {speed:7.1f} MB/s  peak {each.peak:6.0f} MiB")
            print(f"protocol {protocol}  {ratio:.1f} times picklescan, {faster:.1f} times pickle.load")
            missed |= ratio < LEAST_RATIO or faster < 1 or ours.peak > MOST_MEMORY
    sys.exit(missed)


if __name__ == "__main__":
    main()
