"""The command line as a user meets it: output, exit codes, bad input."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from supplyguard import __version__, cli, wiring
from supplyguard.console import ColorChoice, Console

ROOT = Path(__file__).parent.parent
MALICIOUS = b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03."
HONEST = b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s."


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., Ran]:
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["supplyguard", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capfdbinary.readouterr()
        assert isinstance(end.value.code, int)
        ran = Ran(end.value.code, out.decode(), err.decode())
        assert "Traceback" not in ran.err
        return ran

    return called


Run = Callable[..., Ran]


def one_line(text: str) -> bool:
    return text.endswith("\n") and text.count("\n") == 1


def test_version(run: Run) -> None:
    assert run("--version") == Ran(0, f"supplyguard {__version__}\n", "")


def test_exit_codes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.pkl").write_bytes(HONEST)
    (tmp_path / "bad.pkl").write_bytes(MALICIOUS)
    (tmp_path / "cut.pkl").write_bytes(HONEST[:-3])
    scan = ("scan", "--offline", "--hub-cache", tmp_path / "none")
    assert run(*scan, "good.pkl").code == 0
    assert run(*scan, "bad.pkl").code == 1
    assert run(*scan, "cut.pkl").code == 3
    assert run(*scan, "cut.pkl", "bad.pkl").code == 1
    assert run(*scan, "absent.pkl").code == 2
    assert run(*scan, "--exit-zero", "bad.pkl").code == 0
    assert run(*scan, "--allow-incomplete", "cut.pkl").code == 0
    assert run(*scan, "--fail-on", "never", "bad.pkl").code == 0


def test_a_pass_is_silent_when_quiet(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.pkl").write_bytes(HONEST)
    assert run("scan", "--offline", "-q", "good.pkl") == Ran(0, "", "")


def test_the_finding_is_where_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(MALICIOUS)
    report = json.loads(run("scan", "--offline", "--format", "json", "bad.pkl").out)
    assert report["verdict"] == "fail"
    places = [finding["location"] for finding in report["findings"]]
    assert any(place["uri"] == "bad.pkl" and place["offset"] == MALICIOUS.index(b"R") for place in places)


def test_files_by_suffix_and_nothing_on_stdout_unless_asked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(MALICIOUS)
    ran = run("scan", "--offline", "-o", "r.sarif", "-o", "r.json", "-o", "r.md", "-o", "r.txt", "bad.pkl")
    assert (ran.code, ran.out) == (1, "")
    assert json.loads((tmp_path / "r.sarif").read_text())["version"] == "2.1.0"
    assert json.loads((tmp_path / "r.json").read_text())["findings"]
    assert "bad.pkl" in (tmp_path / "r.md").read_text()
    assert "bad.pkl" in (tmp_path / "r.txt").read_text()
    assert stat.S_IMODE((tmp_path / "r.json").stat().st_mode) & 0o600 == 0o600
    ran = run("scan", "--offline", "-f", "sarif", "-o", "again.txt", "bad.pkl")
    assert json.loads(ran.out)["runs"]


def test_a_baseline_accepts_what_was_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(MALICIOUS)
    for name in ("old.json", "old.sarif"):
        assert run("scan", "--offline", "-o", name, "bad.pkl").code == 1
        assert run("scan", "--offline", "--baseline", name, "bad.pkl").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("scan", "absent"), "absent"),
        (("scan", "--surprise"), "--surprise"),
        (("scan", "--format", "yaml", "."), "yaml"),
        (("scan", "-o", "report.xyz", "."), "report.xyz"),
        (("scan", "--fail-on", "grave", "."), "grave"),
        (("scan", "--config", "absent.toml", "."), "absent.toml"),
        (("scan", "--baseline", "absent.json", "."), "absent.json"),
        (("scan", "--rules", "absent.yaml", "."), "absent.yaml"),
        (("scan", "--only", "weather", "."), "weather"),
        (("explain", "no-such-rule"), "no-such-rule"),
        (("db", "update", "--from", "absent.zip"), "absent.zip"),
        (("nonsense",), "nonsense"),
    ],
)
def test_wrong_use_is_one_line_and_two(arguments: tuple[str, ...], words: str, run: Run) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert words in ran.err
    assert one_line(ran.err)


def test_a_broken_configuration_names_its_key(run: Run, tmp_path: Path) -> None:
    (tmp_path / "supplyguard.toml").write_text("colour = 3")
    ran = run("scan", "--offline", ".")
    assert ran.code == 2
    assert "colour" in ran.err
    assert run("scan", "--offline", "--isolated", ".").code == 0


def test_ignores_from_the_scanned_folder_are_announced(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(MALICIOUS)
    (tmp_path / "supplyguard.toml").write_text(
        '[[ignore]]\nrule = "pickle-executes-code"\nreason = "a test"\n'
    )
    ran = run("scan", "--offline", "--format", "json", ".")
    report = json.loads(ran.out)
    assert "configuration-in-tree" in {each["code"] for each in report["notifications"]}


def test_an_output_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.pkl").write_bytes(HONEST)
    ran = run("scan", "--offline", "-o", "no/such/folder/r.json", "-o", "r.txt", "good.pkl")
    assert ran.code == 2
    assert one_line(ran.err)
    assert (tmp_path / "r.txt").exists(), "the other output is served"


def test_a_full_disk_leaves_the_old_report(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "good.pkl").write_bytes(HONEST)
    (tmp_path / "r.json").write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ran = run("scan", "--offline", "-o", "r.json", "good.pkl")
    assert ran.code == 2
    assert "No space left" in ran.err
    assert (tmp_path / "r.json").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.pkl", "r.json"]


def test_an_unexpected_failure_exits_with_two(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_more: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(wiring, "run_scan", broken)
    ran = run("scan", ".")
    assert ran.code == 2
    assert "ZeroDivisionError" in ran.err


def test_an_interrupt_exits_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(wiring, "run_scan", interrupted)
    assert run("scan", ".").code == 130


def test_explain_and_rules(run: Run) -> None:
    listed = run("rules").out
    assert "pickle-executes-code" in listed
    for line in listed.splitlines():
        assert re.match(r"[a-z0-9-]+ +(critical|high|medium|low|info) +\S", line)
    explained = run("explain", "pickle-executes-code").out
    assert "Why:" in explained
    assert "https://" in explained


def test_inspect(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(MALICIOUS)
    ran = run("inspect", "bad.pkl")
    assert ran.code == 0
    assert "REDUCE posix.system('true')" in ran.out
    assert run("inspect", "absent.pkl").code == 2


def test_db_status_without_a_store(run: Run, tmp_path: Path) -> None:
    ran = run("db", "status", "--db", tmp_path / "none.sqlite3")
    assert ran.code == 0
    assert "no advisory store" in ran.out
    assert "embedded" in ran.out


def test_hostile_names_do_not_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    name = "evil\x1b[2J\u202e.pkl"
    (tmp_path / name).write_bytes(MALICIOUS)
    ran = run("scan", "--offline", "--color", "never", ".")
    assert ran.code == 1
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
    assert "\x1b" not in run("scan", "absent\x1b[2J").err


class Terminal:
    """A stderr that says it is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_progress_is_one_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("supplyguard.console.FIRST_PROGRESS", 0.0)
    monkeypatch.setattr("supplyguard.console.PROGRESS_INTERVAL", 0.0)
    with Console(progress=True) as console:
        console.progress("a\x1bb")
    assert terminal.text.startswith("\r\x1b[K")
    assert terminal.text.endswith("\r\x1b[K")
    assert "a\x1bb" not in terminal.text
    terminal.text = ""
    with Console(progress=False) as console:
        console.progress("a")
    assert terminal.text == ""


@pytest.mark.parametrize(
    ("environment", "choice", "expected"),
    [
        ({}, ColorChoice.AUTO, True),
        ({"NO_COLOR": "1"}, ColorChoice.AUTO, False),
        ({"NO_COLOR": "1"}, ColorChoice.ALWAYS, True),
        ({"FORCE_COLOR": "1"}, ColorChoice.NEVER, False),
    ],
)
def test_colours(
    environment: dict[str, str], choice: ColorChoice, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Console(color=choice).colors(Terminal()) is expected  # type: ignore[arg-type]


def test_a_closed_pipe_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "good.pkl").write_bytes(HONEST)
    command = f"{sys.executable} -m supplyguard scan --offline good.pkl; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({command}) | true"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stderr == "0\n"
