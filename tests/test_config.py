"""Configuration: precedence, and errors that name the bad key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from supplyguard.config import Settings, load_settings
from supplyguard.errors import ConfigError
from supplyguard.finding import Confidence, Severity


def load(folder: Path, environment: dict[str, str] | None = None, /, **flags: Any) -> Settings:
    more = {key: flags.pop(key) for key in ("file", "isolated") if key in flags}
    return load_settings(flags, environment=environment or {}, folder=folder, **more)


def test_defaults(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert load(tmp_path) == Settings()


def test_flag_over_environment_over_file_over_default(tmp_path: Path) -> None:
    (tmp_path / "supplyguard.toml").write_text('fail-on = "low"\nmin-severity = "medium"\nexclude = ["a"]')
    environment = {"SUPPLYGUARD_FAIL_ON": "medium", "SUPPLYGUARD_EXCLUDE": "b:c"}
    assert load(tmp_path).fail_on is Severity.LOW
    assert load(tmp_path, environment).fail_on is Severity.MEDIUM
    settings = load(tmp_path, environment, fail_on="critical", exclude=[])
    assert settings.fail_on is Severity.CRITICAL
    assert settings.min_severity is Severity.MEDIUM
    assert settings.exclude == ("b", "c")
    assert settings.source == str(tmp_path / "supplyguard.toml")
    assert load(tmp_path, isolated=True) == Settings()


def test_pyproject_is_found_from_below_but_not_past_the_repository(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.supplyguard]\nfail-on = "never"\noffline = true')
    below = tmp_path / "repo" / "src"
    below.mkdir(parents=True)
    assert load(below).fail_on is None
    assert load(below).offline is True
    (tmp_path / "repo" / ".git").mkdir()
    assert load(below) == Settings()


@pytest.mark.parametrize("text", ["", "[project]", "tool = 3", "broken ["])
def test_a_pyproject_without_our_table_is_passed_over(text: str, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text(text)
    assert load(tmp_path) == Settings()


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c" / "own.toml"
    file.parent.mkdir()
    file.write_text('baseline = "b.json"\nrules = ["r"]\nhub-cache = "/h"')
    settings = load(tmp_path, file=file)
    assert settings.baseline == tmp_path / "c" / "b.json"
    assert settings.rules == (tmp_path / "c" / "r",)
    assert settings.hub_cache == Path("/h")


def test_ignores_are_read(tmp_path: Path) -> None:
    file = tmp_path / "supplyguard.toml"
    file.write_text('[[ignore]]\nrule = "a"\nreason = "b"\nexpires = 2027-01-31')
    (ignore,) = load(tmp_path).ignores
    assert (ignore.rule, str(ignore.expires)) == ("a", "2027-01-31")
    assert "ignore[0]" in ignore.origin


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fail-on = 3", "fail-on"),
        ('fail-on = "grave"', "grave"),
        ('min-confidence = "never"', "never"),
        ('offline = "yes"', "offline"),
        ("exclude = [3]", "exclude"),
        ('exclude = "a"', "exclude"),
        ("baseline = 1", "baseline"),
        ("ignore = 3", "ignore"),
        ("[[ignore]]\nrule = 3", r"ignore\[0\].rule"),
        ('fail_on = "low"', "unknown key"),
        ("surprise = 1", "surprise"),
        ("= 1", "not TOML"),
        ("a = " + "[" * 100_000, "not TOML"),
    ],
)
def test_a_wrong_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "supplyguard.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load(tmp_path, file=tmp_path / "absent.toml")


def test_our_table_must_be_a_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nsupplyguard = 3")
    with pytest.raises(ConfigError, match="expected a table"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("true", True), ("no", False), ("", False), ("0", False)]
)
def test_flags_from_the_environment(value: str, expected: bool, tmp_path: Path) -> None:
    assert load(tmp_path, {"SUPPLYGUARD_OFFLINE": value}, isolated=True).offline is expected


def test_other_values_from_the_environment(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {"SUPPLYGUARD_MIN_CONFIDENCE": "MEDIUM", "SUPPLYGUARD_DB": "/d", "SUPPLYGUARD_RULES": "/a:/b"},
        isolated=True,
    )
    assert settings.min_confidence is Confidence.MEDIUM
    assert settings.db == Path("/d")
    assert settings.rules == (Path("/a"), Path("/b"))
    with pytest.raises(ConfigError, match="SUPPLYGUARD_OFFLINE"):
        load(tmp_path, {"SUPPLYGUARD_OFFLINE": "perhaps"}, isolated=True)


def test_days_are_a_whole_number(tmp_path: Path) -> None:
    (tmp_path / "supplyguard.toml").write_text("max-db-age = 30")
    assert load(tmp_path).max_db_age == 30
    assert load(tmp_path, {"SUPPLYGUARD_MAX_DB_AGE": "3"}).max_db_age == 3
    assert load(tmp_path, {"SUPPLYGUARD_MAX_DB_AGE": "3"}, max_db_age=0).max_db_age == 0


@pytest.mark.parametrize("text", ["-1", "true", "1.5", '"week"', '""', "[]"])
def test_other_ages_are_errors(text: str, tmp_path: Path) -> None:
    (tmp_path / "supplyguard.toml").write_text(f"max-db-age = {text}")
    with pytest.raises(ConfigError, match=r"max-db-age: expected a whole number of days"):
        load(tmp_path)


def test_a_share_is_a_number_from_0_to_1(tmp_path: Path) -> None:
    (tmp_path / "supplyguard.toml").write_text("fail-on-epss = 0.25\nfail-on-kev = true")
    assert load(tmp_path).fail_on_epss == 0.25
    assert load(tmp_path).fail_on_kev is True
    assert load(tmp_path, {"SUPPLYGUARD_FAIL_ON_EPSS": ".5"}).fail_on_epss == 0.5
    assert load(tmp_path, fail_on_epss=1.0).fail_on_epss == 1.0


@pytest.mark.parametrize("text", ["-0.1", "1.1", "nan", "true", '"much"', "[]"])
def test_other_shares_are_errors(text: str, tmp_path: Path) -> None:
    (tmp_path / "supplyguard.toml").write_text(f"fail-on-epss = {text}")
    with pytest.raises(ConfigError, match=r"fail-on-epss: expected a number from 0 to 1"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("resolve", "always", "sometimes"),
        ("resolve-timeout", 5, 0),
        ("index-url", "https://x.test/simple", "file:///x"),
        ("python-version", "3.12", "3.12; x"),
        ("python-platform", "linux", "--linux"),
    ],
)
def test_how_to_resolve(tmp_path: Path, key: str, good: object, bad: object) -> None:
    name = key.replace("-", "_")
    file = tmp_path / "supplyguard.toml"
    file.write_text(f"{key} = {good!r}\n")
    settings = load_settings({}, environment={}, folder=tmp_path)
    assert getattr(settings, name) == good
    variables = {f"SUPPLYGUARD_{name.upper()}": str(good)}
    assert getattr(load_settings({}, environment=variables, folder=tmp_path, isolated=True), name) == good
    with pytest.raises(ConfigError, match=key):
        load_settings({name: bad}, environment={}, folder=tmp_path, isolated=True)
