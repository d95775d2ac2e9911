"""Lock files in TOML: uv.lock, poetry.lock, pdm.lock and pylock.toml, which differ only in their keys.

Formats: PEP 751 (pylock.toml); for the others what uv 0.13, Poetry 2.5 and PDM 2.29 write, and the
older lists of hashes under [metadata.files].
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from supplyguard.aspect import Aspect
from supplyguard.errors import MalformedError
from supplyguard.finding import Notification
from supplyguard.inventory import Artifact, Dependency, DependencyKind, Location
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.sources.lock_graph import read_graph
from supplyguard.sources.named_tables import source_address
from supplyguard.sources.references import mask, read_reference
from supplyguard.sources.statements import option_evidence, reference_evidence, unparsed
from supplyguard.sources.toml_document import Found, parse_toml, read_places, read_toml_text, table_at
from supplyguard.sources.toml_positions import KeyPath
from supplyguard.wire.text import Lines

NAME: Final = "toml_locks"
ASPECT: Final = Aspect.DEPENDENCIES
FILE_SIZE: Final = 64 * MIB
DOTS: Final = 100
"""Dots of a line above which the whole document's nesting is looked at before it is parsed."""
PLACE: Final = "lock"
BLOCK: Final = re.compile(
    r"^\[\[packages?\]\][ \t]*\r?\n(?:[^\[\n][^\n]*\n)*?name[ \t]*=[ \t]*\"(?P<name>[^\"\\\n]*)\"",
    re.MULTILINE,
)
"""The head of a package's table, as every tool writes it."""
EXTRA: Final = re.compile(r"""extra == ["']([\w.-]+)["']""")
DEFAULT_GROUPS: Final = frozenset({"default", "main"})
LISTED: Final = 8
"""Markers of one package that are joined; with more, none is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The keys of one tool's lock. files: keys of lists (or single tables) of files with hashes.

    sources: keys of the tables (or of the package itself, "") that name an address. local: keys of a
    source that is a folder of this project.
    """

    packages: str
    markers: tuple[str, ...]
    files: tuple[str, ...]
    sources: tuple[str, ...]
    local: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    graph: bool = False


LAYOUTS: Final[Mapping[re.Pattern[str], Layout]] = {
    re.compile(r"uv\.lock"): Layout(
        packages="package",
        markers=("resolution-markers",),
        files=("sdist", "wheels"),
        sources=("source",),
        local=("editable", "virtual", "directory"),
        indexes=(("source", "registry"),),
        graph=True,
    ),
    re.compile(r"poetry\.lock"): Layout(
        packages="package", markers=("markers",), files=("files",), sources=("source",)
    ),
    re.compile(r"pdm\.lock"): Layout(
        packages="package", markers=("marker",), files=("files",), sources=("",)
    ),
    re.compile(r"pylock(?:\.[^.]+)?\.toml"): Layout(
        packages="packages",
        markers=("marker",),
        files=("sdist", "wheels", "archive"),
        sources=("vcs", "archive", "directory"),
        indexes=(("index",),),
    ),
}


def claims(name: str) -> bool:
    """Whether a file has the name of one of the locks."""
    return _layout(name) is not None


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield what is locked, each with the place of its name; raises MalformedError."""
    layout = _layout(artifact.path.name)
    if layout is None:
        raise MalformedError("not the name of a lock file")
    text = read_toml_text(artifact, budget, FILE_SIZE)
    if any(line.count(".") > DOTS for line in text.splitlines()):
        read_places(artifact.uri, text)
    document = parse_toml(text)
    packages = document.get(layout.packages, [])
    if not isinstance(packages, list):
        raise MalformedError(f"not a lock: {layout.packages} is not a list of tables")
    places = _name_places(text, packages, layout, artifact.uri)
    graph = read_graph(packages) if layout.graph else {}
    old_files = table_at(document, ("metadata", "files"))
    indexes: dict[str, tuple[Location, bool]] = {}
    for number, package in enumerate(packages):
        budget.spend(Resource.NODES)
        if not isinstance(package, dict) or not isinstance(package.get("name"), str):
            yield unparsed(str(package)[:80], places[number], "expected a table with a name")
            continue
        dependency = _dependency(package, layout, places[number], old_files)
        if dependency is None:
            continue
        seen = graph.get(dependency.name)
        if seen is not None:
            marker = dependency.marker or seen.marker
            dependency = replace(
                dependency, direct=seen.direct, group=seen.group, extras=seen.extras, marker=marker
            )
        yield from _told(dependency, package, layout)
        for address in _indexes(package, layout):
            first, hashed = indexes.get(address, (dependency.location, True))
            indexes[address] = (first, hashed and bool(dependency.hashes))
    for address, (place, hashed) in indexes.items():
        yield option_evidence("--index-url", address, place, place=PLACE, hashed=hashed)


def _layout(name: str) -> Layout | None:
    return next((layout for pattern, layout in LAYOUTS.items() if pattern.fullmatch(name)), None)


def _name_places(text: str, packages: list[Any], layout: Layout, uri: str) -> list[Location]:
    """Give the place of each package's name: fast for what tools write, else by a scan of everything."""
    names = [each.get("name") if isinstance(each, dict) else None for each in packages]
    matches = list(BLOCK.finditer(text))
    if [match["name"] for match in matches] == names:
        lines = Lines(text)
        return [lines.location(uri, *match.span("name")) for match in matches]
    places = read_places(uri, text)
    found: list[Location] = []
    for number, name in enumerate(names):
        path: KeyPath = (layout.packages, number, "name")
        found.append(places.of(path, name) if isinstance(name, str) else places.table(path))
    return found


