from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.errors import BudgetExceededError, MalformedError, SupplyguardError
from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Artifact, Location, ModelRef
from supplyguard.limits import Budget, Limits
from supplyguard.sources import Item, notebook
from supplyguard.wire.json_positions import KeyPath, find_starts, raw_offset
from supplyguard.wire.text import LINE_END


def code(source: Any, **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": [], "metadata": {}, **more}


def document(*cells: Any, **more: Any) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more}


def calls(items: list[Item]) -> list[Evidence]:
    return [each for each in items if isinstance(each, Evidence)]


def text_at(text: str, place: Location) -> str:
    assert place.line
    assert place.column
    assert place.end_line
    assert place.end_column
    lines = LINE_END.split(text)[place.line - 1 : place.end_line]
    lines[-1] = lines[-1][: place.end_column - 1]
    lines[0] = lines[0][place.column - 1 :]
    return "\n".join(lines)


def test_names() -> None:
    assert notebook.claims("A.ipynb")
    assert not notebook.claims("a.json")


def test_places_are_those_of_the_file(collect: Any) -> None:
    text = json.dumps(
        document(
            {"cell_type": "markdown", "source": ["torch.load('no')"]},
            code(["import torch\n", "é = '😀'; torch.load(\"a\\tb\",\n", "    weights_only=False)"]),
            code("x = 1\ntorch.load('c')\n"),
            {"cell_type": "raw", "source": "torch.load('no')"},
        ),
        indent=1,
    )
    first, second = calls(collect(notebook, "n.ipynb", text))
    assert text_at(text, first.location).split("\n") == [
        'torch.load(\\"a\\\\tb\\",\\n",',
        '    "    weights_only=False)',
    ]
    assert text_at(text, second.location) == "torch.load('c')"
    assert first.location.line == 1 + text[: text.index("torch.load(\\")].count("\n")
    assert [each.facts["cell"] for each in (first, second)] == [2, 3]
    assert first.facts["weights_only"] == "false"


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_unicode_in_every_writing(collect: Any, indent: int | None, *, ascii_only: bool) -> None:
    text = json.dumps(
        document(code("'é😀\U0001d54f'; import torch\n'é😀'; torch.load(1)")),
        indent=indent,
        ensure_ascii=ascii_only,
    )
    (found,) = calls(collect(notebook, "n.ipynb", text))
    assert text_at(text, found.location) == "torch.load(1)"


def test_cells_share_their_names(collect: Any) -> None:
    items = collect(
        notebook,
        "n.ipynb",
        json.dumps(
            document(
                code("from transformers import AutoModel\nNAME = 'org/name'"),
                code("AutoModel.from_pretrained(NAME)"),
                code("OTHER = 'a/b'"),
                code("OTHER = 'c/d'\nAutoModel.from_pretrained(OTHER)"),
            )
        ),
    )
    assert [each.repo for each in items if isinstance(each, ModelRef)] == ["org/name", None]


@pytest.mark.parametrize(
    "source",
    [
        "!pip install torch\nimport torch\ntorch.load(1)",
        "%matplotlib inline\nimport torch\ntorch.load(1)",
        "%%time\nimport torch\ntorch.load(1)",
        "import torch\nfiles = !ls *.pt\ntorch.load(1)",
        "import torch\na, b = %sql select\ntorch.load(1)",
        "import torch\ntorch.load?\n?torch\ntorch.load??\ntorch.load(1)  # why?",
        "import torch\nif True:\n    !ls\n    torch.load(1)",
        "import torch\n!echo a \\\n  b \\\n  c\ntorch.load(1)",
        "import torch\nx = '''\n!not a command'''\ntorch.load(1)",
        "import torch\nawait go()\ntorch.load(1)",
    ],
)
def test_what_is_for_ipython_is_left_out(collect: Any, source: str) -> None:
    text = json.dumps(document(code(source.splitlines(keepends=True))), indent=1)
    items = collect(notebook, "n.ipynb", text)
    (found,) = calls(items)
    assert text_at(text, found.location) == "torch.load(1)"
    assert len(items) == 1


def test_cells_of_other_languages_are_left_out(collect: Any) -> None:
    bash = code("%%bash\npython -c 'import torch; torch.load(' \"")
    assert collect(notebook, "n.ipynb", json.dumps(document(bash))) == []
    julia = document(code("torch.load(1)"), metadata={"language_info": {"name": "julia"}})
    assert collect(notebook, "n.ipynb", json.dumps(julia)) == []
    python = document(code("torch.load(1)"), metadata={"language_info": {"name": "ipython3"}})
    assert len(collect(notebook, "n.ipynb", json.dumps(python))) == 1


def test_a_cell_that_cannot_be_parsed_is_a_gap_and_the_others_are_read(collect: Any) -> None:
    text = json.dumps(document(code("torch.load(("), code("def ("), code("torch.load(1)")), indent=1)
    note, found = collect(notebook, "n.ipynb", text)
    assert isinstance(note, Notification)
    assert (note.code, note.incomplete) == ("unparsed-python", True)
    assert "cell 1" in note.message
    assert note.location is not None
    assert note.location.line is not None
    assert LINE_END.split(text)[note.location.line - 1].strip().startswith('"source": "torch.load((')
    assert found.facts["cell"] == 3


