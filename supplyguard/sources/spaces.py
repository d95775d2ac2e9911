"""Hugging Face Spaces: the library that the head of README.md names (requirements.txt is read for itself).

Format: Hugging Face's documentation, "Spaces Configuration Reference" (sdk, sdk_version).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from supplyguard.aspect import Aspect
from supplyguard.inventory import Artifact
from supplyguard.limits import MIB, Budget
from supplyguard.sources.statements import Statement, read_statement
from supplyguard.sources.toml_document import Found
from supplyguard.sources.yaml_document import Mapping, Text, parse_yaml
from supplyguard.wire.text import decode, read_bytes

NAME: Final = "spaces"
ASPECT: Final = Aspect.DEPENDENCIES
FILE_SIZE: Final = 4 * MIB
HEAD: Final = re.compile(r"---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
SDKS: Final = frozenset({"gradio", "streamlit"})
PLACE: Final = "space"


def claims(name: str) -> bool:
    """Whether a file is called README.md."""
    return name == "README.md"


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield the library of a Space; raises MalformedError when the head is not YAML."""
    text = decode(read_bytes(artifact.path, min(FILE_SIZE, budget.limits.document_bytes)))[0]
    head = HEAD.match(text)
    if head is None or "sdk" not in head["yaml"]:
        return
    document = parse_yaml(head["yaml"], budget)
    sdk = document.get("sdk") if isinstance(document, Mapping) else None
    version = document.get("sdk_version") if isinstance(document, Mapping) else None
    if not isinstance(sdk, Text) or sdk.value not in SDKS:
        return
    said = f"{sdk.value}=={version.value}" if isinstance(version, Text) else sdk.value
    place = sdk.location(artifact.uri)
    # the head starts on the file's second line
    place = replace(place, line=sdk.line + 1, end_line=sdk.end_line + 1)
    yield from read_statement(Statement(text=said, location=place, place=PLACE))
