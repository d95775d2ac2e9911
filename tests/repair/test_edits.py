"""A raised file says the same as before, except for the versions."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.errors import MalformedError
from supplyguard.inventory import Artifact, Dependency
from supplyguard.limits import Budget, Limits
from supplyguard.repair.edits import diff, raised
from supplyguard.repair.plan import Edit
from supplyguard.sources import pyproject, requirements

PIECES = [
    "old==1.2", "Old[x,y] == 1.2", "old===1.2", "b>=1,==1.2.0,<9", "c", "d==1.2;os_name=='nt'",
    "e==1.2 ; a=='1.2'", " ", "\n", "\r\n", "# old==1.2", "ü", " \\\n", "--hash=sha256:aa", "-r x",
    "\u2028", "\t", ",", '"', "'", "[", "]", "f @ https://x/f==1.2", "1.2", "==1.2", "g==1.2.*", "\f", "$",
    "old ==1.2+local", "old (==1.2)",
]  # fmt: skip
TEXT = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=20).map("".join)
MARKS = st.sampled_from([("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe")])


def read(name: str, raw: bytes) -> list[Dependency]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(raw)
        artifact = Artifact(uri=name, path=path, size=len(raw))
        source = pyproject if name == "pyproject.toml" else requirements
        found = source.collect(artifact, Budget(Limits()))
        return [each for each in found if isinstance(each, Dependency)]


def meaning(dependencies: list[Dependency]) -> list[tuple[object, ...]]:
    """Give everything but places and pinned versions."""
    return [
        (
            *(each.raw_name, each.extras, each.marker, each.hashes, each.group, each.url, each.kind),
            tuple(part for part in sorted(each.specifier.split(",")) if not part.startswith("==")),
        )
        for each in dependencies
    ]


def check(name: str, raw: bytes) -> None:
    before = read(name, raw)
    edits = [
        Edit(dependency=each, version="77.8")
        for each in before
        if each.version is not None and each.url is None
    ]
    try:
        content, missed = raised(raw, edits)
    except MalformedError:
        return
    after = read(name, content)
    assert meaning(after) == meaning(before)
    done = [edit.dependency for edit in edits if edit not in missed]
    assert [each.version for each in after] == ["77.8" if each in done else each.version for each in before]
    if not done:
        assert content == raw
    assert "\x1b" not in diff(name, raw, content)


@settings(max_examples=150, deadline=None)
@given(TEXT, MARKS)
def test_requirements_mean_the_same(text: str, mark: tuple[str, bytes]) -> None:
    check("requirements.txt", mark[1] + text.encode(mark[0], "surrogatepass"))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=6),
    st.sampled_from(['"', "'", '"""', "'''"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_pyproject_means_the_same(entries: list[str], quote: str, end: str) -> None:
    listed = f",{end} ".join(f"{quote}{each}{quote} # old==1.2" for each in entries)
    text = f"[project]{end}name = 'p'{end}dependencies = [{end}{listed}{end}]{end}"
    raw = text.encode("utf-8", "surrogatepass")
    try:
        check("pyproject.toml", raw)
    except MalformedError:
        return


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    check("requirements.txt", raw)


def test_a_pin_that_is_not_where_it_was_is_left_alone() -> None:
    raw = b"old==1.2\n"
    (dependency,) = read("requirements.txt", raw)
    assert dependency.version is not None
    edit = Edit(dependency=dependency, version="2")
    assert raised(b"# new\n" + raw + b"        ", [edit]) == (b"# new\n" + raw + b"        ", (edit,))
    whole = replace(dependency, location=replace(dependency.location, end_line=None))
    assert raised(raw, [replace(edit, dependency=whole)])[0] == raw
