"""Nothing of a scanned project runs when its dependencies are resolved, whatever it holds.

Every trap writes a file of its own into one folder when it runs; that folder has to stay empty.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supplyguard import scan as scanning
from supplyguard.advisories.embedded import EmbeddedDatabase
from supplyguard.aspect import Aspect
from supplyguard.inventory import DependencyKind
from supplyguard.resolution import Terms, When, program
from supplyguard.resources import cache_folder
from supplyguard.rules import load_catalogue
from tests.resolution.package_index import Packages, serving

needs_uv = pytest.mark.skipif(program.find_program(()) is None, reason="uv is not installed")
CODE = """
from supplyguard import cli, wiring
wiring._databases = lambda _settings: ()  # nothing but the index may be asked
cli.main()
"""
posix = pytest.mark.skipif(os.name == "nt", reason="shell scripts")


@pytest.fixture
def markers(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "markers"
    folder.mkdir()
    yield folder
    assert sorted(each.name for each in folder.iterdir()) == []


@pytest.fixture
def project(tmp_path: Path, markers: Path) -> Path:
    """Make a project in which everything that could run leaves a marker."""
    root = tmp_path / "project"

    def python(name: str) -> str:
        return f"open({str(markers / name)!r}, 'w').close()\n"

    def write(name: str, text: str) -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def script(name: str, marker: str) -> None:
        path = write(name, f"#!/bin/sh\n: > '{markers / marker}'\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    write(
        "setup.py", python("setup.py") + "from setuptools import setup\nsetup(install_requires=['alpha'])\n"
    )
    write("backend.py", python("backend"))
    write(
        "pyproject.toml",
        f"""[build-system]
