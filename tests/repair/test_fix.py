"""`supplyguard fix`: what is raised, what stays as it was, and what is left to people."""

from __future__ import annotations

import json
import os
import stat
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from supplyguard import cli
from supplyguard.advisories.update import update

Fix = Callable[..., tuple[int, str]]


def record(name: str, number: int, *events: tuple[str, str], **more: object) -> dict[str, object]:
    ranges = [{"type": "ECOSYSTEM", "events": [{kind: version} for kind, version in events]}]
    return {
        "id": f"PYSEC-2026-{number}",
        "modified": "2026-01-01T00:00:00Z",
        "summary": "a problem",
        "affected": [{"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges}],
        **more,
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    records = [
        record("old", 1, ("introduced", "0"), ("fixed", "1.5")),
        record("old", 2, ("introduced", "1.0"), ("fixed", "2.0")),
        record("old", 3, ("introduced", "2.0"), ("fixed", "2.1")),
        record("hopeless", 4, ("introduced", "0")),
        record("bad", 5, ("introduced", "0"), id="MAL-2026-1"),
    ]
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for each in records:
            archive.writestr(f"{each['id']}.json", json.dumps(each))
    update(folder / "store.sqlite3", str(folder / "all.zip"))
    return folder / "store.sqlite3"


@pytest.fixture
def fix(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Fix:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        line = ["supplyguard", "fix", "--offline", "--isolated", "--db", str(store), "--fail-on", "low"]
        monkeypatch.setattr(sys, "argv", [*line, *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capfd.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, out + err

    return run


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_pin_is_raised_past_every_problem(fix: Fix) -> None:
    path = write("requirements.txt", "# why\nold[x]  == 1.2 ; python_version > '3.8'  # keep\nfine==1\n")
    path.chmod(0o640)
    code, out = fix("--dry-run")
    assert code == 1
    assert "-old[x]  == 1.2 ;" in out
    assert "+old[x]  == 2.1 ;" in out
    assert "1.2" in path.read_text()
    code, out = fix()
    assert code == 0
    assert "raised from 1.2 to 2.1" in out
    assert path.read_text() == "# why\nold[x]  == 2.1 ; python_version > '3.8'  # keep\nfine==1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in Path().iterdir()] == ["requirements.txt"]
    assert fix() == (0, "0 pins raised, 0 statements left to you\n")


@pytest.mark.parametrize(
    ("encoding", "mark"), [("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-8", b"")]
)
def test_encoding_and_line_ends_stay(fix: Fix, encoding: str, mark: bytes) -> None:
    path = write("requirements.txt", mark + "# ü\r\nold==1.2\r\n\r\nfine===1 \\\r\n  # x".encode(encoding))
    assert fix()[0] == 0
    assert path.read_bytes() == mark + "# ü\r\nold==2.1\r\n\r\nfine===1 \\\r\n  # x".encode(encoding)


def test_pyproject_and_constraints(fix: Fix) -> None:
    project = write(
        "pyproject.toml",
        '[project]\nname = "p"\nversion = "1"\ndependencies = [\n  "old==1.2", # 1.2\n  \'fine==1\',\n]\n'
        '[dependency-groups]\ndev = ["""old === 1.4"""]\n',
    )
    constraints = write("constraints.txt", "old==1.2\n")
    assert fix()[0] == 0
    assert project.read_text().count("2.1") == 2
    assert '"old==2.1", # 1.2' in project.read_text()
    assert constraints.read_text() == "old==2.1\n"


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("old==1.2 --hash=sha256:" + "a" * 64, "uv pip compile --generate-hashes --upgrade-package old==2.1"),
        ("old==1.2,<2", "<2 excludes that version"),
        ("old==1.2+cu121", "a local build"),
        ("old=\\\n=1.2", "not written plainly"),
        ("hopeless==1", "no version is known"),
        ("bad==1", "known to be malicious"),
        ("old==1.2\nold<2", "requirements.txt:2:1 has <2"),
        ("old @ https://x.test/old-1.2-py3-none-any.whl", "from an address"),
    ],
)
def test_what_is_left_to_people(fix: Fix, line: str, advice: str) -> None:
    path = write("requirements.txt", f"{line}\n")
    before = path.read_bytes()
    code, out = fix()
    assert (code, path.read_bytes()) == (1, before), out
    assert advice in out


def test_locks_say_what_to_run(fix: Fix) -> None:
    write("a/uv.lock", 'version = 1\n[[package]]\nname = "old"\nversion = "1.2"\n')
    write("b/poetry.lock", '[[package]]\nname = "old"\nversion = "1.2"\n[metadata]\nlock-version = "2.1"\n')
    write("environment.yml", "dependencies:\n  - pip:\n    - old==1.2\n")
    code, out = fix()
    assert code == 1
    assert "run: uv lock --upgrade-package old==2.1 (in a)" in out
    assert "run: poetry update old (in b)" in out
    assert "raise it to 2.1 by hand" in out


def test_a_command_holds_no_other(fix: Fix) -> None:
    write("uv.lock", 'version = 1\n[[package]]\nname = "old"\nversion = "1.2"\n')
    path = Path("x; touch y\x1b[2J")
    write(f"{path}/uv.lock", 'version = 1\n[[package]]\nname = "old"\nversion = "1.2"\n')
    assert "\x1b" not in fix()[1]


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_links(fix: Fix, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "real.txt"
    outside.write_text("old==1.2\n")
    (tmp_path / "requirements.txt").symlink_to(outside)
    code, out = fix("requirements.txt")
    assert code == 1
    assert "out of the scanned folders" in out
    assert outside.read_text() == "old==1.2\n"
    write("sub/inner.txt", "old==1.2\n")
    (tmp_path / "requirements.txt").unlink()
    (tmp_path / "requirements.txt").symlink_to("sub/inner.txt")
    assert fix("requirements.txt")[0] == 0
    assert (tmp_path / "requirements.txt").is_symlink()
    assert Path("sub/inner.txt").read_text() == "old==2.1\n"


def test_an_included_file_is_raised_too(fix: Fix) -> None:
    write("requirements.txt", "-r deps/base.txt\n")
    base = write("deps/base.txt", "old==1.2\n")
    assert fix()[0] == 0
    assert base.read_text() == "old==2.1\n"


def test_a_diff_is_harmless(fix: Fix) -> None:
    write("requirements.txt", "# \x1b[2J\u202e\n::error::x\nold==1.2 # ##[group]\n")
    code, out = fix("--dry-run")
    assert code == 1
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "##[" not in out
    assert "\n::error" not in out


def test_what_cannot_be_read_makes_it_incomplete(fix: Fix) -> None:
    write("requirements.txt", "fine==1\n-r absent.txt\n")
    code, out = fix()
    assert code == 3
    assert "not everything could be examined" in out
    assert fix("--allow-incomplete")[0] == 0


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind root")
def test_a_folder_that_cannot_be_written(fix: Fix, tmp_path: Path) -> None:
    path = write("requirements.txt", "old==1.2\n")
    tmp_path.chmod(0o500)
    code, out = fix()
    tmp_path.chmod(0o700)
    assert code == 1
    assert "cannot be written" in out
    assert path.read_text() == "old==1.2\n"
