"""10,000 randomly changed copies of a small honest file of every format: `python bench/mutations.py [COUNT]`.

Prints, a line a format, how many were read to their end and the slowest one's CPU seconds. Anything but a
SupplyguardError, and any limit that is passed, ends it with a traceback.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent.parent))  # the tests' mutations

from supplyguard.inspectors import INSPECTORS, Inspector
from tests.fuzzing import mutations, survives
from tests.inspectors.test_hostile_formats import samples

SLOWEST: Final = 5.0


def measured(inspector: Inspector, count: int) -> tuple[int, float]:
    """Give how many changed copies were read to the end, and the slowest one's seconds."""
    name, data = samples(inspector)[0]
    whole, slowest = 0, 0.0
    for hostile in mutations(data, count, seed=1):
        started = time.process_time()
        whole += survives(inspector, hostile, name)
        slowest = max(slowest, time.process_time() - started)
    return whole, slowest


def main() -> None:
    """Print the table; exits with 1 when one file took too long."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    late = False
    for inspector in INSPECTORS:
        whole, slowest = measured(inspector, count)
        print(f"{inspector.FORMAT:<20} {count:,} changed, {whole:,} read to the end, slowest {slowest:.2f} s")
        late |= slowest > SLOWEST
    sys.exit(1 if late else 0)


if __name__ == "__main__":
    main()
