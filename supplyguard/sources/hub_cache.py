"""The local Hugging Face cache: the files of the models that code refers to, as they were fetched.

Layout (huggingface_hub, "Understand caching"): models--org--name/refs/<revision> holds a commit,
models--org--name/snapshots/<commit>/<file> links to ../../blobs/<etag>. Everything in it, and the
names that code gives, may be hostile. The library is not needed for reading and takes long to
import, so it is not used; a test holds the default folder against its own.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from supplyguard.finding import Level, Notification
from supplyguard.inventory import Artifact, Location, ModelRef, RevisionKind

FOLDERS: Final = {"model": "models", "dataset": "datasets", "space": "spaces"}
COMMIT: Final = re.compile(r"[0-9a-f]{40}")
PART: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,95}", re.ASCII)
REVISION: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./+-]{0,255}", re.ASCII)
DEFAULT_REVISION: Final = "main"
FILES: Final = 100_000
"""Files of one snapshot."""


def default_cache(environment: Mapping[str, str]) -> Path:
    """Give the folder that huggingface_hub uses: HF_HUB_CACHE, HF_HOME/hub, or under XDG_CACHE_HOME."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environment.get(name):
            return Path(os.path.expandvars(environment[name])).expanduser()
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    home = environment.get("HF_HOME") or f"{base}/huggingface"
    return Path(os.path.expandvars(home)).expanduser() / "hub"


def resolve(refs: Iterable[ModelRef], cache: Path) -> Iterator[Artifact | Notification]:
    """Yield the cached files of each referenced repository, and say which are not cached.

    refs may grow while it is read: code in a cached repository can refer to others. A snapshot's
    files are yielded once, however often it is referred to.
    """
    done: set[tuple[str, str]] = set()
    missing: set[tuple[str, str, str | None]] = set()
    for ref in refs:
        if ref.repo is None:
            continue
        folder = _repository(ref, ref.repo, cache)
        commit = _commit(ref, folder) if folder is not None else None
        if folder is None or commit is None:
            key = (ref.repo_type, ref.repo, ref.revision)
            if key not in missing:
                missing.add(key)
                yield _not_fetched(ref, ref.repo)
        elif (str(folder), commit) not in done:
            done.add((str(folder), commit))
            yield from _snapshot(folder, commit, _uri(ref.repo_type, ref.repo, commit), ref.location)


def _uri(repo_type: str, repo: str, commit: str) -> str:
    prefix = "" if repo_type == "model" else f"{FOLDERS[repo_type]}/"
    return f"hf://{prefix}{repo}@{commit}"


def _repository(ref: ModelRef, repo: str, cache: Path) -> Path | None:
    """Find a repository's folder; a name that could lead elsewhere has none."""
    parts = repo.split("/")
    kind = FOLDERS.get(ref.repo_type)
    good = all(PART.fullmatch(part) and ".." not in part and "--" not in part for part in parts)
    if kind is None or len(parts) > 2 or not good:
        return None
    folder = cache / "--".join((kind, *parts))
    # the folder itself must lie in the cache, not be a link to elsewhere
    return folder if folder.is_dir() and not folder.is_symlink() else None


def _commit(ref: ModelRef, folder: Path) -> str | None:
    """Give the commit that a reference's revision stands for here, if its snapshot is there."""
    if ref.revision_kind is RevisionKind.DYNAMIC:
        return None
    revision = ref.revision or DEFAULT_REVISION
    commit = revision.lower() if ref.revision_kind is RevisionKind.COMMIT else _named(revision, folder)
    if commit is None or not COMMIT.fullmatch(commit):
        return None
    snapshot = folder / "snapshots" / commit
    real = os.path.realpath(snapshot)
    return commit if os.path.isdir(real) and _inside(real, os.path.realpath(folder)) else None  # noqa: PTH112


def _named(revision: str, folder: Path) -> str | None:
    """Read refs/<revision>; a revision that could lead elsewhere is not looked up."""
    parts = revision.split("/")
    if not REVISION.fullmatch(revision) or any(part in {"", ".", ".."} for part in parts):
        return None
    path = folder.joinpath("refs", *parts)
    real = os.path.realpath(path)
    if not _inside(real, os.path.realpath(folder)) or not os.path.isfile(real):  # noqa: PTH113
        return None
    try:
        with open(real, "rb") as stream:  # noqa: PTH123 - a text from realpath
            text = stream.read(64)
    except OSError:
        return None
    return text.decode("ascii", "replace").strip()


def _snapshot(folder: Path, commit: str, uri: str, origin: Location) -> Iterator[Artifact | Notification]:
    """Yield a snapshot's files in a stable order; links may lead within the repository only."""
    top = folder / "snapshots" / commit
    root = os.path.realpath(folder)
    work = [(str(top), uri)]
    count = 0
    while work:
        path, here = work.pop()
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield _problem("unreadable", f"cannot be listed: {error.strerror}", here)
            continue
        folders: list[tuple[str, str]] = []
        for entry in entries:
            count += 1
            if count > FILES:
                yield _problem("budget-exceeded", f"more than {FILES:,} files in one snapshot", uri)
                return
            name = f"{here}/{os.fsencode(entry.name).decode('utf-8', 'backslashreplace')}"
            if entry.is_dir(follow_symlinks=False):
                folders.append((entry.path, name))
            else:
                yield _file(entry.path, name, root, origin, folder)
        work.extend(reversed(folders))


def _file(path: str, uri: str, root: str, origin: Location, folder: Path) -> Artifact | Notification:
    try:
        real = os.path.realpath(path, strict=True)
        status = os.stat(real)  # noqa: PTH116 - a text from realpath
    except OSError as error:
        return _problem("unreadable", f"cannot be read: {error.strerror}", uri)
    if not _inside(real, root):
        return _problem("link-outside", "a link that leads out of its repository; not followed", uri)
    if not stat.S_ISREG(status.st_mode):
        return _problem("special-file", "not a regular file; not opened", uri)
    return Artifact(uri=uri, path=Path(path), size=status.st_size, origin=origin, root=folder)


def _inside(real: str, root: str) -> bool:
    return real.startswith(root.rstrip(os.sep) + os.sep)


def _problem(code: str, message: str, uri: str) -> Notification:
    return Notification(code=code, message=message, location=Location(uri=uri), incomplete=True)


def _not_fetched(ref: ModelRef, repo: str) -> Notification:
    revision = f"@{ref.revision}" if ref.revision else ""
    if ref.revision_kind is RevisionKind.DYNAMIC:
        revision = " (its revision is computed at run time)"
    return Notification(
        code="not-fetched",
        message=f"referenced, not fetched: {ref.repo_type} {repo}{revision}",
        level=Level.NOTE,
        location=ref.location,
        incomplete=True,
    )
