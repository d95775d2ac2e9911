"""Measure supplyguard beside its peers: `make bench`. Prints ratios; exits with 1 when one is missed."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import files
from measure import Comparison, compare, program

SUPPLYGUARD = program("supplyguard")
SCAN = (SUPPLYGUARD, "scan", "--offline", "--isolated", "--quiet")
PICKLESCAN = (program("picklescan"), "--path")
MOST_MEMORY = 80


def comparisons(folder: Path) -> list[Comparison]:
    """Run every comparison on files made in `folder`."""
    tiny = str(files.tiny_pickle(folder / "tiny.pkl"))
    large = str(files.torch_zip(folder / "large.pt", 2 * files.GIB - (1 << 20)))
    mixed = str(files.mixed_folder(folder / "mixed", 5000, 500))
    typer = (sys.executable, "-c", "import typer")
    return [
        compare("--version / python -c 'import typer'", (SUPPLYGUARD, "--version"), typer, at_most=2.0),
        compare("one small pickle / picklescan", (*SCAN, tiny), (*PICKLESCAN, tiny), at_most=3.0),
        compare("2 GB torch zip / picklescan", (*SCAN, large), (*PICKLESCAN, large), at_most=2.0),
        compare("5,000 files, 500 pickles / picklescan", (*SCAN, mixed), (*PICKLESCAN, mixed), at_most=2.0),
    ]


def main() -> None:
    """Print all comparisons."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["SUPPLYGUARD_CACHE_DIR"] = f"{name}/cache"
        os.environ["HF_HOME"] = f"{name}/hub"
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a peer from the index comes compiled
        results = comparisons(Path(name))
    print(f"{'ours / theirs':<44} {'ours':>9} {'theirs':>9}")
    for result in results:
        print(result)
    too_much = [each for each in results if each.ours.peak > MOST_MEMORY]
    for each in too_much:
        print(f"memory over {MOST_MEMORY} MiB: {each.name}")
    sys.exit(1 if too_much or any(each.ratio > each.at_most for each in results) else 0)


if __name__ == "__main__":
    main()
