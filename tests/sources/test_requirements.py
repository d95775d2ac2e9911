from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from pip_requirements_parser import RequirementsFile  # type: ignore[import-untyped]

from supplyguard.errors import BudgetExceededError, SupplyguardError, UnreadableError
from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Artifact, Dependency, DependencyKind, Location
from supplyguard.limits import Budget, Limits
from supplyguard.sources import Item, requirements
from supplyguard.wire.text import LINE_END

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA = "a" * 64


def dependencies(items: Sequence[Item]) -> list[Dependency]:
    return [each for each in items if isinstance(each, Dependency)]


def evidence(items: Sequence[Item], kind: str) -> list[Evidence]:
    return [each for each in items if isinstance(each, Evidence) and each.kind == kind]


def notes(items: Sequence[Item]) -> list[Notification]:
    return [each for each in items if isinstance(each, Notification)]


def text_at(text: str, place: Location) -> str:
    """The characters that a Location covers, line ends left out."""
    lines = LINE_END.split(text)
    assert place.line
    assert place.end_line
    assert place.column
    assert place.end_column
    if place.line == place.end_line:
        return lines[place.line - 1][place.column - 1 : place.end_column - 1]
    inner = lines[place.line : place.end_line - 1]
    return "".join(
        [lines[place.line - 1][place.column - 1 :], *inner, lines[place.end_line - 1][: place.end_column - 1]]
    )


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt",
        "requirements-dev.txt",
        "dev-requirements.txt",
        "requirements_gpu.txt",
        "requirements.in",
        "requirements3.txt",
        "Requirements.txt",
        "constraints.txt",
        "docs.requirements.txt",
    ],
)
def test_names_that_are_claimed(name: str) -> None:
    assert requirements.claims(name)


@pytest.mark.parametrize("name", ["readme.txt", "requirements.md", "myrequirements.txt", "notes.in"])
def test_names_that_are_not(name: str) -> None:
    assert not requirements.claims(name)


def test_everything_that_a_line_can_say(collect: Any) -> None:
    text = (
        "# a comment\n"
        "\n"
        "NumPy == 1.26.4 ; python_version < '3.12' \\\n"
        f"    --hash=sha256:{SHA} \\\n"
        f"    --hash sha512:{SHA}{SHA}\n"
        "  uvicorn[standard, http2]>=0.2,<1  # why\n"
        "ruamel.yaml===0.18.6\n"
        "torch==2.*\n"
    )
    items = collect(requirements, "requirements.txt", text)
    numpy, uvicorn, ruamel, torch = dependencies(items)
    assert (numpy.name, numpy.raw_name, numpy.version) == ("numpy", "NumPy", "1.26.4")
    assert numpy.marker == 'python_version < "3.12"'
    assert numpy.hashes == (f"sha256:{SHA}", f"sha512:{SHA}{SHA}")
    assert text_at(text, numpy.location) == "NumPy == 1.26.4 ; python_version < '3.12'"
    assert uvicorn.location == Location(uri="requirements.txt", line=6, column=3, end_line=6, end_column=35)
    assert uvicorn.extras == ("http2", "standard")
    assert (uvicorn.specifier, uvicorn.version) == ("<1,>=0.2", None)
    assert (ruamel.name, ruamel.version) == ("ruamel-yaml", "0.18.6")
    assert torch.version is None
    assert [each.facts["name"] for each in evidence(items, "dependency-unpinned")] == ["uvicorn", "torch"]
    assert notes(items) == []


def test_a_requirement_over_several_lines_has_both_ends(collect: Any) -> None:
    text = "pandas >= 1, \\\n    < 3 \\\n ; python_version > '3' # x\n"
    (pandas,) = dependencies(collect(requirements, "requirements.txt", text))
    place = pandas.location
    assert (place.line, place.column, place.end_line, place.end_column) == (1, 1, 3, 24)
    assert Requirement(text_at(text, place).replace("\\", "")) == Requirement(
        'pandas<3,>=1; python_version > "3"'
    )


