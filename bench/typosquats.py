"""Measure how often an honest package is taken for a look-alike: `python bench/typosquats.py NAMES_FILE`.

NAMES_FILE has one package a line, the most used first; a table whose columns are separated by tabs
will do, when its first line names a column "name" and, with --rank COLUMN, one that orders it. What is
well known is taken for honest, so every hit is counted as a false alarm, those too that are not. The
list of honest neighbours (rules/formats/popular_names.json) is left out unless --with-honest is given.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from supplyguard.sources import look_alikes


def read_names(path: Path, rank: str | None) -> list[str]:
    """Give the names in order."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if "name" not in rows[0]:
        return [row[0].strip() for row in rows]
    place = rows[0].index("name")
    if rank is None:
        return [row[place] for row in rows[1:]]
    order = rows[0].index(rank)
    ranked = [row for row in rows[1:] if row[order].isdigit()]
    return [row[place] for row in sorted(ranked, key=lambda row: int(row[order]))]


def measure(names: list[str], first: int, last: int) -> None:
    """Print the hits among the names of these ranks."""
    found = {name: hit for name in names[first:last] if (hit := look_alikes.likeness(name)) is not None}
    of = len(names[first:last])
    if of:
        print(f"ranks {first + 1:,} to {first + of:,}: {len(found)} hits, {100 * len(found) / of:.2f} %")
        print("  by trick:", dict(Counter(hit.trick for hit in found.values())))
        for name, hit in found.items():
            print(f"  {name} taken for {hit.name} ({hit.trick})")


def main() -> None:
    """Run it on the first 5,000 names, and on those after them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", type=Path, metavar="NAMES_FILE")
    parser.add_argument("--rank", metavar="COLUMN", help="the column that holds the rank")
    parser.add_argument("--with-honest", action="store_true", help="use the list of honest neighbours")
    chosen = parser.parse_args()
    if not chosen.with_honest:
        look_alikes.known_names.cache_clear()
        look_alikes.known_names()["honest"].clear()
    names = read_names(chosen.names, chosen.rank)
    measure(names, 0, 5_000)
    measure(names, 5_000, len(names))


if __name__ == "__main__":
    main()
