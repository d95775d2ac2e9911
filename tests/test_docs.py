"""What is generated is up to date."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def generate() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "docs"))
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(ROOT / "docs"))


def test_the_rule_pages_are_the_rules(generate: ModuleType) -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "rules").glob("*.md")}
    assert written == generate.pages(), "run: python docs/generate.py"


def test_the_detection_page_is_todays_run(generate: ModuleType) -> None:
    page = (ROOT / "docs" / "detection.md").read_text(encoding="utf-8")
    assert page == generate.detection(), "run: python docs/generate.py"
    assert "**missed**" not in page
    assert "**false alarm**" not in page


def test_the_readme_shows_the_help(generate: ModuleType) -> None:
    assert (ROOT / "README.md").read_text(encoding="utf-8") == generate.readme(), (
        "run: python docs/generate.py"
    )


def test_links_between_pages_lead_somewhere() -> None:

    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_formats_page_is_the_registry(generate: ModuleType) -> None:
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert page == generate.formats(), "run: python docs/generate.py"
    assert "| 0 |" not in page, "a format without a rule"
