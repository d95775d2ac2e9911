"""Chunks of array stores, whose compressed streams lie side by side in one file among other bytes.

An OCDBT store (google.github.io/tensorstore/kvstore/ocdbt) keeps values one after another in `d/` beside
its manifest; a zarr 3 shard (zarr-specs.readthedocs.io, sharding) ends with an index of its chunks.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from supplyguard.inventory import Member

_VALUES: Final = re.compile(r"[0-9a-f]{32}")
_MOST_DIMS: Final = 32


def in_chunk_store(member: Member) -> bool:
    """Whether a file, not one inside another, is a store's by its name and the store's own file."""
    if member.path:
        return False
    path = member.artifact.path
    if path.parent.name == "d" and _VALUES.fullmatch(path.name):
        return (path.parent.parent / "manifest.ocdbt").is_file()
    return _shard(path)


def _shard(path: Path) -> bool:
    """Whether numbers lead from a folder `c` beside `zarr.json` to the file: `c/0/1`."""
    for _ in range(_MOST_DIMS):
        if not path.name.isdecimal():
            return False
        path = path.parent
        if path.name == "c":
            return (path.parent / "zarr.json").is_file()
    return False
