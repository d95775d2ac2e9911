from __future__ import annotations

import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement

from supplyguard.errors import MalformedError, SupplyguardError
from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Artifact, Dependency, Location
from supplyguard.limits import Budget
from supplyguard.sources import Item, pyproject, toml_document
from supplyguard.sources.toml_positions import find_positions
from supplyguard.wire.text import LINE_END

PROJECT = """\
[build-system]
requires = ["hatchling>=1.27", 'setuptools']

[project]
name = "demo"
version = "1"
dependencies = [
  # a comment with "quotes"
  "numpy>=1.26", "torch==2.4.0; python_version < '3.13'",
  "é-comment-before", "\\u0066lask",
  \"\"\"pandas\"\"\", '''scipy''',
  " httpx ",
]
optional-dependencies.gpu = ["triton==3.0"]

[project.optional-dependencies]
"quoted key" = ["x @ git+https://h.example/x@main"]

[dependency-groups]
test = ["pytest>=8", {include-group = "lint"}]
lint = ["ruff==0.5.0"]

[[tool.other.list]]
dependencies = ["not-one"]
"""


def dependencies(items: Sequence[Item]) -> list[Dependency]:
    return [each for each in items if isinstance(each, Dependency)]


def notes(items: Sequence[Item]) -> list[Notification]:
    return [each for each in items if isinstance(each, Notification)]


def text_at(text: str, place: Location) -> str:
    assert place.line
    assert place.column
    assert place.end_column
    assert place.line == place.end_line
    return LINE_END.split(text)[place.line - 1][place.column - 1 : place.end_column - 1]


def test_every_table_is_read_with_exact_places(collect: Any) -> None:
    text = PROJECT.replace('optional-dependencies.gpu = ["triton==3.0"]\n', "").replace('"é-', '"e-')
    items = collect(pyproject, "pyproject.toml", text)
    found = {each.name: each for each in dependencies(items)}
    said = {name: text_at(text, each.location) for name, each in found.items()}
    assert said == {
        "numpy": "numpy>=1.26",
        "torch": "torch==2.4.0; python_version < '3.13'",
        "e-comment-before": "e-comment-before",
        "flask": "\\u0066lask",
        "pandas": "pandas",
        "scipy": "scipy",
        "httpx": "httpx",
        "x": "x @ git+https://h.example/x@main",
        "pytest": "pytest>=8",
        "ruff": "ruff==0.5.0",
        "hatchling": "hatchling>=1.27",
        "setuptools": "setuptools",
    }
    groups = {each.name: each.group for each in dependencies(items) if each.group}
    assert groups == {
        "x": "quoted key",
        "pytest": "test",
        "ruff": "lint",
        "hatchling": "build-system",
        "setuptools": "build-system",
    }
    assert found["torch"].version == "2.4.0"
    assert found["torch"].marker == 'python_version < "3.13"'
    assert notes(items) == []


def test_dotted_keys_inline_tables_and_unicode_columns(collect: Any) -> None:
    text = (
        'project.name = "é😀"\n'
        'project.optional-dependencies = {"ünï" = ["a==1"], b = [\n "c==2" , ] }\n'
        'dependency-groups = { d = ["e==3"] } # "f==4"\n'
    )
    items = collect(pyproject, "pyproject.toml", text)
    places = [(each.raw_name, each.location.line, each.location.column) for each in dependencies(items)]
    assert places == [("a", 2, 44), ("c", 3, 3), ("e", 4, 29)]
    assert all(text_at(text, each.location).startswith(each.raw_name) for each in dependencies(items))


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_windows_line_ends_and_a_byte_order_mark(collect: Any, mark: str) -> None:
    text = mark + '[project]\r\nname = "x"\r\ndependencies = ["""\r\nnumpy==1\r\n""",\r\n "b==2"]\r\n'
    numpy, b = dependencies(collect(pyproject, "pyproject.toml", text))
    assert (numpy.location.line, numpy.location.column, numpy.location.end_column) == (4, 1, 9)
    assert (b.location.line, b.location.column) == (6, 3)


