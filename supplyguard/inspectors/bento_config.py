"""BentoML: what a bento.yaml or bentofile.yaml makes the build and the server run.

Format: BentoML's bento.yaml (made) and bentofile.yaml (written): `service` names Python code, `python` what
is installed, `docker` what runs while the image is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from supplyguard.archives.referenced_paths import path_reasons
from supplyguard.errors import BudgetExceededError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget
from supplyguard.resources import format_data
from supplyguard.wire.yaml_events import Seen, walk_yaml

FORMAT: Final = "bento_config"

LARGEST: Final = 4 * MIB
_SHOWN: Final = 200


def recognizes(probe: Probe) -> bool:
    """Whether it is one of BentoML's files with a service."""
    name = probe.name.replace("\\", "/").rpartition("/")[2].lower()
    return name in format_data(FORMAT)["names"] and b"service" in probe.head


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Yield what is run, installed or opened; raises MalformedError where the text stops being YAML."""
    with closing(member.open()) as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise BudgetExceededError("document_bytes", LARGEST)
    for seen in walk_yaml(raw, budget):
        if seen.what == "scalar":
            for kind, facts in _look(seen):
                symbol = f"{'.'.join(seen.keys)}:{seen.text}"[:_SHOWN]
                yield Evidence(kind=kind, location=seen.place.within(member), facts=facts, symbol=symbol)


def _look(seen: Seen) -> Iterator[tuple[str, dict[str, Fact]]]:
    """Look at one value by the keys that lead to it."""
    lists: Any = format_data(FORMAT)
    key, value = ".".join(seen.keys), seen.text
    facts: dict[str, Fact] = {"key": key[:_SHOWN], "value": value[:_SHOWN]}
    if not value or value in {"null", "~"}:
        return
    if key in lists["builds"]:
        yield "bento-build-step", facts
    if key in lists["sources"] or (
        key in lists["packages"] and re.search(format_data("mlflow_model")["sources"], value)
    ):
        yield "bento-source", facts
    if key in lists["paths"] and (reasons := path_reasons(value)):
        yield "bento-path", {**facts, "reasons": reasons}