def test_line_separators_that_editors_do_not_show_end_a_comment_for_pip(collect: Any) -> None:
    text = "# harmless\u2028evil-package==1.0\nnext==2\n"
    first, second = dependencies(collect(requirements, "requirements.txt", text))
    assert (first.name, first.location.line, first.location.column) == ("evil-package", 1, 12)
    assert (second.name, second.location.line) == ("next", 2)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_all_line_ends_count_as_one(collect: Any, end: str) -> None:
    items = collect(requirements, "requirements.txt", f"# c{end}{end}numpy==1{end}")
    assert [each.location.line for each in dependencies(items)] == [3]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffnumpy==1\n".encode(),
        "numpy==1\n".encode("utf-16"),
        "numpy==1\n".encode("utf-32"),
        "# -*- coding: latin-1 -*-\n# é\nnumpy==1\n".encode("latin-1"),
    ],
)
def test_encodings_that_are_declared(collect: Any, content: bytes) -> None:
    items = collect(requirements, "requirements.txt", content)
    assert [each.name for each in dependencies(items)] == ["numpy"]
    assert notes(items) == []


@pytest.mark.parametrize("first", [b"", b"# coding: rot13\n", b"# coding: nonsense\n"])
def test_encodings_that_are_not(collect: Any, first: bytes) -> None:
    items = collect(requirements, "requirements.txt", first + b"# caf\xe9\nnumpy==1\n")
    assert [each.name for each in dependencies(items)] == ["numpy"]
    assert [(each.code, each.incomplete) for each in notes(items)] == [("encoding", False)]


def test_index_options(collect: Any) -> None:
    text = (
        "-i https://user:secret@a.example/simple\n"
        "--extra-index https://b.example/simple --trusted-host=b.example\n"
        "-fhttp://c.example/links\n"
        "--no-index\n--pre\n--prefer-binary\n--no-binary :all:\n--use-feature=fast-deps\n"
        "numpy==1\n"
    )
    items = collect(requirements, "requirements.txt", text)
    found = evidence(items, "index-option")
    said = [(each.facts["option"], each.facts["host"], each.facts["scheme"]) for each in found]
    assert said == [
        ("--index-url", "a.example", "https"),
        ("--extra-index-url", "b.example", "https"),
        ("--trusted-host", "b.example", ""),
        ("--find-links", "c.example", "http"),
        ("--no-index", "", ""),
        ("--pre", "", ""),
    ]
    assert [text_at(text, each.location) for each in found] == [
        "-i https://user:secret@a.example/simple",
        "--extra-index https://b.example/simple",
        "--trusted-host=b.example",
        "-fhttp://c.example/links",
        "--no-index",
        "--pre",
    ]
    assert found[0].facts["value"] == "https://****@a.example/simple"
    assert "secret" not in repr(items)
    assert notes(items) == []


def test_hashes_on_every_requirement_are_told(collect: Any) -> None:
    option = "--extra-index-url https://b.example/simple\n"
    hashed = f"a==1 --hash=sha256:{SHA}\nb==1 --hash=sha256:{SHA}\n"
    for text, expected in (
        (option + hashed, True),
        (option + hashed + "c==1\n", False),
        (option + "--require-hashes\nc==1\n", True),
        (option, False),
        (option + hashed + "-e .\n", False),
    ):
        (found,) = evidence(collect(requirements, "requirements.txt", text), "index-option")
        assert found.facts["hashed"] is expected, text