@pytest.mark.parametrize(
    ("string", "options", "installs"),
    [
        ('"--index-url http://h.example/simple"', ["--index-url"], False),
        ('"-e /tmp/x"', ["--editable"], True),
        ('" -r other.txt"', ["--requirement"], True),
        ('"numpy\\n--extra-index-url https://h.example"', ["--extra-index-url"], False),
        ('"numpy==1 --find-links https://h.example"', ["--find-links"], False),
        ("'''\nnumpy\n-i https://u:secret@h.example\n-e .\n'''", ["--index-url", "--editable"], True),
        ('"--nonsense"', ["--nonsense"], False),
    ],
)
def test_options_in_dependency_strings_are_evidence_and_never_requirements(
    collect: Any, string: str, options: list[str], *, installs: bool
) -> None:
    text = f'[project]\nname = "x"\ndependencies = [{string}, "ok==1"]\n'
    items = collect(pyproject, "pyproject.toml", text)
    found = [each for each in items if isinstance(each, Evidence) and each.kind == "index-option"]
    assert [each.facts["option"] for each in found] == options
    assert all(each.facts["place"] == "dependency-string" for each in found)
    assert any(each.facts.get("installs") for each in found) is installs
    assert [each.name for each in dependencies(items)] == ["ok"]
    assert [(each.code, each.incomplete) for each in notes(items)] == [("unparsed-requirement", True)]
    assert "secret" not in repr(items)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[project]\nname = "x"\ndependencies = "numpy"\n', 3),
        ('[project]\nname = "x"\ndependencies = ["numpy", 3]\n', 3),
        ('[project]\nname = "x"\noptional-dependencies = ["numpy"]\n', 3),
        ('[project]\nname = "x"\n[project.optional-dependencies]\na = "numpy"\n', 4),
        ("[dependency-groups]\na = [{other = 1}]\n", 2),
        ("dependency-groups = 3\n", 1),
        ('[build-system]\nrequires = ["not a requirement"]\n', 2),
    ],
)
def test_what_has_the_wrong_form_is_a_gap(collect: Any, text: str, line: int) -> None:
    (note,) = notes(collect(pyproject, "pyproject.toml", text))
    assert (note.code, note.incomplete) == ("unparsed-requirement", True)
    assert note.location is not None
    assert note.location.line == line


def test_groups_that_include_themselves_or_nothing(collect: Any) -> None:
    text = '[dependency-groups]\nA_b = [{include-group = "c"}, "x==1"]\nc = [{include-group = "a-b"}]\n'
    text += 'd = [{include-group = "gone"}, {include-group = "c"}]\ne = 3\n'
    items = collect(pyproject, "pyproject.toml", text)
    assert [each.name for each in dependencies(items)] == ["x"]
    said = [(each.code, each.location.line, each.incomplete) for each in notes(items) if each.location]
    assert said == [
        ("unparsed-requirement", 5, True),
        ("include-loop", 2, False),
        ("include-loop", 3, False),
        ("include-unread", 4, False),
    ]


def test_what_is_computed_or_in_another_format_is_a_gap(collect: Any, tmp_path: Path) -> None:
    (tmp_path / "reqs").mkdir()
    (tmp_path / "reqs" / "base.txt").write_text("numpy==1\n")
    (tmp_path / "extra.txt").write_text("scipy==1\n")
    text = '[project]\nname = "x"\ndynamic = ["dependencies", "optional-dependencies"]\n'
    items = collect(pyproject, "pyproject.toml", text)
    said = [(each.code, each.location.line, each.incomplete) for each in notes(items) if each.location]
    assert said == [("dependencies-unread", 3, True)] * 2
    text += (
        "[tool.setuptools.dynamic]\n"
        'dependencies = {file = ["reqs/base.txt", "gone.txt"]}\n'
        'optional-dependencies.a = {file = "extra.txt"}\n'
        '[tool.poetry.dependencies]\npython = "^3.11"\n'
    )
    items = collect(pyproject, "pyproject.toml", text)
    assert [(each.name, each.location.uri) for each in dependencies(items)] == [
        ("numpy", "reqs/base.txt"),
        ("scipy", "extra.txt"),
    ]
    said = [(each.code, each.location.line, each.incomplete) for each in notes(items) if each.location]
    assert said == [("include-unread", 5, True)]


@pytest.mark.parametrize(
    "content",
    [
        b".".join([b"a"] * 100_000) + b" = 1",
        b"[project",
        b"\xff\xfe",
        b"a = " + b"[" * 100_000,
        b"a = 1\na = 2\n",
        b"a = 20-13-45\n",
    ],
)
def test_what_is_not_toml_is_malformed(collect: Any, content: bytes) -> None:
    with pytest.raises(MalformedError, match=r"not (TOML|UTF-8|read as TOML)"):
        collect(pyproject, "pyproject.toml", content)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "content",
    [
        'a = "' + "\\\\" * 200_000 + '"\n',
        "a = [" + "1," * 200_000 + "]\n",
        "#" * 500_000,
        "\n" * 500_000,
        "a = '''" + "'\n" * 200_000 + "'''\n",
        "[project]\ndependencies = [" + '"a==1",' * 2_000 + "]\n",
    ],
)
def test_hostile_documents_cost_little_time(collect: Any, content: str) -> None:
    started = time.process_time()
    collect(pyproject, "pyproject.toml", content)
    assert time.process_time() - started < 5


def test_a_place_that_is_not_found_falls_back_to_the_table(
    collect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[project]\nname = "x"\ndependencies = ["numpy==1", "flask==2"]\n'
    nothing = find_positions("")
    only_tables = find_positions(text)
    monkeypatch.setattr(
        toml_document, "find_positions", lambda _text: type(nothing)({}, only_tables.tables, whole=False)
    )
    numpy, flask = dependencies(collect(pyproject, "pyproject.toml", text))
    assert (numpy.location.line, flask.location.line) == (3, 3)
    monkeypatch.setattr(toml_document, "find_positions", lambda _text: nothing)
    places = [each.location.line for each in dependencies(collect(pyproject, "pyproject.toml", text))]
    assert places == [1, 1]
    # a span that holds other text than tomllib says is not believed
    shifted = {
        path: type(span)(span.start + 1, span.end, span.plain) for path, span in only_tables.strings.items()
    }
    monkeypatch.setattr(
        toml_document, "find_positions", lambda _text: type(nothing)(shifted, only_tables.tables, whole=True)
    )
    assert [each.location.column for each in dependencies(collect(pyproject, "pyproject.toml", text))] == [
        1,
        1,
    ]


def strings_of(value: Any, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], str]:
    """Every string of a document by its path."""
    if isinstance(value, str):
        return {path: value}
    pairs: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return {key: text for name, inner in pairs for key, text in strings_of(inner, (*path, name)).items()}


