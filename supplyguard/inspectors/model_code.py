"""Python code that a model loader would run: what it does, and when; and any code that hides what it runs.

Formats: Python source; .pyc files (PEP 552, Python/marshal.c); path configuration files (site.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from supplyguard.code.acts import Act, source_acts
from supplyguard.code.acts_table import acts_data
from supplyguard.code.standing import (
    ELSEWHERE,
    LOADED,
    REPOSITORY,
    Standing,
    is_model_folder,
    lists,
    standing_of,
)
from supplyguard.code.syntax import FILE_SIZE, locate
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inspectors.on_demand import code_like
from supplyguard.inventory import Location, Member, Probe
from supplyguard.limits import Budget
from supplyguard.wire.marshal_code import CODE_STARTS, read_code
from supplyguard.wire.text import declared_encoding, decode

FORMAT: Final = "model_code"

SOURCE: Final = (".py", ".pyw")
COMPILED: Final = ".pyc"
PATHS: Final = ".pth"
HEADERS: Final = (16, 12, 8)
"""Bytes before the code object: Python 3.7 and later, 3.3 to 3.6, before (PEP 552)."""
IMPORT_LINE: Final = re.compile(r"^import[ \t][^\n]*", re.MULTILINE)
"""A line that site.py executes."""
DISGUISE: Final = re.compile(rb"[ \t]{120}|\xef[\xbc\xbd]|\xf0\x9d[\x90-\x9f]")
"""Code far to the right, letters that only look like others."""
TAG: Final = re.compile(r"\.(cpython|pypy)-?\d+(\.opt-\d)?$")


def recognizes(probe: Probe) -> bool:
    """Whether it is Python by its name; a text .pth file needs a line that is run."""
    name = probe.name.lower()
    if name.endswith(COMPILED):
        return any(probe.head.startswith(CODE_STARTS, start) for start in HEADERS)
    if name.endswith(PATHS):
        return (
            b"\0" not in probe.head and IMPORT_LINE.search(probe.head.decode("utf-8", "replace")) is not None
        )
    return code_like(probe)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what the code does; source of a loader that cannot be parsed is a gap."""
    standing = standing_of(member.artifact, member.path)
    name = member.name.lower()
    judged = standing.place != ELSEWHERE
    with closing(member.open()) as stream:
        raw = stream.read(FILE_SIZE + 1)
    if len(raw) > FILE_SIZE:
        if judged or not name.endswith(SOURCE):
            raise BudgetExceededError("document_bytes", FILE_SIZE)
        return
    if name.endswith(COMPILED):
        yield from _compiled(member, raw, standing, budget)
        return
    text, problem = decode(raw)
    if name.endswith(PATHS):
        yield from _path_file(member, text, budget)
        return
    yield from _tree(member, text, standing)
    yield from _encoding(member, raw, standing)
    hub = Path(member.name).name == "hubconf.py"
    ordinary = not judged and DISGUISE.search(raw) is None
    found = source_acts(text, budget, all_public=hub, ordinary=ordinary) if problem is None else problem
    if isinstance(found, str):
        if judged:
            yield _unparsed(member, found)
        return
    acts, lines = found
    for act in acts:
        where = locate(act.node, member.artifact.uri, member.path, lines)
        yield _evidence(act, where, standing, member)


def _evidence(act: Act, where: Location, standing: Standing, member: Member) -> Evidence:
    facts: dict[str, Fact] = {
        "act": act.act,
        "when": act.when.label,
        "place": standing.place,
        "callee": act.callee,
        "operand": act.operand,
        "decoded": act.decoded,
        "source": act.source,
        "hidden": act.hidden,
        "nested": act.depth > 0,
        "known_host": act.known_host,
        "executes": act.callee in acts_data()["executors"],
        "loader": standing.loader,
    }
    related = () if standing.named_in is None else (_beside(member, standing.named_in),)
    return Evidence(
        kind="model-code", location=where, facts=facts, symbol=f"{act.act} {act.callee}", related=related
    )


def _beside(member: Member, file: Path) -> Location:
    """Name a file of the same tree as the artifact is named."""
    steps = len(member.artifact.path.parent.parts) - len(file.parent.parts)
    folders = member.artifact.uri.split("/")[:-1]
    kept = folders[: len(folders) - steps] if steps > 0 else folders
    below = file.parts[len(member.artifact.path.parent.parts) :] if steps < 0 else (file.name,)
    return Location(uri="/".join((*kept, *below)))


def _unparsed(member: Member, reason: str) -> Notification:
    return Notification(
        code="unparsed-python",
        message=f"a model's code that cannot be parsed as Python: {reason}",
        level=Level.WARNING,
        location=member.at(),
        incomplete=True,
    )


