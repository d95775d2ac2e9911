"""The house's own promises, held by measuring the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "supplyguard"
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 420
MOST_FUNCTION_LINES = 65
BOUNDARY = PACKAGE / "boundary.py"
LOADERS = {
    "pickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "torch",
    "numpy",
    "runpy",
}
HEAVY = {
    "fickling",
    "huggingface_hub",
    "jinja2",
    "packageurl",
    "packaging",  # 35 ms, and most scans of model files meet no requirement
    "pathspec",
    "pip_audit",
    "platformdirs",
    "requests",
    "rich",
    "sqlite3",
    "supplyguard",  # a command's own machinery, so that --version stays quick
    "urllib3",
    "yaml",
}
SOCKETS = {"socket", "ssl", "http", "urllib3", "requests", "httpx", "aiohttp"}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    typing_only = {
        below
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for below in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node, node.module


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
class TestEachFile:
    def test_is_short(self, path: Path) -> None:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES

    def test_has_short_functions(self, path: Path) -> None:
        long = {
            each.name: each.end_lineno - each.lineno
            for each in functions(parse(path))
            if each.end_lineno is not None and each.end_lineno - each.lineno > MOST_FUNCTION_LINES
        }
        assert long == {}

    def test_imports_nothing_that_loads_models(self, path: Path) -> None:
        assert {name for _, name in imports(parse(path)) if name.partition(".")[0] in LOADERS} == set()

    def test_opens_no_socket_but_in_fetch(self, path: Path) -> None:
        found = {name for _, name in imports(parse(path)) if name.partition(".")[0] in SOCKETS}
        if path.name == "fetch.py" or path == PACKAGE / "advisories" / "pypi_service.py":
            return  # pip-audit brings its own client; the adapter names that client's exceptions
        assert found == set()

    def test_catches_everything_only_at_the_boundary(self, path: Path) -> None:
        broad = [
            node.lineno
            for node in ast.walk(parse(path))
            if isinstance(node, ast.ExceptHandler)
            and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
        ]
        assert len(broad) == (1 if path == BOUNDARY else 0)

    def test_imports_inside_functions_only_what_is_heavy(self, path: Path) -> None:
        local = {
            name.partition(".")[0] for function in functions(parse(path)) for _, name in imports(function)
        }
        assert local <= HEAVY


def test_no_vague_module_names() -> None:
    vague = {"utils", "helpers", "helper", "manager", "base", "common", "misc"}
    assert {path.stem for path in FILES} & vague == set()


def test_nothing_starts_a_process_on_the_scan_path() -> None:
    able = {"subprocess", "multiprocessing", "pty", "posix"}
    starters = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if {name for _, name in imports(parse(path))} & able
    }
    allowed = {"decompile.py", "resolution/program.py"}
    assert starters <= allowed, "only inspect's child process and the resolver may start programs"
