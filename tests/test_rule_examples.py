"""Every rule's examples are run: what should fire fires, what should be silent is silent."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from supplyguard.advisories import live
from supplyguard.advisories.live import Service
from supplyguard.config import Settings
from supplyguard.wiring import run_scan
from tests.advisories.osv_server import osv_server

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures"


def examples() -> list[Any]:
    cases: list[Any] = []
    for file in sorted((ROOT / "rules").glob("*.yaml")):
        for rule in yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader):
            for part in ("fires", "silent"):
                for number, example in enumerate(rule["examples"][part]):
                    cases.append(
                        pytest.param(rule["id"], part == "fires", example, id=f"{rule['id']}-{part}{number}")
                    )
    return cases


def place(example: dict[str, Any], folder: Path) -> Path:
    if "fixture" in example:
        return FIXTURES / str(example["fixture"])
    path = folder / str(example["name"])
    path.parent.mkdir(parents=True, exist_ok=True)
    if "hex" in example:
        path.write_bytes(bytes.fromhex(example["hex"]))
    else:
        path.write_text(example["text"], encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(("rule_id", "fires", "example"), examples())
def test_example(
    rule_id: str, fires: bool, example: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = place(example, tmp_path)
    assert target.exists(), "the example names a fixture that is not there"
    online = "yanked" in example
    if online:
        monkeypatch.setenv("SUPPLYGUARD_CACHE_DIR", str(tmp_path / "cache"))
    settings = Settings(offline=not online, hub_cache=tmp_path / "no-cache", db=tmp_path / "no-store")
    with osv_server(yanked=dict.fromkeys(example["yanked"])) if online else nullcontext("") as base:
        services = (Service(name="pypi", url=base), Service(name="osv", url=base))
        monkeypatch.setattr(live.LiveDatabase.__init__, "__defaults__", (services,))
        found = {finding.rule.id for finding in run_scan([target], settings).findings}
    assert (rule_id in found) is fires, f"found: {sorted(found)}"
