"""MLflow: what loads a model (MLmodel), what its environment installs, and what a project runs (MLproject).

Formats: mlflow/models/model.py (MLmodel), mlflow/utils/environment.py (python_env.yaml, conda.yaml),
mlflow/projects/_project_spec.py (MLproject). In model_code_path and an artifact's uri MLflow keeps where
they were when the model was saved, and opens only what has that name in the model's folder. Tags and
aliases are yaml_document's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

from supplyguard.errors import BudgetExceededError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget
from supplyguard.resources import format_data
from supplyguard.wire.yaml_events import Seen, walk_yaml

FORMAT: Final = "mlflow_model"

LARGEST: Final = 8 * MIB
_SHOWN: Final = 200


def recognizes(probe: Probe) -> bool:
    """Whether the name is one of MLflow's and the words of that file are there."""
    kind = _kind(probe.name)
    if kind is None or b"\0" in probe.head[:512]:
        return False
    long = (probe.size or 0) > len(probe.head)
    return long or any(mark.encode() in probe.head for mark in _lists()["marks"][kind])


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Yield what loads, installs or runs; raises MalformedError where the text stops being YAML."""
    with closing(member.open()) as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise BudgetExceededError("document_bytes", LARGEST)
    kind = _kind(member.name)
    if kind is None:
        return
    look = _LOOKS[kind]
    for seen in walk_yaml(raw, budget):
        if seen.what == "scalar":
            for name, facts, symbol in look(seen, _name(member.name)):
                yield Evidence(kind=name, location=seen.place.within(member), facts=facts, symbol=symbol)


_Found = Iterator[tuple[str, dict[str, Fact], str]]
"""A kind of Evidence, its facts and its symbol."""


def _model(seen: Seen, _name: str) -> _Found:
    """Look at a value of MLmodel."""
    key, value, lists = seen.key, seen.text, _lists()
    shown = value[:_SHOWN]
    if key == "loader_module" and value.partition(".")[0] != "mlflow":
        yield "mlflow-loader", {"module": shown}, shown
    if key in lists["code_keys"] and value not in {"", "null", "~"}:
        yield "mlflow-code", {"key": key, "value": shown}, key
    if key in lists["path_keys"] and re.search(lists["escapes"], value):
        yield "mlflow-path", {"key": key, "value": shown}, key
    for row in format_data("hub_repository")["secrets"]:
        if re.search(row["pattern"], value):
            yield "mlflow-secret", {"key": key[:_SHOWN], "what": row["what"]}, key[:_SHOWN]


def _environment(seen: Seen, name: str) -> _Found:
    """Look at a dependency of python_env.yaml or conda.yaml."""
    if not any(key.endswith("dependencies") for key in seen.keys[:1]):
        return
    value, lists = seen.text.strip(), _lists()
    shown = value[:_SHOWN]
    if re.search(lists["shell"], value):
        yield "mlflow-dependency", {"value": shown, "sign": "shell"}, shown
    elif name in lists["sources_in"] and re.search(lists["sources"], value):
        yield "mlflow-dependency", {"value": shown, "sign": "source"}, shown


def _project(seen: Seen, _name: str) -> _Found:
    """Look at a command of MLproject."""
    if seen.key == "command" and seen.keys[0] == "entry_points":
        downloads = re.search(_lists()["downloaders"], seen.text, re.DOTALL) is not None
        shown = seen.text[:_SHOWN]
        yield "mlflow-command", {"value": shown, "downloads": downloads}, ".".join(seen.keys)[:_SHOWN]


_LOOKS: Final[dict[str, Callable[[Seen, str], _Found]]] = {
    "model": _model,
    "environment": _environment,
    "project": _project,
}


def _name(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].lower()


def _kind(name: str) -> str | None:
    kind: str | None = _lists()["names"].get(_name(name))
    return kind


def _lists() -> Any:
    return format_data(FORMAT)
