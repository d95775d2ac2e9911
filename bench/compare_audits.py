"""Compare what we, pip-audit and uv find in the same pins: `python bench/compare_audits.py --uv PATH`.

All three are given one set of advisories: ours as a store, the others by a stand-in of OSV's service
on the loopback interface (bench/advisories.py), which matches with code of its own. A problem is the
same when it shares an id. Each difference is printed with what the record says of that version. Exits
with 1 when another program knows a problem that we do not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from advisories import (
    Pin,
    Records,
    chosen_pins,
    entries,
    found_by_them,
    found_by_us,
    imported,
    osv_stand_in,
    read_records,
    real_data,
    write_pins,
)

Found = dict[str, list[frozenset[str]]]

STACK = """
torch==1.12.0 tensorflow==2.5.0 transformers==4.30.0 numpy==1.16.0 pillow==8.0.0 scikit-learn==0.19.0
mlflow==2.3.0 gradio==3.40.0 ray==2.6.0 keras==2.11.0 onnx==1.12.0 jupyter-server==1.0.0 notebook==6.4.0
ipython==7.0.0 flask==2.2.4 django==3.2.1 urllib3==1.26.4 requests==2.25.0 aiohttp==3.8.0 pyyaml==5.3
jinja2==2.11.0 lxml==4.6.0 cryptography==3.2 langchain==0.0.100 paddlepaddle==2.4.0 apache-airflow==2.0.0
scrapy==2.4.0 six==1.16.0 attrs==23.1.0 joblib==1.0.0
"""
"""A project of machine learning, as of some years before the data."""
EDGES = """
django==3.2rc1 django-filter==2.4.0 tensorflow==2.6.0rc1 tensorflow-cpu==2.5.0.post1 pillow==10.0.0.post1
jinja2==2.11 pyyaml==5.4b1 torch==2.0.0+cpu torchvision==0.15.0 urllib3==2.0.0a1 requests==2.31
werkzeug==3.0.0.dev1
"""
"""Pre-releases, post-releases, local builds, versions written short."""


def project(text: str) -> list[Pin]:
    """Read pins."""
    return [(name, version) for name, _, version in (word.partition("==") for word in text.split())]


def random_pins(records: Records, count: int) -> list[Pin]:
    """Choose a version for each of some packages among those that any record names."""
    chance = random.Random(11)  # noqa: S311 - no secret
    names = chance.sample(sorted(records), count)
    pins: list[Pin] = []
    for name in names:
        versions = sorted({one for entry in entries(records, name) for one in entry.get("versions", ())})
        plain = [one for one in versions if all(part.isdigit() for part in one.split("."))]
        if plain:
            pins.append((name, chance.choice(plain)))
    return pins


def write_lock(folder: Path, pins: list[Pin]) -> None:
    """Write a project and its uv.lock; no index is asked with --frozen."""
    folder.mkdir()
    listed = ", ".join(f'"{name}=={version}"' for name, version in pins)
    head = '[project]\nname = "compared"\nversion = "1"\nrequires-python = ">=3.11"\n'
    head += f"dependencies = [{listed}]\n"
    (folder / "pyproject.toml").write_text(head, encoding="utf-8")
    text = 'version = 1\nrequires-python = ">=3.11"\n\n[[package]]\nname = "compared"\nversion = "1"\n'
    text += 'source = { virtual = "." }\ndependencies = [\n'
    text += "".join(f'    {{ name = "{name}" }},\n' for name, _version in pins) + "]\n"
    for name, version in pins:
        text += f'\n[[package]]\nname = "{name}"\nversion = "{version}"\n'
        text += 'source = { registry = "https://pypi.org/simple" }\n'
        url = f"https://files.example.com/{name.replace('-', '_')}-{version}-py3-none-any.whl"
        text += f'wheels = [\n    {{ url = "{url}", hash = "sha256:{"2a" * 32}" }},\n]\n'
    (folder / "uv.lock").write_text(text, encoding="utf-8")


def found_by_uv(uv: str, address: str, folder: Path) -> Found:
    """Give the ids of every problem that `uv audit` reports, by package."""
    options = ("--frozen", "--no-config", "--service-url", f"{address}/", "--output-format", "json")
    environment = {**os.environ, "UV_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [uv, "audit", *options, "--preview-features", "audit-command,json-output"],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
    )
    if not done.stdout:
        sys.exit(f"uv audit said nothing: {done.stderr.decode()}")
    problems: Found = {}
    for one in json.loads(done.stdout)["vulnerabilities"]:
        ids = frozenset({one["id"], *one["aliases"]})
        problems.setdefault(one["dependency"]["name"], []).append(ids)
    return problems


def missing(left: Found, right: Found) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the problems of `left` that share no id with one of `right`."""
    for name, found in sorted(left.items()):
        for ids in found:
            if all(ids.isdisjoint(known) for known in right.get(name, ())):
                yield name, ids


