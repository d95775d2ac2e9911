"""A chunk of an array store is told by its name and the store's own file together."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from supplyguard.archives.chunk_store import in_chunk_store
from supplyguard.inventory import Artifact, Member


def member(path: Path, *inside: str) -> Member:
    artifact = Artifact(uri=path.name, path=path, size=0)
    return Member(artifact=artifact, path=inside, open=lambda: cast("BinaryIO", io.BytesIO()), size=0)


@pytest.mark.parametrize(
    ("name", "beside"),
    [(f"d/{'0a' * 16}", "manifest.ocdbt"), ("c/0/1", "zarr.json"), ("c/7", "zarr.json")],
)
def test_a_chunk_needs_its_store(tmp_path: Path, name: str, beside: str) -> None:
    assert not in_chunk_store(member(tmp_path / name))
    (tmp_path / beside).touch()
    assert in_chunk_store(member(tmp_path / name))
    assert not in_chunk_store(member(tmp_path / name, "content"))


@pytest.mark.parametrize("name", ["d/model.gz", "c/model", "c/0/model", "0", "/".join("0" * 40)])
def test_other_names_are_not_chunks(tmp_path: Path, name: str) -> None:
    (tmp_path / "manifest.ocdbt").touch()
    (tmp_path / "zarr.json").touch()
    assert not in_chunk_store(member(tmp_path / name))
