"""What is handed to uv holds requirements and nothing else; what uv says back is read as it is meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from supplyguard.finding import Evidence
from supplyguard.inventory import Dependency, DependencyKind, Location
from supplyguard.resolution import When
from supplyguard.resolution.answers import read_answer, reason_of, told, wheelless
from supplyguard.resolution.stubs import stub
from supplyguard.resolution.units import line_of, units_of
from supplyguard.sources.requirement_lines import read_lines
from supplyguard.sources.statements import Statement, read_statement

HERE = Location(uri="requirements.txt", line=1, column=1)


def make(name: str = "a", **more: object) -> Dependency:
    return Dependency(**{"name": name, "raw_name": name, "location": HERE, **more})  # type: ignore[arg-type]


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(
                ["a", "b[x]", ">=1", "===", " ; ", "python_version", "<", "'3'", "--hash=", "-e .", "@", " ",
                 "#", "\n", "\\", "\u2028", "'", '"', "-", "==1.*", "$X", "git+https://x", "extra == 'y'"]
            ),
            max_size=8,
        ).map("".join),
    )
)  # fmt: skip
def test_a_line_is_one_requirement_without_options(text: str) -> None:
    for item in read_statement(Statement(text=text, location=HERE, place="requirements")):
        if isinstance(item, Dependency) and item.url is None:
            line = line_of(item)
            if line is not None:
                assert line.isascii()
                assert line.isprintable()
                assert Requirement(line).url is None
                (read,) = read_lines(line)
                assert (read.text, read.options) == (line, ())


def test_odd_dependencies_are_not_handed_on() -> None:
    assert line_of(make(specifier="=== --index-url=x")) is None
    assert line_of(make(marker="os_name == ' -e .'")) is None
    assert line_of(make(marker="os_name == '--x'")) is None
    assert line_of(make(name="a b\nc")) is None
    assert line_of(make(extras=("x", "y"), specifier=">=1", marker='os_name == "nt"')) == (
        'a[x,y]>=1 ; os_name == "nt"'
    )


def test_files_of_other_solvers_and_of_packages_are_left_alone() -> None:
    for uri in ("environment.yml", "x.dist-info/METADATA", "dist/a-1-py3-none-any.whl"):
        assert units_of([make(location=Location(uri=uri))], When.ALWAYS) == ()
    assert units_of([make(direct=False)], When.ALWAYS) == ()


def test_what_builds_a_project_is_resolved_apart() -> None:
    units = units_of([make(), make("b", group="build-system")], When.AUTO)
    assert [unit.lines for unit in units] == [("a",), ("b",)]


def test_a_compiled_file_settles_its_source() -> None:
    source = make(location=Location(uri="x/requirements.in", line=1))
    compiled = make(version="1.0", specifier="==1.0", location=Location(uri="x/requirements.txt", line=1))
    assert units_of([source, compiled], When.AUTO) == ()


def test_the_answer_of_uv() -> None:
    found = read_answer("A-b==1.0+cpu  # via -c x.txt, C.d\nc-d==2\n  # comment\nnot a line\nx==1 y\n")
    assert {name: (each.version, each.parents[-1:]) for name, each in found.items()} == {
        "a-b": ("1.0+cpu", ("c-d",)),
        "c-d": ("2", ()),
    }
    assert wheelless("Because x.y==1.0 has no usable\n    wheels and") == ("x-y",)
    assert wheelless("Because a-b>=4.9,<=4.9.3 has no usable wheels and") == ("a-b",)
    assert wheelless("hint: Wheels are required for `zed` because") == ("zed",)
    assert reason_of("warning: a\nerror: No solution\n  cause: why\nhint: b\n") == "No solution cause: why"
    assert reason_of("") == "uv gave no reason"


def test_advisories_say_how_a_package_comes_in() -> None:
    facts = {"package": "b", "version": "1", "remedy": "upgrade to 2"}
    evidence = Evidence(kind="dependency-advisory", location=HERE, facts=facts)
    coming = make("b", version="1", kind=DependencyKind.RESOLVED, via=("a", "x"))
    (said,) = told([evidence], [coming])
    assert said.facts["remedy"] == "upgrade to 2 (it comes via a > x)"
    (same,) = told([evidence], [make("b", version="1")])
    assert same is evidence
    (direct,) = told([evidence], [make("b", version="1", kind=DependencyKind.RESOLVED)])
    assert direct.facts["remedy"] == "upgrade to 2 (an install takes it today)"


def test_a_stub_holds_only_plain_requirements() -> None:
    wanted = ["b>=1", "c @ https://x/c.whl", "-e .", "d\nRequires-Dist: e", "f" * 2000, 'g; extra == "h"']
    name, content = stub("a-b", Version("1.0"), wanted, ">=3.8\nx")
    assert name == "a_b-1.0-py3-none-any.whl"
    assert b"Requires-Dist: b>=1\n" in content
    assert b'Requires-Dist: g; extra == "h"\n' in content
    assert content.count(b"Requires-Dist") == 2
    assert b"Requires-Python" not in content
