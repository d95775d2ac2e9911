"""A package index on the loopback interface: wheels without code, source archives that leave a marker."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.stand_in import Answer, Asked, serve


@dataclass(kw_only=True)
class Packages:
    """What the index has; records: whether it serves the JSON of a release; marker: what a build writes."""

    marker: Path
    files: dict[str, bytes] = field(default_factory=dict)
    needs: dict[tuple[str, str], list[str] | None] = field(default_factory=dict)
    pythons: dict[str, str] = field(default_factory=dict)
    records: bool = True
    asked: list[str] = field(default_factory=list)

    def wheel(
        self,
        name: str,
        version: str,
        requires: Sequence[str] = (),
        python: str = "",
        tag: str = "py3-none-any",
    ) -> None:
        content = io.BytesIO()
        headers = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        headers += [f"Requires-Dist: {each}" for each in requires]
        headers += [f"Requires-Python: {python}"] if python else []
        with zipfile.ZipFile(content, "w") as archive:
            folder = f"{name}-{version}.dist-info"
            archive.writestr(f"{folder}/METADATA", "\n".join(headers) + "\n")
            archive.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            archive.writestr(f"{folder}/RECORD", "")
            archive.writestr("evil.pth", f"import os; open({str(self.marker)!r}, 'w')\n")
        self.files[f"{name}-{version}-{tag}.whl"] = content.getvalue()
        self.pythons |= {f"{name}-{version}-{tag}.whl": python} if python else {}

    def source(self, name: str, version: str, requires: Sequence[str] | None = (), python: str = "") -> None:
        content = io.BytesIO()
        setup = f"open({str(self.marker)!r}, 'w')\nfrom setuptools import setup\nsetup(name={name!r})\n"
        with tarfile.open(fileobj=content, mode="w:gz") as archive:
            for file, text in (
                ("PKG-INFO", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
                ("setup.py", setup),
            ):
                entry = tarfile.TarInfo(f"{name}-{version}/{file}")
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        self.files[f"{name}-{version}.tar.gz"] = content.getvalue()
        self.pythons |= {f"{name}-{version}.tar.gz": python} if python else {}
        self.needs[name, version] = None if requires is None else list(requires)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked.path)
        parts = asked.path.strip("/").split("/")
        if parts[0] == "files" and parts[1] in self.files:
            return Answer(body=self.files[parts[1]])
        if parts[0] == "simple":
            names = [each for each in self.files if each.startswith(f"{parts[1].replace('-', '_')}-")]
            listed: list[dict[str, object]] = [
                {
                    "filename": each,
                    "url": f"/files/{each}",
                    "hashes": {},
                    "requires-python": self.pythons.get(each),
                }
                for each in names
            ]
            document = {"meta": {"api-version": "1.0"}, "name": parts[1], "files": listed}
            kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
            return Answer(status=200 if names else 404, body=json.dumps(document).encode(), headers=kind)
        if parts[0] == "pypi" and self.records:
            known = self.needs.get((parts[1], parts[2]))
            return Answer(body=json.dumps({"info": {"requires_dist": known}}).encode())
        return Answer(status=404)


@contextmanager
def serving(packages: Packages) -> Iterator[str]:
    """Serve; gives the address of the simple index."""
    with serve(packages.answer) as base:
        yield f"{base}/simple"