def _dependency(
    package: Mapping[str, Any], layout: Layout, location: Location, old_files: Mapping[str, Any]
) -> Dependency | None:
    """Read one package; the project itself, locked as the folder ".", is none."""
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - heavy: few scans see a lock

    name = package["name"]
    version = package.get("version")
    url = _address(package, layout)
    if url in {".", "./"}:
        return None
    extras = package.get("extras")
    return Dependency(
        name=canonicalize_name(name),
        raw_name=name,
        location=location,
        version=version if isinstance(version, str) else None,
        specifier=f"=={version}" if isinstance(version, str) else "",
        extras=tuple(sorted(_texts(extras))),
        marker=_marker(package, layout),
        hashes=tuple(dict.fromkeys([*_hashes(package, layout), *_file_hashes(old_files.get(name))])),
        group=_group(package),
        url=mask(url) if url is not None else None,
        direct=False,
        kind=DependencyKind.LOCKED,
    )


def _told(dependency: Dependency, package: Mapping[str, Any], layout: Layout) -> Iterator[Found]:
    if dependency.version is None and dependency.url is None:
        message = f"{dependency.raw_name} is locked without a version"
        yield Notification(code="unpinned-lock", message=message, location=dependency.location)
    yield dependency
    url = _address(package, layout)
    if url is not None:
        reference = replace(read_reference(url, hashed=bool(dependency.hashes)), name=dependency.name)
        yield reference_evidence(reference, dependency.location, place=PLACE)


def _address(package: Mapping[str, Any], layout: Layout) -> str | None:
    """Give the address or path that a package comes from; None when it comes from an index."""
    for key in layout.sources:
        source = package if key == "" else package.get(key)
        if not isinstance(source, dict):
            continue
        for local in layout.local:
            if isinstance(source.get(local), str):
                return str(source[local])
        found = source_address(_as_entry(source))
        if found is not None and source.get("type") not in {"legacy", "pypi"}:
            return _with_commit(found)
    return None


def _as_entry(source: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a lock's source the keys of a declaration: a repository under "git", its commit as "rev"."""
    commit = source.get("commit-id") or source.get("resolved_reference") or source.get("revision")
    is_git = source.get("type") == "git"
    entry = dict(source)
    if is_git and isinstance(source.get("url"), str):
        entry["git"] = source["url"]
    if "git" in entry and isinstance(commit, str):
        entry["rev"] = commit
    return entry


def _with_commit(url: str) -> str:
    """Turn uv's "git+address?rev=main#commit" into pip's "git+address@commit"."""
    match = re.fullmatch(r"(git\+[^?#]+)(?:\?[^#]*)?#([0-9a-f]{40,64})", url)
    return f"{match[1]}@{match[2]}" if match is not None else url


def _marker(package: Mapping[str, Any], layout: Layout) -> str | None:
    for key in layout.markers:
        value = package.get(key)
        if isinstance(value, dict):  # Poetry: one marker for each group
            value = list(dict.fromkeys(_texts(list(value.values()))))
        if isinstance(value, str) and value:
            return value
        found = _texts(value)
        if found and len(found) <= LISTED:
            return " or ".join(f"({each})" for each in found) if len(found) > 1 else found[0]
    return None


def _group(package: Mapping[str, Any]) -> str | None:
    groups = _texts(package.get("groups"))
    category = package.get("category")  # Poetry 1
    if isinstance(category, str):
        groups = [category]
    extra = EXTRA.fullmatch(str(package.get("markers", "")))
    if extra is not None:
        return extra[1]
    if not groups or not DEFAULT_GROUPS.isdisjoint(groups):
        return None
    return groups[0]


def _hashes(package: Mapping[str, Any], layout: Layout) -> Iterator[str]:
    for key in layout.files:
        yield from _file_hashes(package.get(key))


def _file_hashes(files: Any) -> Iterator[str]:
    """Find "hash" texts and "hashes" tables of one file or a list of files."""
    for file in files if isinstance(files, list) else [files]:
        if not isinstance(file, dict):
            continue
        digest = file.get("hash")
        if isinstance(digest, str):
            yield digest
        hashes = file.get("hashes")
        for algorithm, value in hashes.items() if isinstance(hashes, dict) else ():
            if isinstance(value, str):
                yield f"{algorithm}:{value}"


def _indexes(package: Mapping[str, Any], layout: Layout) -> Iterator[str]:
    for path in layout.indexes:
        value = table_at(package, path[:-1]).get(path[-1])
        if isinstance(value, str) and "://" in value:
            yield value


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
