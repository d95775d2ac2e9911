"""fickling's decompilation of a pickle as readable pseudo-source, for people only.

It decides nothing and is never on the scan path. fickling builds a whole syntax tree, so it works in a
child process with limits on time, memory and size.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from supplyguard.errors import UnsupportedError
from supplyguard.limits import KIB, MIB

CHILD: Final = Path(__file__).with_name("decompile_child.py")
MOST_INPUT: Final = 4 * MIB
MOST_OUTPUT: Final = 256 * KIB
SECONDS: Final = 20


def decompile(program: bytes) -> str:
    """Give pseudo-source of one pickle program, cut at 256 KiB.

    Raises UnsupportedError when the program is too large or fickling cannot follow it.
    """
    if len(program) > MOST_INPUT:
        raise UnsupportedError(f"too large to decompile: {len(program):,} bytes, at most {MOST_INPUT:,}")
    # -I: neither the working folder nor the environment can add to what the child imports
    command = [sys.executable, "-I", "-X", "utf8", str(CHILD), str(MOST_OUTPUT)]
    try:
        done = subprocess.run(  # noqa: S603 - our own script, the file only on its standard input
            command, input=program, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnsupportedError(f"decompilation took more than {SECONDS} seconds") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else f"the child process ended with {done.returncode}"
        raise UnsupportedError(f"fickling cannot decompile it: {reason[:300]}")
    text = done.stdout.decode("utf-8", "replace")
    return text if len(text) < MOST_OUTPUT else f"{text}\n… cut at {MOST_OUTPUT:,} characters"