@pytest.mark.parametrize(
    ("line", "form", "pinned", "name", "version"),
    [
        ("git+https://h.example/o/r.git@main#egg=foo", "vcs", False, "foo", None),
        (f"git+https://h.example/o/r.git@{COMMIT}#egg=foo[x]&subdirectory=y", "vcs", True, "foo", None),
        (f"git+ssh://git@h.example/o/r.git@{COMMIT[:12]}", "vcs", False, None, None),
        ("git+ssh://git@h.example/o/r.git", "vcs", False, None, None),
        ("svn+https://h.example/r/trunk@1234", "vcs", True, None, None),
        ("https://h.example/foo-1.0-py3-none-any.whl", "archive", False, "foo", "1.0"),
        (f"https://h.example/foo-1.0.tar.gz#sha256={SHA}", "archive", True, "foo", "1.0"),
        ("https://h.example/foo-1.0.tar.gz#md5=" + "a" * 32, "archive", False, "foo", "1.0"),
        (f"https://h.example/archive.zip --hash=sha256:{SHA}", "archive", True, None, None),
        ("https://h.example/t-2.1%2Bcu118-cp310-cp310-linux_x86_64.whl", "archive", False, "t", "2.1+cu118"),
        ("foo @ https://h.example/x.zip ; python_version > '3'", "archive", False, "foo", None),
        ("./local/pkg[dev]", "path", False, None, None),
        ("../up/foo-2.0-py3-none-any.whl", "path", False, "foo", "2.0"),
        ("file:///srv/foo-2.0-py3-none-any.whl", "path", False, "foo", "2.0"),
        ("-e .", "path", False, None, None),
        ("-e git+https://h.example/o/r@v1#egg=foo", "vcs", False, "foo", None),
        ("-e foo @ git+https://h.example/o/r", "vcs", False, "foo", None),
        ("C:\\wheels\\foo-2.0-py3-none-any.whl", "path", False, "foo", "2.0"),
    ],
)
def test_direct_references(
    collect: Any,
    line: str,
    form: str,
    *,
    pinned: bool,
    name: str | None,
    version: str | None,
) -> None:
    if line.startswith("-e foo @"):
        line = line.replace("-e foo @ git", "-e 'foo @ git") + "'"
    items = collect(requirements, "requirements.txt", f"{line}\n")
    (found,) = evidence(items, "direct-url")
    assert (found.facts["form"], found.facts["pinned"]) == (form, pinned)
    assert [(each.name, each.version) for each in dependencies(items)] == ([(name, version)] if name else [])
    assert evidence(items, "dependency-unpinned") == []
    assert notes(items) == []


def test_credentials_in_addresses_are_masked(collect: Any) -> None:
    text = "foo @ https://me:secret@h.example/foo.zip\ngit+https://secret@h.example/r.git\n"
    items = collect(requirements, "requirements.txt", text)
    assert "secret" not in repr(items)
    assert dependencies(items)[0].url == "https://****@h.example/foo.zip"


@pytest.mark.parametrize(
    "line",
    [
        "two words",
        "numpy=1.0",
        "numpy>=1.0.*",
        "${NAME}==1.0",
        "--unknown-option",
        "--re x",  # begins --requirement and --require-hashes
        "-r",
        "-x y",
        "numpy --hash",
        "n" * 5000,
        "numpy ; " + "(" * 60 + "python_version > '3'" + ")" * 60,
        "\x00",
        "https://h.example/a b c",
    ],
)
def test_what_is_not_understood_is_a_gap_and_the_rest_is_read(collect: Any, line: str) -> None:
    items = collect(requirements, "requirements.txt", f"{line}\nflask==3.0.0\n")
    assert "flask" in {each.name for each in dependencies(items)}
    assert [(each.code, each.incomplete) for each in notes(items)] == [("unparsed-requirement", True)]
    place = notes(items)[0].location
    assert place is not None
    assert place.line == 1
    assert len(notes(items)[0].message) < 300


