"""The pre-commit hooks, the GitHub action and the example workflow: accepted by the real tools, and tried."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from supplyguard.resources import rules_folder
from supplyguard.sources import conda, pipenv, pyproject, requirements, setup_cfg, setup_py, toml_locks

ROOT: Final = Path(__file__).parents[1]
ACTION: Final = ROOT / "action.yml"
HOOKS: Final = ROOT / ".pre-commit-hooks.yaml"
WORKFLOW: Final = ROOT / "docs" / "github-workflow.yml"
PINNED: Final = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
MANIFESTS: Final = (requirements, pyproject, setup_py, setup_cfg, toml_locks, pipenv, conda)
TOO_COMMON: Final = {".dat", ".data", ".dump"}


def run(
    *command: str | Path, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=None if env is None else dict(env),
        cwd=cwd,
        timeout=60,
    )


@cache
def hook(identifier: str) -> dict[str, Any]:
    (found,) = (one for one in yaml.safe_load(HOOKS.read_text()) if one["id"] == identifier)
    assert isinstance(found, dict)
    return found


@cache
def step(name: str) -> dict[str, Any]:
    (found,) = (one for one in yaml.safe_load(ACTION.read_text())["runs"]["steps"] if one["name"] == name)
    assert isinstance(found, dict)
    return found


def matches(identifier: str, path: str) -> bool:
    return re.search(hook(identifier)["files"], path) is not None


@pytest.mark.parametrize(
    ("schema", "path"),
    [("vendor.github-actions", ACTION), ("vendor.github-workflows", WORKFLOW)],
    ids=["action", "workflow"],
)
def test_github_schemas_accept(schema: str, path: Path) -> None:
    result = run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_pre_commit_accepts_the_manifest() -> None:
    result = run(sys.executable, "-m", "pre_commit", "validate-manifest", HOOKS)
    assert result.returncode == 0, result.stdout + result.stderr


def test_zizmor_finds_nothing() -> None:
    zizmor = Path(sys.executable).parent / "zizmor"
    result = run(zizmor, "--offline", "--no-progress", "--persona", "pedantic", ACTION, WORKFLOW)
    assert result.returncode == 0, result.stdout + result.stderr


def test_model_hook_takes_the_endings_that_supplyguard_knows() -> None:
    suffixes = json.loads((rules_folder() / "formats" / "suffixes.json").read_bytes())
    for suffix in suffixes:
        for path in (f"a{suffix}", f"models/v1/weights{suffix.upper()}"):
            assert matches("supplyguard-models", path) is (suffix not in TOO_COMMON), path
    for path in ("README.md", "train.py", "model.pt.md", "data.json", "pt", "notes.ptx"):
        assert not matches("supplyguard-models", path), path


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt", "Requirements.TXT", "requirements-dev.txt", "dev-requirements.txt",
        "requirements_gpu.in", "requirements3.txt", "requirement.txt", "constraints.txt",
        "gpu.constraints.txt", "pyproject.toml", "requirements.md", "requirements.txt.bak",
        "myrequirements.txt", "requirementsdev.txt", "pyproject.toml.orig", "notes.txt",
        "setup.py", "setup.cfg", "uv.lock", "poetry.lock", "pdm.lock", "Cargo.lock", "pylock.toml",
        "pylock.dev.toml", "Pipfile", "Pipfile.lock", "environment.yml", "environment.yaml", "conda-lock.yml",
        "conda.yaml", "python_env.yaml", "config.yaml", "settings.toml", "mysetup.py",
    ],
)  # fmt: skip
def test_dependency_hook_takes_the_files_that_are_read(name: str) -> None:
    read = any(source.claims(name) for source in MANIFESTS)
    assert matches("supplyguard-dependencies", name) is read
    assert matches("supplyguard-dependencies", f"services/api/{name}") is read


@pytest.mark.parametrize("identifier", ["supplyguard-models", "supplyguard-dependencies"])
def test_hooks_run_on_a_file_whose_name_looks_like_an_option(identifier: str, tmp_path: Path) -> None:
    names = {"supplyguard-models": "--rules.npy", "supplyguard-dependencies": "--exit-zero-requirements.txt"}
    name = names[identifier]
    (tmp_path / name).write_bytes(b"")
    chosen = hook(identifier)
    program, *options = shlex.split(chosen["entry"])
    assert program == "supplyguard"
    start = [sys.executable, "-c", "from supplyguard.cli import main; main()"]
    env = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "SUPPLYGUARD_CACHE_DIR": str(tmp_path / "cache")}
    seen = run(*start, *options, *chosen["args"], name, env=env, cwd=tmp_path)
    assert seen.returncode in {0, 3}, seen.stdout + seen.stderr
    assert "Traceback" not in seen.stderr
    lost = run(*start, *options, *chosen["args"], f"{name}.gone", env=env, cwd=tmp_path)
    assert lost.returncode == 2
    assert f"{name}.gone" in lost.stderr


def test_scripts_get_inputs_through_the_environment_only() -> None:
    for one in yaml.safe_load(ACTION.read_text())["runs"]["steps"]:
        if "run" in one:
            assert one["shell"] == "bash"
            assert "${{" not in one["run"]
            syntax = subprocess.run(["bash", "-n"], input=one["run"], text=True, check=False, timeout=10)
            assert syntax.returncode == 0
            assert not any(name.startswith("SUPPLYGUARD_") for name in one.get("env", {}))


@pytest.mark.parametrize("path", [ACTION, WORKFLOW], ids=lambda path: path.name)
def test_actions_of_others_are_pinned(path: Path) -> None:
    for line in path.read_text().splitlines():
        if "uses: " in line and "supplyguard/supplyguard@" not in line:
            assert PINNED.search(line.removesuffix(" ")), line


def test_workflow_grants_what_is_needed_to_the_job_alone() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {}
    job = workflow["jobs"]["scan"]
    assert job["permissions"] == {"contents": "read", "security-events": "write", "actions": "read"}
    assert job["steps"][0]["with"]["persist-credentials"] is False


STUB: Final = """#!/usr/bin/env bash
printf '%s\\n' "$@" > "$RUNNER_TEMP/arguments"
while (($#)); do [[ "$1" != --output ]] || printf '{}' > "$2"; shift; done
echo '# report'
exit "$STUB_CODE"
"""


def scan_step(folder: Path, *, code: int, **inputs: str) -> tuple[list[str], dict[str, str], str]:
    """Run the action's scan step with a stand-in program; give its arguments, outputs and summary."""
    program = folder / "supplyguard" / "bin" / "supplyguard"
    program.parent.mkdir(parents=True)
    program.write_text(STUB)
    program.chmod(0o755)
    env = {
        "PATH": "/usr/bin:/bin", "RUNNER_TEMP": str(folder), "STUB_CODE": str(code),
        "GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "TARGETS": ".", "MIN_SEVERITY": "info", "FAIL_ON": "high", "OFFLINE": "true",
        "ALLOW_INCOMPLETE": "false", **inputs,
    }  # fmt: skip
    result = run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step("Scan")["run"], env=env)
    assert result.returncode == 0, result.stderr
    outputs = dict(line.split("=", 1) for line in (folder / "output").read_text().splitlines())
    return (folder / "arguments").read_text().splitlines(), outputs, (folder / "summary").read_text()


@pytest.mark.parametrize("code", [0, 1, 3])
def test_action_scans_reports_and_keeps_the_exit_code(code: int, tmp_path: Path) -> None:
    arguments, outputs, summary = scan_step(tmp_path, code=code)
    sarif = str(tmp_path / "supplyguard.sarif")
    assert arguments == [
        "scan", "--no-progress", "--format", "markdown", "--output", sarif,
        "--min-severity=info", "--fail-on=high", "--offline", "--", ".",
    ]  # fmt: skip
    assert outputs == {"sarif": sarif, "exit-code": str(code)}
    assert summary == "# report\n"


def test_action_takes_targets_one_a_line_as_they_are(tmp_path: Path) -> None:
    targets = "models\n-rf $(touch pwned)\r\n\na b/*.pt"
    arguments, _, _ = scan_step(tmp_path, code=0, TARGETS=targets, OFFLINE="false", ALLOW_INCOMPLETE="true")
    assert "--offline" not in arguments
    assert arguments[-5:] == ["--allow-incomplete", "--", "models", "-rf $(touch pwned)", "a b/*.pt"]


def test_action_knows_the_options_it_gives() -> None:
    shown = run(
        sys.executable, "-c", "from supplyguard.cli import main; main()", "scan", "--help",
        env={"PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
    ).stdout  # fmt: skip
    script = step("Scan")["run"] + hook("supplyguard-models")["entry"]
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", script)):
        assert option in shown, option


@pytest.mark.parametrize(
    ("code", "uploaded", "expected"),
    [
        ("0", "true", 0), ("0", "false", 0), ("1", "true", 0), ("1", "false", 1), ("2", "true", 2),
        ("3", "true", 3), ("3", "false", 3), ("", "true", 2),
    ],
)  # fmt: skip
def test_action_decides(code: str, uploaded: str, expected: int) -> None:
    env = {"PATH": "/usr/bin:/bin", "CODE": code, "UPLOADED": uploaded}
    result = run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step("Decide")["run"], env=env)
    assert result.returncode == expected
    assert result.stdout.startswith("::error title=supplyguard::") is (expected != 0)
