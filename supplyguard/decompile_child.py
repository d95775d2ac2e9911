"""The child process of decompile.py: a pickle on stdin, pseudo-source on stdout. Runs nothing of it."""

from __future__ import annotations

import ast
import resource
import sys
from typing import Final

from fickling.fickle import Pickled  # type: ignore[import-untyped]

MEMORY: Final = 1 << 30
CPU_SECONDS: Final = 20
DEPTH: Final = 2_000


def main() -> None:
    """Limit this process, then decompile; anything that goes wrong ends it with a message."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    sys.setrecursionlimit(DEPTH)
    most = int(sys.argv[1])
    source = ast.unparse(Pickled.load(sys.stdin.buffer.read()).ast)
    sys.stdout.write(source[:most])


if __name__ == "__main__":
    main()
