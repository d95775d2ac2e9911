"""Which Python files a model loader would run, and who says so: the code that is judged strictly.

Sources: transformers/dynamic_module_utils.py (auto_map, relative imports), diffusers'
pipeline_loading_utils.py, sentence-transformers' modules.json, torch.hub's hubconf.py, TorchServe's
MAR-INF, MLflow's code paths, Triton's Python backend, datasets before 4.0 (loading scripts).
The lists are in rules/code/standing.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

from supplyguard.inventory import Artifact
from supplyguard.limits import MIB
from supplyguard.resources import rules_folder

LARGEST: Final = MIB
"""Bytes of a configuration, or of a module that is searched for relative imports."""
FOLLOWED: Final = 32
"""Modules that are followed through relative imports."""
ABOVE: Final = 4
"""Folders above a file that are looked at."""
RELATIVE: Final = re.compile(rb"^[ \t]*from[ \t]+\.[ \t]*(\w+)[\w.]*[ \t]+import\b", re.MULTILINE)

LOADED: Final = "loaded"
REPOSITORY: Final = "repository"
BUNDLE: Final = "bundle"
ELSEWHERE: Final = "elsewhere"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """place: LOADED by a loader, beside such code in a REPOSITORY or BUNDLE, or ELSEWHERE.

    loader: who would run it. named_in: the file of the same tree that says so.
    """

    place: str
    loader: str = ""
    named_in: Path | None = None


def standing_of(artifact: Artifact, path: tuple[str, ...] = ()) -> Standing:
    """Say whether a loader would run an artifact, or the member of it that `path` leads to."""
    if path:
        return _of_member(artifact, path)
    found = _of_file(artifact.path, artifact.root)
    if found is not None:
        return found
    return Standing(place=REPOSITORY if artifact.origin is not None else ELSEWHERE)


def is_model_folder(folder: Path) -> bool:
    """Whether a folder holds a model's configuration."""
    return any(_is_model(tree) for _name, tree in _configurations(folder))


def lists() -> Mapping[str, Any]:
    """Give rules/code/standing.json."""
    return _lists()


@cache
def _lists() -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads((rules_folder() / "code" / "standing.json").read_bytes())
    return data


def _of_member(artifact: Artifact, path: tuple[str, ...]) -> Standing:
    container = (artifact.path.name, *path)[-2].lower()
    if any(re.search(_lists()["package_name"], name.lower()) for name in (artifact.path.name, *path[:-1])):
        return Standing(place=ELSEWHERE)
    name = path[-1].replace("\\", "/").rpartition("/")[2]
    if container.endswith(tuple(_lists()["model_containers"])):
        return Standing(place=LOADED, loader="the model's archive")
    if name in _lists()["bundle_entries"]:
        return Standing(place=LOADED, loader="a model server")
    return Standing(place=BUNDLE)


def _of_file(file: Path, root: Path | None) -> Standing | None:
    name, folder = file.name, file.parent
    if name in _lists()["entry_files"]:
        return Standing(place=LOADED, loader=_lists()["entry_files"][name])
    if name == "generate.py" and folder.name == "custom_generate":
        return Standing(place=LOADED, loader="transformers' generate")
    if _exists(folder / "MAR-INF"):
        return Standing(place=LOADED, loader="TorchServe", named_in=folder / "MAR-INF" / "MANIFEST.json")
    if name == "model.py" and folder.name.isdigit() and _exists(folder.parent / "config.pbtxt"):
        return Standing(place=LOADED, loader="Triton", named_in=folder.parent / "config.pbtxt")
    for above in _above(folder, root):
        if above.name == "code" and _exists(above.parent / "MLmodel"):
            return Standing(place=LOADED, loader="MLflow", named_in=above.parent / "MLmodel")
    named = _named(folder).get(file.stem) or _component(file)
    return (
        None if named is None else Standing(place=LOADED, loader="the model's configuration", named_in=named)
    )


def _above(folder: Path, root: Path | None) -> Iterator[Path]:
    """Yield a folder and some above it, not beyond the tree."""
    for _step in range(ABOVE):
        if folder in {root, folder.parent}:
            return
        yield folder
        folder = folder.parent


def _named(folder: Path) -> Mapping[str, Path]:
    """Map each module that a folder's configurations load to the configuration."""
    named: dict[str, Path] = {}
    model: Path | None = None
    for name, tree in _configurations(folder):
        named |= dict.fromkeys(_modules(tree), folder / name)
        if model is None and _is_model(tree):
            model = folder / name
    if model is not None:
        fits = re.compile(_lists()["loaded_names"])
        for each in _sources(folder):
            if fits.fullmatch(each) and each not in named:
                named[each] = model
    return _with_imports(folder, named)


def _with_imports(folder: Path, named: dict[str, Path]) -> dict[str, Path]:
    """Add what named modules import from beside them: transformers copies and runs that too."""
    work = list(named)
    for _step in range(FOLLOWED):
        if not work:
            break
        module = work.pop()
        text = _read(folder / f"{module}.py")
        for match in RELATIVE.finditer(text):
            found = match[1].decode("ascii", "replace")
            if found not in named:
                named[found] = named[module]
                work.append(found)
    return named


def _component(file: Path) -> Path | None:
    """Find the diffusers pipeline whose component, a folder of its own, is this file."""
    index = file.parent.parent / "model_index.json"
    tree = _json(index)
    entry = tree.get(file.parent.name) if isinstance(tree, dict) else None
    return index if isinstance(entry, list) and entry and entry[0] == file.stem else None


def _configurations(folder: Path) -> Iterator[tuple[str, Any]]:
    for name in _lists()["configurations"]:
        tree = _json(folder / name)
        if tree is not None:
            yield name, tree


def _is_model(tree: Any) -> bool:
    return isinstance(tree, dict) and any(key in tree for key in _lists()["model_keys"])


def _modules(tree: Any) -> Iterator[str]:
    """Yield the modules that a configuration names: file.Class without a repository before it."""
    if isinstance(tree, list):
        yield from (
            str(each["type"]).partition(".")[0]
            for each in tree
            if isinstance(each, dict) and isinstance(each.get("type"), str)
        )
        return
    if not isinstance(tree, dict):
        return
    mapped = tree.get("auto_map")
    for given in mapped.values() if isinstance(mapped, dict) else [mapped]:
        for target in given if isinstance(given, list) else [given]:
            if isinstance(target, str) and "--" not in target and "." in target:
                yield target.rpartition(".")[0]
    tasks = tree.get("custom_pipelines")
    for task in tasks.values() if isinstance(tasks, dict) else []:
        if isinstance(task, dict) and isinstance(task.get("impl"), str):
            yield task["impl"].partition(".")[0]
    kind = tree.get("_class_name")
    if isinstance(kind, list) and kind and isinstance(kind[0], str):
        yield kind[0]
    elif "_diffusers_version" in tree:
        yield "pipeline"


def _sources(folder: Path) -> list[str]:
    try:
        return sorted(each.stem for each in islice(folder.iterdir(), 10_000) if each.suffix == ".py")
    except OSError:
        return []


def _json(path: Path) -> Any:
    raw = _read(path)
    if not raw:
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _read(path: Path) -> bytes:
    """Read a small file that may not be there."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return b""
        return path.read_bytes()
    except (OSError, ValueError):
        return b""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
