from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import Any, Self

import pytest

from supplyguard.errors import UsageError
from supplyguard.finding import Notification
from supplyguard.inventory import Artifact
from supplyguard.sources.folder import Tally, WalkOptions, walk


def uri_of(path: Path) -> str:
    return path.as_posix()


def items(root: Path, tally: Tally | None = None, **options: Any) -> list[Artifact | Notification]:
    chosen = WalkOptions(**options)
    return list(walk(root, uri_of=uri_of, options=chosen, tally=tally or Tally()))


def names(root: Path, tally: Tally | None = None, **options: Any) -> list[str]:
    found = items(root, tally, **options)
    prefix = f"{root.as_posix()}/"
    return [each.uri.removeprefix(prefix) for each in found if isinstance(each, Artifact)]


def notes(root: Path, **options: Any) -> list[Notification]:
    return [each for each in items(root, **options) if isinstance(each, Notification)]


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def test_files_come_in_a_stable_order_with_their_sizes(tmp_path: Path) -> None:
    touch(tmp_path, "b.txt", "a/z.py", "a/b/c.bin", ".hidden", "é.py")
    (tmp_path / "b.txt").write_bytes(b"12345")
    assert names(tmp_path) == [".hidden", "b.txt", "é.py", "a/z.py", "a/b/c.bin"]
    found = {each.path.name: each for each in items(tmp_path) if isinstance(each, Artifact)}
    assert found["b.txt"].size == 5
    assert found["c.bin"].path.read_bytes() == b"x"
    assert found["c.bin"].root == tmp_path


def test_the_working_folder_gives_relative_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/b.py")
    monkeypatch.chdir(tmp_path)
    found = walk(Path(), uri_of=lambda path: path.as_posix(), options=WalkOptions(), tally=Tally())
    assert [each.uri for each in found if isinstance(each, Artifact)] == ["a/b.py"]


def test_caches_and_environments_are_skipped_and_counted(tmp_path: Path) -> None:
    touch(
        tmp_path,
        ".git/config",
        "node_modules/x/y.js",
        "a/__pycache__/m.pyc",
        ".mypy_cache/x",
        "env/pyvenv.cfg",
        "env/bin/python",
        "env/lib/m.py",
        "kept.py",
    )
    tally = Tally()
    assert names(tmp_path, tally) == ["kept.py"]
    assert tally.skipped_folders == 5
    assert tally.reasons == {
        "version control": 1,
        "installed packages": 1,
        "cache": 2,
        "virtual environment": 1,
    }


def test_a_lone_pyvenv_file_does_not_hide_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "models/pyvenv.cfg", "models/m.pkl")
    assert names(tmp_path) == ["models/m.pkl", "models/pyvenv.cfg"]


def test_an_environment_that_is_the_target_is_walked(tmp_path: Path) -> None:
    touch(tmp_path, "pyvenv.cfg", "bin/python")
    assert names(tmp_path) == ["pyvenv.cfg", "bin/python"]


def test_exclude_patterns_are_those_of_gitignore(tmp_path: Path) -> None:
    touch(tmp_path, "a.log", "keep.log", "data/big.bin", "src/data/x.py", "src/a.log")
    tally = Tally()
    assert names(tmp_path, tally, exclude=("*.log", "!keep.log", "/data/")) == ["keep.log", "src/data/x.py"]
    assert (tally.skipped_files, tally.skipped_folders) == (2, 1)
    assert tally.reasons["excluded"] == 3


def test_a_bad_exclude_pattern_is_a_usage_error(tmp_path: Path) -> None:
    touch(tmp_path, "a")
    with pytest.raises(UsageError, match="not a pattern"):
        names(tmp_path, exclude=("!",))


def test_gitignore_is_honoured_on_request_only(tmp_path: Path) -> None:
    touch(tmp_path, "a.log", "sub/a.log", "sub/b.txt", "sub/deep/b.txt", "out/x")
    (tmp_path / ".gitignore").write_text("*.log\n/out\n")
    (tmp_path / "sub" / ".gitignore").write_text("!a.log\nb.txt\n")
    everything = [
        ".gitignore",
        "a.log",
        "out/x",
        "sub/.gitignore",
        "sub/a.log",
        "sub/b.txt",
        "sub/deep/b.txt",
    ]
    assert names(tmp_path) == everything
    tally = Tally()
    assert names(tmp_path, tally, use_gitignore=True) == [".gitignore", "sub/.gitignore", "sub/a.log"]
    assert tally.reasons == {".gitignore": 4}


def test_gitignore_above_the_target_holds_within_the_repository(tmp_path: Path) -> None:
    touch(tmp_path, "repo/.git/HEAD", "repo/src/gen/a.py", "repo/src/b.py", "repo/src/c.py")
    (tmp_path / ".gitignore").write_text("c.py\n")
    (tmp_path / "repo" / ".gitignore").write_text("/src/gen\n")
    assert names(tmp_path / "repo" / "src", use_gitignore=True) == ["b.py", "c.py"]


def test_costly_and_broken_patterns_of_a_gitignore_are_said_and_not_honoured(tmp_path: Path) -> None:
    touch(tmp_path, "a" * 200, "b.log")
    (tmp_path / ".gitignore").write_text("*a*a*a*a*a*a*b\n!\n*.log\n[z-a]\n")
    started = time.process_time()
    assert names(tmp_path, use_gitignore=True) == [".gitignore", "a" * 200]
    assert time.process_time() - started < 1
    (note,) = notes(tmp_path, use_gitignore=True)
    assert note.message == "3 of its patterns are not honoured"
    assert not note.incomplete