def test_the_third_format(collect: Any) -> None:
    old = {"nbformat": 3, "worksheets": [3, {"cells": [{"cell_type": "code", "input": ["torch.load(1)"]}]}]}
    text = json.dumps(old, indent=2)
    (found,) = calls(collect(notebook, "n.ipynb", text))
    assert text_at(text, found.location) == "torch.load(1)"


def test_repeated_keys_mean_the_last_as_for_json(collect: Any) -> None:
    text = (
        '{"cells": [{"cell_type": "code", "source": ["torch.load(0)"], '
        '"s\\u006furce": ["1\\n", 2, "torch.load(1)"]}]}'
    )
    (found,) = calls(collect(notebook, "n.ipynb", text))
    assert text_at(text, found.location) == "torch.load(1)"


def test_a_place_that_is_not_found_falls_back_to_the_cell(
    collect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(document(code(["import torch\n", "torch.load(1)"])), indent=1)
    real = find_starts(text, lambda path: path == ("cells", 0, "source"))
    monkeypatch.setattr("supplyguard.code.notebook_cells.find_starts", lambda _text, _wanted: real)
    (found,) = calls(collect(notebook, "n.ipynb", text))
    assert found.location.line is not None
    assert LINE_END.split(text)[found.location.line - 1].strip() == '"source": ['
    monkeypatch.setattr("supplyguard.code.notebook_cells.find_starts", lambda _text, _wanted: {})
    (found,) = calls(collect(notebook, "n.ipynb", text))
    assert found.location == Location(uri="n.ipynb")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"3", b"{", b"\xff", b"[" * 200_000, b'{"a": ' * 100_000],
)
def test_what_is_no_notebook_is_malformed(collect: Any, content: bytes) -> None:
    with pytest.raises(MalformedError, match="not "):
        collect(notebook, "n.ipynb", content)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"cells": 3, "worksheets": 4},
        {"cells": [3, None, {}, {"cell_type": "code"}, {"cell_type": "code", "source": 3}]},
        {"cells": [{"cell_type": "code", "source": []}, {"cell_type": "code", "source": [3]}]},
        {"metadata": 3},
        {"metadata": {"language_info": 3}},
    ],
)
def test_odd_shapes_hold_nothing(collect: Any, value: Any) -> None:
    assert collect(notebook, "n.ipynb", json.dumps(value)) == []


def test_limits(collect: Any) -> None:
    text = json.dumps(document(code("torch.load(1)")))
    with pytest.raises(BudgetExceededError):
        collect(notebook, "n.ipynb", text, limits=Limits(document_bytes=10))
    big = json.dumps(document(code("torch.load(1)\n" + "#" * (4 * 1024 * 1024))))
    (note,) = collect(notebook, "n.ipynb", big)
    assert isinstance(note, Notification)
    assert note.incomplete


def test_images_in_outputs_cost_little_time(collect: Any) -> None:
    image = {"data": {"image/png": "A" * 8_000_000}, "output_type": "display_data"}
    text = json.dumps(document(code("torch.load(1)", outputs=[image]), *[code("x = 1")] * 2000), indent=1)
    started = time.process_time()
    assert len(collect(notebook, "n.ipynb", text)) == 1
    assert time.process_time() - started < 3


def all_strings(value: Any, path: KeyPath = ()) -> dict[KeyPath, str]:
    if isinstance(value, str):
        return {path: value}
    pairs: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return {key: text for name, inner in pairs for key, text in all_strings(inner, (*path, name)).items()}


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=200)
@given(value=JSON, indent=st.sampled_from([None, 1]), ascii_only=st.booleans(), data=st.data())
def test_the_scanner_finds_what_json_finds(
    value: Any, indent: int | None, data: st.DataObject, *, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    starts = find_starts(text, lambda _path: True)
    for path, string in all_strings(value).items():
        start = starts[path]
        decoded, end = json.JSONDecoder().raw_decode(text[start:])
        assert decoded == string
        assert raw_offset(text, start, len(string)) == start + end - 1
        at = data.draw(st.integers(0, len(string)))
        prefix = f'{text[start : raw_offset(text, start, at)]}"'
        assert json.loads(prefix) == string[:at]


@settings(deadline=None, max_examples=200)
@given(
    content=st.one_of(
        st.binary(max_size=100),
        JSON.map(lambda value: json.dumps(value).encode()),
        st.lists(st.one_of(st.text(max_size=30), st.just("torch.load(1)\n")), max_size=5).map(
            lambda source: json.dumps(document(code(source), code("".join(source)))).encode()
        ),
    )
)
def test_any_bytes_give_items_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("n") / "n.ipynb"
    path.write_bytes(content)
    find_starts(content.decode("latin-1"), lambda _path: True)
    try:
        items = list(notebook.collect(Artifact(uri="n", path=Path(path), size=1), Budget()))
    except SupplyguardError:
        return
    for item in items:
        assert isinstance(item, ModelRef | Evidence | Notification)