requires = ["alpha"]
build-backend = "backend"
backend-path = ["."]
[project]
name = "trap"
version = "1"
dependencies = [
  "alpha", "--index-url http://127.0.0.1:1/simple", "-e .", "-r more.txt", "beta\\n-e .",
  "beta --find-links links", "evil @ git+file://{root}/repository", "local @ file://{root}/inner",
  "alpha; platform_version != ' -e . '",
]
[tool.uv.sources]
alpha = {{ path = "inner" }}
[tool.uv]
index-url = "http://127.0.0.1:1/simple"
""",
    )
    write("uv.toml", 'index-url = "http://127.0.0.1:1/simple"\nno-build = false\n')
    write("pip.conf", "[global]\nindex-url = http://127.0.0.1:1/simple\n")
    write("requirements.txt", "alpha\n-e .\n./inner\ngit+file:///nowhere/x\n--find-links links\nbeta\n")
    write("more.txt", "-e .\n")
    write("hostile/requirements.txt", "hostile\n")
    for folder in ("inner", "repository"):
        write(f"{folder}/setup.py", python(f"{folder}-setup"))
        write(f"{folder}/pyproject.toml", '[build-system]\nrequires = []\nbuild-backend = "b"\n')
        write(f"{folder}/b.py", python(f"{folder}-backend"))
    for name in (
        ".venv/bin/python",
        ".venv/bin/python3",
        ".venv/bin/uv",
        "bin/python",
        "bin/uv",
        "uv",
        "git",
    ):
        script(name, name.replace("/", "-"))
    write(".venv/pyvenv.cfg", "home = /usr/bin\n")
    write(".python-version", "./.venv/bin/python\n")
    for folder in (".", "Lib/site-packages", ".venv/lib/python3.11/site-packages"):
        write(f"{folder}/evil.pth", f"import os; {python('pth')}")
        write(f"{folder}/sitecustomize.py", python("sitecustomize"))
    write("uv.py", python("uv.py"))
    links = root / "links"
    links.mkdir()
    with zipfile.ZipFile(links / "beta-9.0-py3-none-any.whl", "w") as archive:
        archive.writestr("beta-9.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: beta\nVersion: 9.0\n")
        archive.writestr("beta-9.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    return root


@pytest.fixture
def index(markers: Path) -> Iterator[str]:
    """Serve packages that want more than they should."""
    packages = Packages(marker=markers / "package")
    packages.wheel("alpha", "1.0", ["beta", "gamma"])
    packages.wheel("hostile", "2.0", [f"evil @ git+file://{markers.parent}/project/repository"])
    packages.wheel("beta", "1.0")
    packages.source("beta", "2.0", [f"evil @ file://{markers.parent}/project/inner", "-e .", "gamma"])
    packages.source("gamma", "1.0", None)
    with serving(packages) as url:
        yield url


def scan(project: Path, index: str) -> dict[str, Any]:
    """Scan from inside of the project, in a process of its own, with traps in its environment."""
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            CODE,
            *("scan", "--format", "json", "--only", "dependencies", "--resolve", "always", "--isolated"),
            *("--index-url", index, "--hub-cache", "none", "."),
        ],
        cwd=project,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PATH": os.pathsep.join([".", "bin", "", str(project / "bin"), ".venv/bin", os.environ["PATH"]]),
            "VIRTUAL_ENV": str(project / ".venv"),
            "UV_CONFIG_FILE": str(project / "uv.toml"),
            "UV_PYTHON": str(project / ".venv" / "bin" / "python"),
            "UV_FIND_LINKS": str(project / "links"),
            "UV_INDEX_URL": "http://127.0.0.1:1/simple",
            "PIP_CONFIG_FILE": str(project / "pip.conf"),
        },
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.stdout, done.stderr.decode()
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report


@posix
@needs_uv
def test_no_trap_runs(project: Path, index: str) -> None:
    report = scan(project, index)
    messages = [each["message"] for each in report["notifications"]]
    assert any("resolved by uv" in each for each in messages)
    assert any("not resolved" in each and "evil" in each and "URL dependency" in each for each in messages)


@posix
@needs_uv
def test_what_traps_want_is_not_taken(project: Path, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The versions are those of the index, and of no folder or configuration of the project."""
    monkeypatch.chdir(project)
    terms = Terms(when=When.ALWAYS, cache=cache_folder() / "uv", progress=print, index=index)
    report = scanning.scan(
        [Path()],
        scanning.ScanOptions(
            catalogue=load_catalogue(),
            aspects=frozenset({Aspect.DEPENDENCIES}),
            resolution=terms,
            databases=lambda: (EmbeddedDatabase(),),
        ),
    )
    rows = [each.dependency for each in report.audits if each.dependency.kind is DependencyKind.RESOLVED]
    resolved = {(each.location.uri, each.name, each.version) for each in rows}
    assert ("requirements.txt", "alpha", "1.0") in resolved
    assert ("requirements.txt", "beta", "2.0") in resolved
    assert ("pyproject.toml", "gamma", "1.0") in resolved
    assert not any(version == "9.0" for _uri, _name, version in resolved)


@posix
def test_only_programs_outside_of_the_project_are_taken(
    project: Path, markers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path / "nowhere"))
    monkeypatch.chdir(project)
    monkeypatch.setenv("PATH", os.pathsep.join([".", "", "bin", str(project / "bin"), f"{tmp_path}/link"]))
    (tmp_path / "link").symlink_to(project / "bin")
    assert program.find_program(()) is None
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "uv").write_text("#!/bin/sh\n")
    (outside / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(project / "bin"), str(outside)]))
    assert program.find_program((project,)) == outside / "uv"
    monkeypatch.chdir(tmp_path / "markers")
    assert program.find_program((outside,)) == project / "bin" / "uv", "neither scanned nor worked in"
    assert markers.is_dir()


@posix
@needs_uv
def test_the_traps_do_catch(project: Path, markers: Path) -> None:
    """Run two of them by hand, so that an empty folder of markers means something."""
    subprocess.run([project / "bin" / "uv"], check=True)
    subprocess.run([sys.executable, project / "backend.py"], check=True)
    caught = sorted(each.name for each in markers.iterdir())
    assert caught == ["backend", "bin-uv"]
    for name in caught:
        (markers / name).unlink()
