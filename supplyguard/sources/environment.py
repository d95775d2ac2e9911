"""Installed environments: the metadata of what is installed for a Python, read as files.

No interpreter is run, whatever lies under the name of one. Layouts: PEP 405 (virtual environments),
Python's documentation, "sysconfig" (installation schemes), Debian's dist-packages.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from supplyguard.errors import SupplyguardError, UsageError
from supplyguard.finding import Notification
from supplyguard.inventory import Dependency, DependencyKind, Location
from supplyguard.limits import MIB, Budget
from supplyguard.sources.core_metadata import FILE_SIZE, FOLDERS, read_metadata
from supplyguard.sources.references import mask
from supplyguard.sources.toml_document import Found
from supplyguard.wire.text import read_bytes

PROGRAMS: Final = frozenset({"bin", "Scripts"})
PACKAGES: Final = (
    "lib/python*/site-packages",
    "lib64/python*/site-packages",
    "Lib/site-packages",
    "lib/python*/dist-packages",
    "local/lib/python*/dist-packages",
)
DIRECT_URL_SIZE: Final = MIB
DISTRIBUTIONS: Final = 100_000


def collect_environment(path: Path, budget: Budget) -> Iterator[Found]:
    """Yield every distribution that is installed for `path`.

    path: a Python program, the folder of an environment, or a folder of packages (site-packages).
    Each distribution's place is the line of its name in its metadata. Raises UsageError when no
    folder of packages is found.
    """
    folders = list(package_folders(path))
    if not folders:
        raise UsageError(
            f"{path}: no installed packages found",
            hint="give a Python, its environment or a site-packages folder",
        )
    for folder in folders:
        for entry in _distributions(folder):
            budget.check_time()
            try:
                yield from _distribution(entry, budget)
            except SupplyguardError as error:
                place = Location(uri=entry.as_posix())
                yield Notification(code="unreadable", message=error.message, location=place, incomplete=True)


def package_folders(path: Path) -> Iterator[Path]:
    """Find the folders of packages that belong to a path, each once."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would leave a virtual environment
    if absolute.is_dir():
        if any(_distributions(absolute)) or absolute.name in {"site-packages", "dist-packages"}:
            yield absolute
            return
        prefix = absolute
    elif absolute.is_file() and absolute.parent.name in PROGRAMS:
        prefix = absolute.parent.parent
    else:
        return
    seen: set[str] = set()
    for pattern in PACKAGES:
        for folder in sorted(prefix.glob(pattern)):
            real = os.path.realpath(folder)
            if folder.is_dir() and real not in seen:
                seen.add(real)
                yield folder


def _distributions(folder: Path) -> Iterator[Path]:
    names = sorted(name for name in os.listdir(folder) if name.endswith(FOLDERS))  # noqa: PTH208 - names only
    for name in names[:DISTRIBUTIONS]:
        yield folder / name


def _distribution(entry: Path, budget: Budget) -> Iterator[Found]:
    """Read one distribution; an egg-info may be a file."""
    files = [entry / "METADATA", entry / "PKG-INFO"] if entry.is_dir() else [entry]
    file = next((each for each in files if _is_regular(each)), None)
    place = Location(uri=entry.as_posix())
    if file is None:
        message = "an installed package without metadata"
        yield Notification(code="unreadable", message=message, location=place, incomplete=True)
        return
    raw = read_bytes(file, min(FILE_SIZE, budget.limits.document_bytes))
    place = Location(uri=file.as_posix())
    requested = _is_regular(entry / "REQUESTED")
    items = read_metadata(raw, place, budget, kind=DependencyKind.INSTALLED, direct=requested)
    # what it requires is installed too, or is not needed here: only the distribution itself counts
    for item in items:
        if isinstance(item, Dependency) and item.kind is DependencyKind.INSTALLED:
            yield replace(item, url=_direct_url(entry))
        elif isinstance(item, Notification):
            yield item


def _direct_url(entry: Path) -> str | None:
    """Give the address that a distribution was installed from (PEP 610)."""
    file = entry / "direct_url.json"
    if not _is_regular(file):
        return None
    try:
        document: Any = json.loads(read_bytes(file, DIRECT_URL_SIZE))
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("url"), str):
        return None
    vcs = document.get("vcs_info")
    url: str = document["url"]
    if isinstance(vcs, dict) and isinstance(vcs.get("vcs"), str):
        url = f"{vcs['vcs']}+{url}" + (f"@{vcs['commit_id']}" if vcs.get("commit_id") else "")
    return mask(url)


def _is_regular(path: Path) -> bool:
    """Whether a path is a regular file: pipes and devices are not opened."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False