def test_an_oversized_or_linked_gitignore_hides_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.log", "b/x.log")
    (tmp_path / "a" / ".gitignore").write_text("*.log\n" + "#" * (256 * 1024))
    (tmp_path / "patterns").write_text("*.log\n")
    (tmp_path / "b" / ".gitignore").symlink_to("../patterns")
    found = names(tmp_path, use_gitignore=True)
    assert "a/x.log" in found
    assert "b/x.log" in found


def test_links_are_counted_and_one_that_leaves_the_tree_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "outside.pkl", "tree/a.pkl", "tree/d/x")
    tree = tmp_path / "tree"
    (tree / "same").symlink_to("a.pkl")
    (tree / "out").symlink_to("../outside.pkl")
    (tree / "outdir").symlink_to(tmp_path)
    (tree / "loop").symlink_to(".")
    (tree / "broken").symlink_to("nowhere")
    (tree / "self").symlink_to("self")
    tally = Tally()
    assert names(tree, tally) == ["a.pkl", "d/x"]
    assert tally.reasons == {"link": 2, "link out of the tree": 2, "broken link": 2}
    assert tally.skipped_files == 6
    assert [(note.code, note.incomplete) for note in notes(tree)] == [("link-outside", False)] * 2


def test_a_link_to_a_file_that_is_skipped_otherwise_is_looked_at(tmp_path: Path) -> None:
    touch(tmp_path, ".git/annex/objects/abc")
    (tmp_path / "model.pkl").symlink_to(".git/annex/objects/abc")
    (tmp_path / "again.pkl").symlink_to(".git/annex/objects/abc")
    assert names(tmp_path) == ["again.pkl"]
    assert names(tmp_path, exclude=("*.pkl",)) == []


def test_special_files_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pkl")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    found = notes(tmp_path)
    assert [note.code for note in found] == ["special-file"] * 2
    with pytest.raises(UsageError, match="not a file or folder"):
        items(tmp_path / "pipe.pkl")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can list every folder")
def test_a_folder_that_cannot_be_listed_is_a_gap(tmp_path: Path) -> None:
    touch(tmp_path, "a.py", "closed/b.py")
    (tmp_path / "closed").chmod(0)
    try:
        assert names(tmp_path) == ["a.py"]
        (note,) = notes(tmp_path)
        assert (note.code, note.incomplete) == ("unreadable", True)
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_failing_listing_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.py", "bad/b.py")
    real = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("bad"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        found = items(tmp_path)
    assert [each.code for each in found if isinstance(each, Notification)] == ["unreadable"]
    assert [each.location for each in found if isinstance(each, Notification) if each.incomplete]


def test_a_vanished_file_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        name = "gone"
        path = str(tmp_path / "gone")

        def is_symlink(self) -> bool:
            raise FileNotFoundError(2, "No such file or directory")

    class Listing(list[Entry]):
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_error: object) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", lambda _path: Listing([Entry()]))
        (note,) = notes(tmp_path)
    assert note.incomplete
    assert str(note.location) == f"{tmp_path.as_posix()}/gone"


def test_a_folder_is_visited_once_whatever_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/x", "b/x")
    real = os.stat
    tally = Tally()
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda path, **more: real(str(path).replace("/b", "/a"), **more))
        assert names(tmp_path, tally) == ["a/x"]
    assert tally.reasons == {"visited before": 1}


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 names only")
def test_names_that_are_not_utf8_can_be_printed_and_opened(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff\xe9.pkl", "wb") as stream:  # noqa: PTH123 - bytes
        stream.write(b"abc")
    (found,) = (each for each in items(tmp_path, exclude=("*.txt",)) if isinstance(each, Artifact))
    assert found.uri.endswith("/\\xff\\xe9.pkl")
    found.uri.encode()
    assert found.path.read_bytes() == b"abc"


def test_a_tree_deeper_than_the_recursion_limit(tmp_path: Path) -> None:
    here = os.getcwd()  # noqa: PTH109 - paths this long are beyond pathlib
    try:
        os.chdir(tmp_path)
        for _level in range(1500):
            os.mkdir("d")  # noqa: PTH102 - likewise
            os.chdir("d")
        found = names(tmp_path)
        for _level in range(1500):  # pytest's own clean-up is recursive
            os.chdir("..")
            os.rmdir("d")  # noqa: PTH106 - likewise
    finally:
        os.chdir(here)
    assert found == []


def test_a_file_as_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.py", "b.py")
    (found,) = items(tmp_path / "a.py")
    assert isinstance(found, Artifact)
    assert (found.path, found.size, found.root) == (tmp_path / "a.py", 1, tmp_path)
    tally = Tally()
    assert items(tmp_path / "a.py", tally, exclude=("*.py",)) == []
    assert tally.skipped_files == 1
    monkeypatch.chdir(tmp_path.parent)
    (found,) = items(Path(tmp_path.name, "a.py"))
    assert isinstance(found, Artifact)
    assert found.root == tmp_path.parent


@pytest.mark.parametrize("name", ["missing", "nul\0byte"])
def test_a_missing_target_is_a_usage_error_with_a_hint(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        items(tmp_path / name)
    assert caught.value.hint == "give files or folders that exist"


def test_five_thousand_files_take_little_time(tmp_path: Path) -> None:
    for folder in range(50):
        base = tmp_path / f"d{folder}"
        base.mkdir()
        for file in range(100):
            os.close(os.open(base / f"f{file}", os.O_CREAT))
    best = 1.0
    for _run in range(3):
        started = time.process_time()
        assert len(names(tmp_path)) == 5000
        best = min(best, time.process_time() - started)
    assert best < 0.2  # about 0.04 s; the margin is for slow machines and coverage