KEYS = st.sampled_from(["a", "b-c", '"d e"', "'f.g'", "a.b", 'x . "y z"', '""'])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'\"\\"), max_size=6)
STRINGS = st.one_of(
    TEXTS.map(lambda text: f'"{text}"'),
    TEXTS.map(lambda text: f"'{text}'"),
    TEXTS.map(lambda text: f'"""\n{text}"\n"""'),
    TEXTS.map(lambda text: f"'''{text}'''"),
    st.sampled_from(['"\\n\\u00e9"', '""', "''", '""""""', '"""""a"""""', "''''a'''''", '"#"', "'[x]'"]),
)
SCALARS = st.sampled_from(["1", "-0.5e3", "true", "1979-05-27 07:32:00Z", "0xff", "inf"])
VALUES = st.recursive(
    st.one_of(STRINGS, SCALARS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: "[" + " , # c]\n".join(each) + "]"),
        st.lists(inner, max_size=2).map(
            lambda each: "{" + ", ".join(f"k{at} = {value}" for at, value in enumerate(each)) + "}"
        ),
    ),
    max_leaves=6,
)
LINES = st.one_of(
    st.tuples(KEYS, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    KEYS.map(lambda key: f"[{key}]"),
    KEYS.map(lambda key: f"[[ {key} ]] # é"),
    st.just("# \"'''"),
)


@settings(deadline=None, max_examples=400)
@given(lines=st.lists(LINES, max_size=8))
def test_the_scanner_finds_what_tomllib_finds(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    positions = find_positions(text)
    try:
        expected = strings_of(tomllib.loads(text))
    except tomllib.TOMLDecodeError:
        return
    assert positions.whole
    assert positions.strings.keys() == expected.keys()
    for path, value in expected.items():
        span = positions.strings[path]
        if span.plain:
            assert text[span.start : span.end] == value
        else:
            assert "\\" in text[span.start : span.end]


REQUIREMENTS = st.sampled_from(
    [
        "numpy",
        "Torch>=2,<3",
        "a.b_c==1.0; python_version>'3'",
        " x[y, z] ~= 1.4 ",
        "p @ https://h.example/p.zip",
        "é",
    ]
)


@settings(deadline=None, max_examples=100)
@given(
    lists=st.lists(st.lists(REQUIREMENTS, max_size=4), min_size=4, max_size=4),
    quote=st.sampled_from(['"', '"""']),
    between=st.sampled_from([", ", ",\n  # 'é'\n  ", " ,\r\n\t"]),
)
def test_no_dependency_is_lost_or_said_twice(
    tmp_path_factory: pytest.TempPathFactory, lists: list[list[str]], quote: str, between: str
) -> None:
    arrays = ["[" + between.join(f"{quote}{each}{quote}" for each in part) + "]" for part in lists]
    text = (
        f"[build-system]\nrequires = {arrays[0]}\n"
        f"[project]\nname = 'é'\ndependencies = {arrays[1]}\noptional-dependencies = {{gpu = {arrays[2]}}}\n"
        f"[dependency-groups]\ndev = {arrays[3]}\n"
    )
    path = tmp_path_factory.mktemp("p") / "pyproject.toml"
    path.write_bytes(text.encode())
    items = list(pyproject.collect(Artifact(uri="p", path=path, size=1), Budget()))
    good, bad = [], 0
    for each in [*lists[1], *lists[2], *lists[3], *lists[0]]:
        try:
            good.append((each.strip(), Requirement(each.strip()).name))
        except InvalidRequirement:
            bad += 1
    found = dependencies(items)
    assert [(text_at(text, each.location), each.raw_name) for each in found] == good
    assert [each.code for each in notes(items)] == ["unparsed-requirement"] * bad


@settings(deadline=None, max_examples=200)
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                [
                    "[project]",
                    "dependencies",
                    "=",
                    "[",
                    "]",
                    '"',
                    "'",
                    '"""',
                    "{",
                    "}",
                    ",",
                    "\n",
                    "a",
                    ".",
                    "\\",
                    "#",
                    "-e .",
                ]
            ),
            max_size=40,
        ).map(lambda parts: "".join(parts).encode()),
    )
)
def test_any_bytes_give_items_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("p") / "pyproject.toml"
    path.write_bytes(content)
    find_positions(content.decode("latin-1"))
    try:
        items = list(pyproject.collect(Artifact(uri="p", path=path, size=1), Budget()))
    except SupplyguardError:
        return
    for item in items:
        assert isinstance(item, Dependency | Evidence | Notification)
