"""Configuration: flags over environment over file over defaults. Unknown keys are errors."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from supplyguard.errors import ConfigError
from supplyguard.finding import Confidence, Severity
from supplyguard.policy import Ignore, parse_ignore
from supplyguard.resolution import SECONDS, When

PREFIX: Final = "SUPPLYGUARD_"
FILE: Final = "supplyguard.toml"
PYPROJECT: Final = "pyproject.toml"
NOTHING: Final = "never"
"""The fail-on value that gates nothing."""

S = TypeVar("S", Severity, Confidence)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All settings. `source` names the file that they came from, "" when there is none.

    max_db_age: days after which the local advisory data is called old; 0: never.
    resolve: when open versions are resolved; resolve_timeout: seconds for all of them together;
    index_url: the package index for that, "" for PyPI; python_version, python_platform: what to
    resolve for, "" for the Python and the platform that run us.

    Paths in a file are relative to the file's folder.
    """

    exclude: tuple[str, ...] = ()
    gitignore: bool = False
    fail_on: Severity | None = Severity.HIGH
    fail_on_kev: bool = False
    fail_on_epss: float | None = None
    min_severity: Severity = Severity.INFO
    min_confidence: Confidence = Confidence.LOW
    offline: bool = False
    allow_incomplete: bool = False
    baseline: Path | None = None
    vex: tuple[Path, ...] = ()
    db: Path | None = None
    max_db_age: int = 7
    hub_cache: Path | None = None
    rules: tuple[Path, ...] = ()
    knowledge: tuple[Path, ...] = ()
    resolve: When = When.AUTO
    resolve_timeout: int = SECONDS
    index_url: str = ""
    python_version: str = ""
    python_platform: str = ""
    ignores: tuple[Ignore, ...] = ()
    source: str = ""


KINDS: Final[Mapping[str, str]] = {
    "exclude": "texts",
    "gitignore": "flag",
    "fail_on": "threshold",
    "fail_on_kev": "flag",
    "fail_on_epss": "share",
    "min_severity": "severity",
    "min_confidence": "confidence",
    "offline": "flag",
    "allow_incomplete": "flag",
    "baseline": "path",
    "vex": "paths",
    "db": "path",
    "max_db_age": "days",
    "hub_cache": "path",
    "rules": "paths",
    "knowledge": "paths",
    "resolve": "when",
    "resolve_timeout": "seconds",
    "index_url": "address",
    "python_version": "python",
    "python_platform": "platform",
}

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "when": ("|".join(When), "auto, always or never"),
    "address": (r"https?://[!-~]{1,2000}", "the address of a package index"),
    "python": (r"3\.\d{1,3}(?:\.\d{1,3})?", "a Python version such as 3.12"),
    "platform": (r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", "a platform such as linux, macos or windows"),
}
"""Texts of a form, and what each is."""


def load_settings(
    flags: Mapping[str, Any],
    *,
    environment: Mapping[str, str],
    folder: Path,
    file: Path | None = None,
    isolated: bool = False,
) -> Settings:
    """Merge all sources of settings.

    flags: by field name, as on the command line; None means not given. folder: where to look for
    a configuration file, then in its parents up to the repository's root. file: use this one
    instead. isolated: read no file. Raises ConfigError with the path to the bad key.
    """
    values: dict[str, Any] = {}
    found = None if isolated else (file or _find(folder))
    if found is not None:
        values.update(_from_file(found))
    for key, kind in KINDS.items():
        name = PREFIX + key.upper()
        if name in environment:
            values[key] = _from_text(environment[name], kind, name, Path())
    for key, value in flags.items():
        if value is not None and value not in ([], ()):
            values[key] = _convert(value, KINDS[key], f"--{key.replace('_', '-')}", Path())
    return Settings(**values, source=str(found) if found is not None and values else "")


def _find(folder: Path) -> Path | None:
    """Find the nearest file with our settings; a repository's root ends the search."""
    start = folder.absolute()
    for place in (start, *start.parents):
        own = place / FILE
        if own.is_file():
            return own
        shared = place / PYPROJECT
        if shared.is_file() and "supplyguard" in _tool_tables(shared):
            return shared
        if (place / ".git").exists():
            return None
    return None