def _tree(member: Member, text: str, standing: Standing) -> Iterator[Evidence]:
    """Look at what a file is by its name and place."""
    if member.path:
        return
    path = member.artifact.path
    if path.name == "hubconf.py":
        yield _entry(member, "hub-entry", "hubconf.py")
    bases = "|".join(map(re.escape, lists()["dataset_bases"]))
    packaged = (path.parent / "__init__.py").exists()  # a library's own module, not a script
    if (path.stem == path.parent.name and not packaged) or standing.place == REPOSITORY:
        found = re.search(rf"^class \w+\([\w.]*\b({bases})\b", text, re.MULTILINE)
        if found is not None and re.search(r"^\s*(import|from)\s+datasets\b", text, re.MULTILINE):
            yield _entry(member, "dataset-script", found[1])
    if path.stem in lists()["shadowed"] and (_is_root(member) or is_model_folder(path.parent)):
        yield _entry(member, "shadows", path.stem)


def _encoding(member: Member, raw: bytes, standing: Standing) -> Iterator[Evidence]:
    """Look at a declared encoding (PEP 263) that shows another text than the one which is run."""
    name = declared_encoding(raw)[0].lower().replace("_", "-")[:40]
    if name not in lists()["plain_encodings"]:
        where = Location(uri=member.artifact.uri, member=member.path, line=1)
        hides = name in lists()["hiding_encodings"]
        facts: dict[str, Fact] = {"form": "encoding", "value": name, "hides": hides, "place": standing.place}
        yield Evidence(kind="model-code-file", location=where, facts=facts, symbol=name)


def _is_root(member: Member) -> bool:
    """Whether a cached file lies at the top of its repository (hf://owner/name@commit/file)."""
    uri = member.artifact.uri
    return member.artifact.origin is not None and "/" not in uri.partition("@")[2].partition("/")[2]


def _entry(member: Member, form: str, value: str) -> Evidence:
    where = Location(uri=member.artifact.uri, member=member.path, line=1)
    return Evidence(
        kind="model-code-file", location=where, facts={"form": form, "value": value}, symbol=value
    )


def _path_file(member: Member, text: str, budget: Budget) -> Iterator[Evidence]:
    """Look at the lines of a path configuration file that are executed whenever Python starts."""
    site = not member.path and any(member.artifact.path.parent.glob("*.dist-info"))
    for match in IMPORT_LINE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        where = Location(uri=member.artifact.uri, member=member.path, line=line)
        facts: dict[str, Fact] = {"form": "path-file", "site": site, "value": match[0][:200]}
        yield Evidence(kind="model-code-file", location=where, facts=facts, symbol=match[0][:100])
        found = source_acts(match[0], budget)
        if not isinstance(found, str):
            for act in found[0]:
                yield _evidence(act, where, Standing(place="path-file", loader="Python's start-up"), member)


def _compiled(member: Member, raw: bytes, standing: Standing, budget: Budget) -> Iterator[Evidence]:
    """Look at compiled code: whether its source is beside it, and which acting callables it mentions."""
    start = next((each for each in HEADERS if raw.startswith(CODE_STARTS, each)), None)
    if start is None:
        raise MalformedError("no code object after the header of a .pyc file", offset=0)
    in_model = standing.place != ELSEWHERE or (
        not member.path and is_model_folder(member.artifact.path.parent)
    )
    facts: dict[str, Fact] = {
        "form": "compiled",
        "source": _source_of(member),
        "place": LOADED if in_model else ELSEWHERE,
    }
    if not in_model:
        return
    try:
        names = set(read_code(raw[start:], budget).names)
    except MalformedError:
        yield Evidence(kind="model-code-file", location=member.at(0), facts=facts, symbol="compiled")
        raise
    facts["mentions"] = tuple(_mentioned(names))
    facts["acts"] = bool(facts["mentions"])
    yield Evidence(kind="model-code-file", location=member.at(0, len(raw)), facts=facts, symbol="compiled")


def _source_of(member: Member) -> str:
    if member.path:
        return "unknown"
    path = member.artifact.path
    stem = TAG.sub("", path.name.removesuffix(COMPILED))
    folder = path.parent.parent if path.parent.name == "__pycache__" else path.parent
    return "beside" if (folder / f"{stem}.py").exists() else "missing"


@cache
def _pairs() -> tuple[tuple[str, str], ...]:
    acts = acts_data()["acts"]
    exact = [
        name
        for act in ("process", "network", "native", "unmarshals")
        for name in acts[act]
        if "*" not in name
    ]
    return tuple((name.partition(".")[0], name.rpartition(".")[2]) for name in exact if "." in name)


def _mentioned(names: set[str]) -> list[str]:
    """Give callables whose module and name both occur; built-in ones by their name."""
    found = {f"{module}.{name}" for module, name in _pairs() if {module, name} <= names}
    return sorted(found | ({"exec", "eval"} & names))[:8]