def split(theirs: Found, ours: Found) -> Iterator[tuple[str, list[frozenset[str]]]]:
    """Yield what is one problem of ours, and several of theirs."""
    for name, found in sorted(ours.items()):
        for ids in found:
            same = [each for each in theirs.get(name, ()) if not ids.isdisjoint(each)]
            if len(same) > 1:
                yield name, same


def explained(records: Records, name: str, version: str, ids: frozenset[str]) -> str:
    """Say what the data says of a version."""
    for record in records.get(name, ()):
        if record["id"] in ids or not ids.isdisjoint(record.get("aliases", ())):
            listed = any(version in entry.get("versions", ()) for entry in entries({name: [record]}, name))
            spans = [span["events"] for entry in record["affected"] for span in entry.get("ranges", ())]
            return f"{record['id']}: {'lists' if listed else 'does not list'} {version}; ranges {spans}"
    return "not in the data"


def compared(title: str, pins: list[Pin], records: Records, store: Path, uv: str | None) -> bool:
    """Print one row and the differences; gives whether nobody knows more than we do."""
    versions = dict(pins)
    with tempfile.TemporaryDirectory() as name, osv_stand_in(records, pins) as address:
        folder = Path(name)
        file = write_pins(folder / "requirements.txt", pins)
        ours = found_by_us(store, file)
        others = {"pip-audit": found_by_them(address, file)}
        if uv is not None:
            write_lock(folder / "project", pins)
            others["uv audit"] = found_by_uv(uv, address, folder / "project")
    counts = [sum(map(len, each.values())) for each in (ours, *others.values())]
    print(f"{title:<34} {len(pins):>5} pins  " + "  ".join(f"{count:>6}" for count in counts))
    complete = True
    for tool, theirs in others.items():
        for package, ids in missing(ours, theirs):
            print(
                f"    only ours, not {tool}: {package}", explained(records, package, versions[package], ids)
            )
        for package, ids in missing(theirs, ours):
            complete = False
            print(f"    only {tool}: {package}", explained(records, package, versions[package], ids))
        for package, same in split(theirs, ours):
            apart = " / ".join(", ".join(sorted(ids)) for ids in same)
            print(f"    one problem of ours, {len(same)} of {tool}: {package} {apart}")
    return complete


def main() -> None:
    """Run the projects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zip", type=Path, help="a zip in the layout of OSV's")
    parser.add_argument("--uv", help="uv's program; left out of the table without it")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SUPPLYGUARD_CACHE_DIR"] = f"{name}/cache"
        os.environ["HF_HOME"] = f"{name}/hub"
        archive = chosen.zip or real_data(folder)
        store = folder / "store.sqlite3"
        imported(archive, store)
        records = read_records(archive)
        print(f"{'':<34} {'':>10}    ours  pip-audit  uv audit")
        projects = {
            "200 packages, half of them affected": chosen_pins(records, 200),
            "300 packages at a random version": random_pins(records, 300),
            "a project of machine learning": project(STACK),
            "pre-, post- and local releases": project(EDGES),
        }
        complete = [compared(title, pins, records, store, chosen.uv) for title, pins in projects.items()]
    sys.exit(0 if all(complete) else 1)


if __name__ == "__main__":
    main()