def _tool_tables(path: Path) -> Mapping[str, Any]:
    """Give pyproject's [tool] tables; a broken file is reported by the scan that reads it."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    tool = document.get("tool")
    return tool if isinstance(tool, dict) else {}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    table = document
    where = str(path)
    if path.name == PYPROJECT:
        tool = document.get("tool")
        table = tool.get("supplyguard", {}) if isinstance(tool, dict) else {}
        where += " [tool.supplyguard]"
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: expected a table")
    return _from_table(table, where, path.parent)


def _from_table(table: Mapping[str, Any], where: str, folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for written, value in table.items():
        key = written.replace("-", "_")
        if key == "ignore":
            if not isinstance(value, list):
                raise ConfigError(f"{where}: ignore: expected [[ignore]] tables")
            values["ignores"] = tuple(
                parse_ignore(entry, f"{where}: ignore[{index}]") for index, entry in enumerate(value)
            )
        elif key in KINDS and "_" not in written:
            values[key] = _convert(value, KINDS[key], f"{where}: {written}", folder)
        else:
            known = ", ".join(sorted([*(each.replace("_", "-") for each in KINDS), "ignore"]))
            raise ConfigError(f"{where}: unknown key {written!r}", hint=f"known keys: {known}")
    return values


def _from_text(text: str, kind: str, where: str, folder: Path) -> Any:
    """Convert an environment variable: lists are separated as PATH is."""
    if kind == "flag":
        words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
        if text.lower() not in words:
            raise ConfigError(f"{where}: expected true or false, not {text!r}")
        return words[text.lower()]
    if kind in {"texts", "paths"}:
        return _convert([each for each in text.split(os.pathsep) if each], kind, where, folder)
    return _convert(text, kind, where, folder)


def _convert(value: Any, kind: str, where: str, folder: Path) -> Any:
    if kind == "flag":
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: expected true or false")
        return value
    if kind in {"texts", "paths"}:
        if not isinstance(value, list | tuple) or not all(isinstance(each, str | Path) for each in value):
            raise ConfigError(f"{where}: expected a list of texts")
        return tuple(folder / each for each in value) if kind == "paths" else tuple(str(v) for v in value)
    if kind in _NUMBERS:
        return _NUMBERS[kind](value, where)
    if not isinstance(value, str | Path):
        raise ConfigError(f"{where}: expected a text")
    if kind == "path":
        return folder / Path(value).expanduser()
    if kind == "threshold" and value == NOTHING:
        return None
    if kind in _WORDS:
        return _word(str(value), kind, where)
    if kind == "confidence":
        return _level(str(value), Confidence, where)
    return _level(str(value), Severity, where, NOTHING if kind == "threshold" else "")


def _word(text: str, kind: str, where: str) -> str:
    """Check a text of a form."""
    pattern, what = _WORDS[kind]
    if re.fullmatch(pattern, text) is None:
        raise ConfigError(f"{where}: expected {what}")
    return When(text) if kind == "when" else text


def _days(value: Any, where: str) -> int:
    """Read a whole number that is not negative; an environment variable gives it as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{where}: expected a whole number of days, 0 or more")
    return value


def _share(value: Any, where: str) -> float:
    """Read a number from 0 to 1; an environment variable gives it as text."""
    if isinstance(value, str) and re.fullmatch(r"[01]|[01]?\.\d{1,20}", value):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ConfigError(f"{where}: expected a number from 0 to 1")
    return float(value)


def _seconds(value: Any, where: str) -> float:
    """Read a whole number of seconds from 1 on."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{where}: expected a whole number of seconds, 1 or more")
    return value


_NUMBERS: Final[Mapping[str, Callable[[Any, str], float]]] = {
    "days": _days,
    "seconds": _seconds,
    "share": _share,
}


def _level(text: str, kind: type[S], where: str, extra: str = "") -> S:
    for each in kind:
        if each.label == text.lower():
            return each
    words = [each.label for each in kind] + ([extra] if extra else [])
    raise ConfigError(f"{where}: {text!r} is not one of {', '.join(words)}")
