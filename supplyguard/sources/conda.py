"""Conda's environment.yml with its pip part, conda-lock.yml, and MLflow's conda.yaml and python_env.yaml.

Formats: conda's documentation, "Managing environments" and "Package match specifications";
conda-lock's lock file, version 1; MLflow's documentation, "MLflow Models: environment". A conda
package is given the name that it has on PyPI; what is no Python package is left out
(rules/formats/conda_names.json, and the builds' names in a lock).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final

from supplyguard.aspect import Aspect
from supplyguard.errors import MalformedError
from supplyguard.finding import Notification
from supplyguard.inventory import Artifact, Dependency, DependencyKind, Location
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.resources import rules_folder
from supplyguard.sources.constraints import conda_specifier, exact_version
from supplyguard.sources.end_of_life import asked, asked_exactly
from supplyguard.sources.requirement_lines import known_options, read_lines
from supplyguard.sources.requirements import include
from supplyguard.sources.statements import Statement, option_evidence, read_statement, unparsed
from supplyguard.sources.toml_document import Found
from supplyguard.sources.yaml_document import Mapping, Node, Sequence, Text, read_yaml, texts_of, value_of

NAME: Final = "conda"
ASPECT: Final = Aspect.DEPENDENCIES
FILE_SIZE: Final = 64 * MIB
NAMES: Final = re.compile(
    r"(?:(?:.*[-_.])?environment(?:[-_.].*)?|conda(?:[-_.]env)?|python_env|(?:.*\.)?conda-lock)\.ya?ml",
    re.IGNORECASE,
)
LOCK: Final = re.compile(r"(?:.*\.)?conda-lock\.ya?ml", re.IGNORECASE)
MATCH: Final = re.compile(
    r"(?:(?P<channel>[^\s:]+)::?)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?P<rest>(?:[\s<>=!~\[*].*)?)",
    re.DOTALL,
)
FUZZY_BUILD: Final = re.compile(r"(?P<version>==?[^=<>!~\s]+)(?:[=\s]\s*[^=<>!~\s]+)?")
"""A version with one or two "=", and perhaps a build's name after it."""
SPACED_BUILD: Final = re.compile(r"(?<=[^\s,<>=!~|])\s+[^\s<>=!~|,]+$")
VERSION_KEY: Final = re.compile(r"""version\s*=\s*(?:'([^']*)'|"([^"]*)"|([^,\s]+))""")
PYTHON_BUILD: Final = re.compile(r"(?:^|[-_])(?:py\d|pyh|abi3)")
"""The name of a build of a Python package: of one Python version, of none ("noarch"), or abi3."""
PLACE: Final = "conda"
PIP_PLACE: Final = "conda-pip"
LENGTH: Final = 400
"""Characters of one match specification; far above any real one."""


def claims(name: str) -> bool:
    """Whether a file has a name that conda, conda-lock or MLflow gives."""
    return NAMES.fullmatch(name) is not None


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield what is declared or locked; raises MalformedError for what is not YAML."""
    document = read_yaml(artifact, budget, FILE_SIZE)
    if not isinstance(document, Mapping):
        if LOCK.fullmatch(artifact.path.name):
            raise MalformedError("not a lock: its YAML is not a mapping")
        return
    if LOCK.fullmatch(artifact.path.name):
        yield from _lock(document, artifact, budget)
        return
    python = document.get("python")
    if artifact.path.stem == "python_env" and isinstance(python, Text):
        yield from asked_exactly(python.value, python.location(artifact.uri))
    for key in ("dependencies", "build_dependencies"):
        yield from _list(document.get(key), artifact, budget, is_pip=artifact.path.stem == "python_env")


def _list(node: Node, artifact: Artifact, budget: Budget, *, is_pip: bool) -> Iterator[Found]:
    for entry in node.items if isinstance(node, Sequence) else []:
        budget.spend(Resource.NODES)
        if isinstance(entry, Text):
            yield from _pip(entry, artifact, budget) if is_pip else _conda(entry, artifact)
        elif isinstance(entry, Mapping):
            for text in texts_of(entry.get("pip")):
                budget.spend(Resource.NODES)
                yield from _pip(text, artifact, budget)


def _pip(text: Text, artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Read one line of the pip part, which pip gets as a line of a requirements file."""
    for line in read_lines(text.value):
        place = text.location(artifact.uri, line.start, line.end)
        hashes = tuple(each.value for each in line.options if each.name == "--hash")
        if line.text:
            yield from read_statement(
                Statement(text=line.text, location=place, place=PIP_PLACE, hashes=hashes)
            )
        for option in line.options:
            place = text.location(artifact.uri, option.start, option.end)
            if option.name == "--requirement":
                yield from include(option.value, artifact, place, budget)
            elif known_options().get(option.name, {}).get("index"):
                yield option_evidence(option.name, option.value, place, place=PIP_PLACE)
            elif option.name == "--editable":
                yield from read_statement(Statement(text=option.value, location=place, place=PIP_PLACE))
            elif option.problem:
                yield unparsed(option.name, place, option.problem)


