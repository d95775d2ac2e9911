"""Odd package names: which are told, as what, and that ordinary ones are not."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from supplyguard.finding import Evidence
from supplyguard.inventory import Dependency, DependencyKind, Location
from supplyguard.sources import look_alikes, pyproject, requirements
from supplyguard.sources.look_alikes import LENGTH, ascii_look, likeness
from supplyguard.sources.package_names import RELATED, disguised, questionable
from tests.sources.conftest import Collect

FORMATS = Path(__file__).parents[2] / "rules" / "formats"
POPULAR: dict[str, Any] = json.loads((FORMATS / "popular_names.json").read_bytes())
MODULES: dict[str, dict[str, str]] = json.loads((FORMATS / "import_names.json").read_bytes())["names"]
PROTECTED = sorted(name for group in POPULAR["protected"].values() for name in group)
LONG = [name for name in PROTECTED if len(name) >= POPULAR["distance"]]


def dependency(name: str, line: int = 1, uri: str = "requirements.txt", **fields: Any) -> Dependency:
    place = Location(uri=uri, line=line, column=1)
    return Dependency(name=canonicalize_name(name), raw_name=name, location=place, **fields)


def asked(*names: str) -> list[Evidence]:
    return list(questionable([dependency(name, line) for line, name in enumerate(names, 1)]))


@pytest.mark.parametrize(
    ("name", "meant", "trick"),
    [
        ("tens0rflow", "tensorflow", "characters"),
        ("rnatplotlib", "matplotlib", "characters"),
        ("pyyarnl", "pyyaml", "characters"),
        ("1ight-gbm", "lightgbm", "characters"),
        ("sci-kit-learn", "scikit-learn", "separators"),
        ("git-python", "gitpython", "separators"),
        ("hub-huggingface", "huggingface-hub", "order"),
        ("panndass", "pandas", "repeated"),
        ("reqeusts", "requests", "slip"),
        ("tensorfow", "tensorflow", "slip"),
        ("numpyy", "numpy", "repeated"),
        ("numpty", "numpy", "slip"),
        ("pandaz", "pandas", "slip"),
        ("iandas", "pandas", None),
        ("oandas", "pandas", "slip"),
        ("andas", "pandas", "slip"),
        ("ytorch", "torch", "slip"),
        ("python-requests", "requests", "affix"),
        ("pyonnx", "onnx", "affix"),
        ("numpy2", "numpy", "slip"),
        ("pynumpy", "numpy", "affix"),
        ("ray2", "ray", None),
        ("raj", "ray", None),
        ("x" * (LENGTH + 1), "", None),
        ("numpy", "", None),
        ("cattrs", "", None),
        ("my-company-models", "", None),
    ],
)
def test_tricks(name: str, meant: str, trick: str | None) -> None:
    found = likeness(name)
    assert (found.name, found.trick) == (meant, trick) if found is not None else trick is None


@given(st.sampled_from(LONG), st.data())
@settings(max_examples=300, deadline=None)
def test_every_slip_after_the_first_letter_is_seen(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(name) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789"))
    swapped = name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :]
    typed = data.draw(
        st.sampled_from(
            [
                name[:at] + letter + name[at:],
                name[:at] + letter + name[at + 1 :],
                name[:at] + name[at + 1 :],
                swapped,
            ]
        )
    )
    if canonicalize_name(typed) == typed and typed not in {*PROTECTED, *POPULAR["honest"]}:
        assert likeness(typed) is not None, typed


@given(st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_name_is_answered(name: str) -> None:
    assert ascii_look(name).isascii()
    likeness(name)
    found = list(disguised(name, Location(uri="x")))
    assert bool(found) is not name.isascii()
    list(questionable([replace(dependency("x"), name=name, raw_name=name)]))


def test_protected_names_are_names_and_none_is_told_twice() -> None:
    assert len(set(PROTECTED)) == len(PROTECTED) > 200
    assert all(canonicalize_name(name) == name for name in PROTECTED)
    assert not set(PROTECTED) & {*POPULAR["honest"], *MODULES}
    assert all(likeness(name) is None for name in PROTECTED)


def test_every_honest_neighbour_would_be_told_else(monkeypatch: pytest.MonkeyPatch) -> None:
    index = look_alikes._index()
    monkeypatch.setattr(look_alikes, "_index", lambda: replace(index, known=frozenset(PROTECTED)))
    assert [name for name in POPULAR["honest"] if likeness(name) is None] == []


def test_the_right_packages_are_not_told() -> None:
    right = {row["package"] for row in MODULES.values()}
    assert asked(*sorted(right)) == []
    assert {row["holder"] for row in MODULES.values()} == {"pointer", "other", "none"}
    assert all(canonicalize_name(name) == name for name in MODULES)


@pytest.mark.parametrize(
    ("name", "meant", "holder"),
    [
        ("sklearn", "scikit-learn", "pointer"),
        ("PIL", "pillow", "none"),
        ("cv2", "opencv-python", "none"),
        ("mpl_toolkits", "matplotlib", "none"),
        ("jwt", "pyjwt", "other"),
    ],
)
def test_names_of_modules(name: str, meant: str, holder: str) -> None:
    (found,) = asked(name)
    assert (found.facts["meant"], found.facts["holder"]) == (meant, holder)


def test_a_name_is_told_once_where_a_person_wrote_it() -> None:
    locked = dependency("reqeusts", 7, "uv.lock", kind=DependencyKind.LOCKED)
    written = dependency("reqeusts", 3, "pyproject.toml")
    (found,) = questionable([locked, written, written, locked])
    assert str(found.location) == "pyproject.toml:3:1"
    assert [str(each) for each in found.related] == ["uv.lock:7:1"]


def test_further_places_are_bounded() -> None:
    (found,) = questionable([dependency("sklearn", line) for line in range(1, 100)])
    assert len(found.related) == RELATED


def test_what_comes_from_an_address_was_not_found_by_its_name() -> None:
    assert list(questionable([dependency("cv2", url="git+https://git.example.com/cv2")])) == []


@pytest.mark.parametrize(
    ("written", "look"),
    [
        ("num\u0440y", "numpy"),
        ("t\u03bfrch", "torch"),
        ("\uff52\uff45\uff51uests", "requests"),
        ("p\u00e0ndas", "pandas"),
        ("num\u200bpy", "numpy"),
        ("\u4e2dtorch", "?torch"),
        ("scikit\u2011learn", "scikit-learn"),
    ],
)
def test_what_a_disguise_looks_like(written: str, look: str) -> None:
    (found,) = disguised(written, Location(uri="x"))
    assert found.facts["meant"] == look
    characters = found.facts["characters"]
    assert isinstance(characters, tuple)
    assert len(characters[0]) == len("U+0440")


def evidence(items: Sequence[object]) -> list[tuple[str, str]]:
    return [(each.kind, str(each.location)) for each in items if isinstance(each, Evidence)]


def test_disguises_in_manifests(collect: Collect) -> None:
    found = evidence(collect(requirements, "requirements.txt", "numpy==1\nnum\u0440y[x]>=2; a\n"))
    assert found == [("package-name", "requirements.txt:2:1")]
    text = '[tool.poetry.dependencies]\n"num\u0440y" = "^1"\n'
    assert ("package-name", "pyproject.toml:2:2") in evidence(collect(pyproject, "pyproject.toml", text))


def test_ten_thousand_names_take_no_time() -> None:
    wanted = [dependency(f"company-package-number-{number}", number + 1) for number in range(10_000)]
    begin = time.process_time()
    assert list(questionable(wanted)) == []
    assert time.process_time() - begin < 3.0