def test_includes_are_followed_once(collect: Any, tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("-r requirements.txt\nnumpy>=1\n-r deeper/more.txt\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "more.txt").write_text("-r ../base.txt\npandas\n")
    (tmp_path / "pins.txt").write_text("numpy==1.26.4\nscipy==1.11\n")
    text = "-r base.txt\n-c pins.txt\n-r base.txt\nflask==3\n"
    items = collect(requirements, "requirements.txt", text)
    said = [(each.name, each.location.uri, each.kind) for each in dependencies(items)]
    assert said == [
        ("flask", "requirements.txt", DependencyKind.REQUIREMENT),
        ("numpy", "base.txt", DependencyKind.REQUIREMENT),
        ("pandas", "deeper/more.txt", DependencyKind.REQUIREMENT),
        ("numpy", "pins.txt", DependencyKind.CONSTRAINT),
        ("scipy", "pins.txt", DependencyKind.CONSTRAINT),
    ]
    # the constraint pins numpy
    assert [each.facts["name"] for each in evidence(items, "dependency-unpinned")] == ["pandas"]
    loops = [(each.code, each.location.uri) for each in notes(items) if each.location]
    assert loops == [("include-loop", "base.txt"), ("include-loop", "deeper/more.txt")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("https://user:secret@h.example/r.txt", "an address"),
        ("file:///etc/passwd", "an address"),
        ("../outside.txt", "outside"),
        ("/etc/passwd", "outside"),
        ("link.txt", "outside"),
        ("missing.txt", "no such file"),
        ("folder", "no such file"),
        ("pipe", "no such file"),
        ("''", "an address"),
    ],
)
def test_includes_that_are_not_read(tmp_path: Path, name: str, reason: str) -> None:
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    (tmp_path / "outside.txt").write_text("secret-package\n")
    (tree / "link.txt").symlink_to("../outside.txt")
    os.mkfifo(tree / "pipe")
    path = tree / "requirements.txt"
    path.write_text(f"-r {name}\nflask==3\n")
    artifact = Artifact(uri="tree/requirements.txt", path=path, size=1, root=tree)
    items = list(requirements.collect(artifact, Budget()))
    assert [each.name for each in dependencies(items)] == ["flask"]
    (note,) = notes(items)
    assert (note.code, note.incomplete) == ("include-unread", True)
    assert reason in note.message
    assert "secret" not in note.message


def test_an_artifact_without_a_root_stays_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b.txt").write_text("numpy\n")
    path = tmp_path / "a" / "requirements.txt"
    path.write_text("-r ../b.txt\n")
    items = list(requirements.collect(Artifact(uri="r", path=path, size=1), Budget()))
    assert [each.code for each in notes(items)] == ["include-unread"]


def test_an_included_file_that_is_too_large_is_a_gap(collect: Any, tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_text("#" * 5000)
    items = collect(
        requirements, "requirements.txt", "-r big.txt\nflask==3\n", limits=Limits(document_bytes=1000)
    )
    assert [(each.code, each.incomplete) for each in notes(items)] == [("unreadable", True)]
    assert [each.name for each in dependencies(items)] == ["flask"]


def test_constraints_files_are_no_requirements(collect: Any) -> None:
    items = collect(requirements, "constraints.txt", "numpy<2\n")
    assert [each.kind for each in dependencies(items)] == [DependencyKind.CONSTRAINT]
    assert evidence(items, "dependency-unpinned") == []


def test_a_missing_file_and_a_large_one(tmp_path: Path) -> None:
    gone = Artifact(uri="r", path=tmp_path / "requirements.txt", size=1)
    with pytest.raises(UnreadableError):
        list(requirements.collect(gone, Budget()))
    gone.path.write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    with pytest.raises(BudgetExceededError):
        list(requirements.collect(gone, Budget()))


def test_what_was_found_before_a_limit_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("numpy\n" * 50)
    found: list[Item] = []
    with pytest.raises(BudgetExceededError):
        found.extend(requirements.collect(Artifact(uri="r", path=path, size=1), Budget(Limits(nodes=10))))
    assert len(dependencies(found)) == 10
    assert len(evidence(found, "dependency-unpinned")) == 10


@pytest.mark.heavy
@pytest.mark.parametrize(
    "content",
    [
        "a" + " " * 1_000_000 + "b",
        "\\\n" * 200_000,
        "#" * 1_000_000,
        "-e '" * 100_000,
        "./" + " " * 3000 + "x\n",
        "[" * 500_000,
        "a @" * 200_000,
    ],
)
def test_hostile_text_costs_little_time(collect: Any, content: str) -> None:
    started = time.process_time()
    collect(requirements, "requirements.txt", content)
    assert time.process_time() - started < 5


ORDINARY = """\
# This file is generated
--index-url https://pypi.org/simple
absl-py==2.1.0 \\
    --hash=sha256:526a04eadab8b4ee719ce68f204172ead1027549089702d99b9059f129ff1308 \\
    --hash=sha256:7820790efbb316739cde8b4e19357243fc3608a152024288513dd968d7d959ff
    # via tensorboard
accelerate>=0.21,!=0.23.*  # for device_map
Pillow ; sys_platform != "win32" and python_version >= "3.8"
torch[opt-einsum]~=2.1
scikit_learn
git+https://github.com/openai/CLIP.git@a1d071733d7111c9c014f024669f959182114e33#egg=clip
transformers @ https://h.example/transformers-4.40.0-py3-none-any.whl
./vendor/thing
-e ./local
requests [security] >= 2.8.1 , == 2.8.* ; python_version < "3.13"
"""


def second_opinion(path: Path) -> set[tuple[Any, ...]]:
    """Read a file with pip_requirements_parser, which is made of pip's own parser."""
    parsed = RequirementsFile.from_file(str(path), include_nested=False)
    assert not parsed.invalid_lines
    return {
        (
            re.sub(r"[-_.]+", "-", each.name).lower(),
            frozenset(str(spec) for spec in each.specifier or ()),
            frozenset(each.extras),
            str(each.marker) if each.marker else None,
            len(each.hash_options),
            each.requirement_line.line_number,
        )
        for each in parsed.requirements
        if each.name
    }


def ours(items: Sequence[Item]) -> set[tuple[Any, ...]]:
    return {
        (
            each.name,
            frozenset(part for part in each.specifier.split(",") if part),
            frozenset(each.extras),
            each.marker,
            len(each.hashes),
            each.location.line,
        )
        for each in dependencies(items)
    }


def test_pips_own_parser_agrees(collect: Any, tmp_path: Path) -> None:
    items = collect(requirements, "requirements.txt", ORDINARY)
    assert notes(items) == []
    assert ours(items) == second_opinion(tmp_path / "requirements.txt")
    assert len(dependencies(items)) == 8


NAMES = st.from_regex(r"[A-Za-z]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True)
SPECIFIERS = st.sampled_from(["", "==1.0", " >= 2", "~=1.4.2", "<3,>=1", "===1.0+local", "!=1.*", " == 2.* "])
EXTRAS = st.sampled_from(["", "[a]", "[b-c,d]", " [ a , e ] "])
MARKERS = st.sampled_from(["", '; python_version >= "3.8"', " ; sys_platform == 'win32' or extra == 'x'"])
TAILS = st.sampled_from(["", "  # comment", f" --hash=sha256:{SHA}", " \\\n    # comment", "\t"])
LEADS = st.sampled_from(["", "  ", "\n", "# é comment 😀\n", "\\\n", "\t"])


@st.composite
def requirement_lines(draw: st.DrawFn) -> tuple[str, str, str]:
    text = draw(NAMES) + draw(EXTRAS) + draw(SPECIFIERS) + draw(MARKERS)
    return draw(LEADS), text, draw(TAILS)


@settings(deadline=None, max_examples=150)
@given(lines=st.lists(requirement_lines(), max_size=8), end=st.sampled_from(["\n", "\r\n"]))
def test_every_requirement_is_found_once_where_it_stands(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str, str]], end: str
) -> None:
    path = tmp_path_factory.mktemp("r") / "requirements.txt"
    text = "".join(f"{lead}{said}{tail}\n" for lead, said, tail in lines).replace("\n", end)
    path.write_bytes(text.encode())
    items = list(requirements.collect(Artifact(uri="r", path=path, size=1), Budget()))
    found = dependencies(items)
    assert [text_at(text, each.location) for each in found] == [said.strip() for _lead, said, _tail in lines]
    expected = [Requirement(said) for _lead, said, _tail in lines]
    assert [(each.raw_name, each.specifier, set(each.extras)) for each in found] == [
        (each.name, str(each.specifier), each.extras) for each in expected
    ]
    assert notes(items) == []
    # pip numbers a requirement by the line that a continuation before it starts on
    if not any(lead.startswith("\\") for lead, _said, _tail in lines):
        assert ours(items) == second_opinion(path)


@settings(deadline=None, max_examples=200)
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.lists(
            st.sampled_from(
                [
                    "-r ",
                    "--",
                    "-e ",
                    "=",
                    "git+",
                    "https://",
                    "@",
                    "#",
                    "\\",
                    "\n",
                    " ",
                    "'",
                    '"',
                    "a",
                    "[",
                    ";",
                    ".",
                ]
            ),
            max_size=60,
        ).map(lambda parts: "".join(parts).encode()),
    )
)
def test_any_bytes_give_items_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("r") / "requirements.txt"
    path.write_bytes(content)
    try:
        items = list(requirements.collect(Artifact(uri="r", path=path, size=1), Budget()))
    except SupplyguardError:
        return
    for item in items:
        assert isinstance(item, Dependency | Evidence | Notification)