def _conda(text: Text, artifact: Artifact) -> Iterator[Found]:
    match = MATCH.fullmatch(text.value) if len(text.value) <= LENGTH else None
    start = match.start("name") if match is not None else 0
    yield from read_match(text.value, text.location(artifact.uri, start))


def read_match(text: str, location: Location) -> Iterator[Found]:
    """Read one match specification, such as "conda-forge::numpy>=1.26"."""
    match = MATCH.fullmatch(text) if len(text) <= LENGTH else None
    if match is None:
        yield unparsed(text, location, "not a conda match specification")
        return
    specifier = conda_specifier(_version(match["rest"].strip()))
    if specifier is None:
        yield unparsed(text, location, "not a version constraint")
        return
    if match["name"].lower() == "python" and specifier:
        yield asked(specifier, location, text)
    dependency = _dependency(match["name"], specifier, location)
    if dependency is not None:
        yield dependency


def _version(rest: str) -> str:
    """Give the version constraint of what follows a name, without the build's name."""
    if rest.startswith("["):
        keys = VERSION_KEY.search(rest)
        return next((each for each in keys.groups() if each is not None), "") if keys is not None else ""
    rest = rest.partition("[")[0].rstrip()
    fuzzy = FUZZY_BUILD.fullmatch(rest)
    return fuzzy["version"] if fuzzy is not None else SPACED_BUILD.sub("", rest)


def _dependency(name: str, specifier: str, location: Location) -> Dependency | None:
    """Make a dependency under its name on PyPI; None for what is no Python package."""
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - heavy: few projects use conda

    names = _names()
    if name.lower() in names["other"]:
        return None
    return Dependency(
        name=canonicalize_name(names["renamed"].get(name.lower(), name)),
        raw_name=name,
        location=location,
        version=exact_version(specifier),
        specifier=specifier,
    )


def _lock(document: Mapping, artifact: Artifact, budget: Budget) -> Iterator[Found]:
    packages = document.get("package")
    for package in packages.items if isinstance(packages, Sequence) else []:
        budget.spend(Resource.NODES)
        name = package.get("name") if isinstance(package, Mapping) else None
        version = value_of(package, "version")
        if not isinstance(name, Text) or version is None:
            message = "a package of the lock has no name or no version"
            where = Location(uri=artifact.uri)
            yield Notification(code="unparsed-requirement", message=message, location=where, incomplete=True)
            continue
        url = value_of(package, "url") or ""
        is_pip = value_of(package, "manager") == "pip"
        build = url.rpartition("/")[2].removeprefix(f"{name.value}-{version}-")
        if not is_pip and PYTHON_BUILD.search(build) is None:
            continue
        dependency = _dependency(name.value, f"=={version}", name.location(artifact.uri))
        if dependency is None:
            continue
        hashes = package.get("hash") if isinstance(package, Mapping) else None
        category = value_of(package, "category")
        yield replace(
            dependency,
            version=version,
            hashes=tuple(
                f"{key.value}:{value.value}"
                for key, value in (hashes.items if isinstance(hashes, Mapping) else [])
                if isinstance(value, Text)
            ),
            group=None if category in {None, "main"} else category,
            kind=DependencyKind.LOCKED,
            direct=False,
        )


@cache
def _names() -> Any:
    return json.loads((rules_folder() / "formats" / "conda_names.json").read_bytes())
