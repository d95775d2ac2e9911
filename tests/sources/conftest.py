"""A way to run one source on one text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from supplyguard.inventory import Artifact
from supplyguard.limits import Budget, Limits
from supplyguard.sources import Item, Source

Collect = Callable[..., list[Item]]


@pytest.fixture
def collect(tmp_path: Path) -> Collect:
    """Write `content` as `name` in a fresh tree and give what `source` says of it."""

    def run(source: Source, name: str, content: str | bytes, *, limits: Limits | None = None) -> list[Item]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        artifact = Artifact(uri=name, path=path, size=path.stat().st_size, root=tmp_path)
        return list(source.collect(artifact, Budget(limits)))

    return run
