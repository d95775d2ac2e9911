"""The registry: every source is in it, and a pattern never refuses a name that the source claims."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.sources import FOLDERS, SOURCES, workflows
from supplyguard.sources.on_demand import OnDemand

ROOT = Path(__file__).parent.parent.parent
ENTRIES = [each for each in SOURCES if isinstance(each, OnDemand)]
NAME_LIST = """
requirements.txt
requirements-dev.txt
dev_requirements.in
constraints.txt
pyproject.toml
uv.lock
poetry.lock
pdm.lock
pylock.toml
pylock.dev.toml
Pipfile
Pipfile.lock
environment.yml
environment-gpu.yaml
conda.yaml
python_env.yaml
conda-lock.yml
prod.conda-lock.yml
conda_env.yml
setup.cfg
setup.py
train.py
app.pyw
stub.pyi
Dockerfile
Dockerfile.gpu
gpu.dockerfile
Containerfile
Makefile
GNUmakefile
justfile
Jenkinsfile
install.sh
run.bash
a.mk
a.just
.gitlab-ci.yml
.travis.yml
azure-pipelines.yml
cloudbuild.yaml
action.yml
ci.yml
README.md
METADATA
PKG-INFO
demo-1.0-py3-none-any.whl
demo-1.0.tar.gz
demo-1.0.zip
notes.ipynb
NOTES.IPYNB
TRAIN.PY
"""
NAMES = NAME_LIST.split()


def modules() -> Iterator[str]:
    for path in sorted((ROOT / "supplyguard" / "sources").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "\ndef claims(" in text and "\ndef collect(" in text:
            yield path.stem


def test_every_source_is_registered_once() -> None:
    assert sorted(each.NAME for each in SOURCES) == sorted(modules())
    assert FOLDERS == {workflows.NAME: workflows.FOLDER}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: str(entry.NAME))
def test_every_source_keeps_the_contract(entry: OnDemand) -> None:
    module = import_module(f"supplyguard.sources.{entry.NAME}")
    assert (module.NAME, module.ASPECT) == (entry.NAME, entry.ASPECT)
    claimed = [name for name in NAMES if module.claims(name)]
    assert claimed, "no name here is claimed by it: add one"
    assert claimed == [name for name in NAMES if entry.claims(name)]


@given(st.sampled_from(NAMES), st.text(max_size=3), st.integers(0, 12))
@settings(max_examples=300, deadline=None)
def test_patterns_refuse_nothing_that_is_claimed(name: str, inserted: str, place: int) -> None:
    changed = name[:place] + inserted + name[place:]
    for entry in ENTRIES:
        assert entry.claims(changed) is entry.module.claims(changed), (entry.NAME, changed)
