"""The records in rules/advisories: their form, their ranges, and their agreement with PyPA's data."""

from __future__ import annotations

import json
import re
import zipfile
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator
from packaging.utils import canonicalize_name
from packaging.version import Version

from supplyguard.advisories.matcher import is_affected
from supplyguard.advisories.osv import parse
from supplyguard.advisories.severity import severity_of
from supplyguard.resources import rules_folder

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = rules_folder() / "advisories"
PATHS: Final = sorted(FOLDER.glob("*.json"))
PYPA: Final = ROOT.parent / "shared" / "data" / "pysec-2024-10.zip"

DIFFERENCES: Final = {
    # alias: why our range of the package is not PyPA's
    ("PYSEC-2019-108", "numpy"): "the default of numpy.load changed in 1.16.3, not in 1.16.1",
    ("PYSEC-2021-118", "notebook"): "GHSA-hwvq-6gjx-j797 also names 0 to 5.7.11 and 6.0.0 to 6.4.1",
    ("PYSEC-2021-300", "tensorflow"): "the releases before 2.3.0 and 2.5.0 are affected too",
    ("PYSEC-2021-591", "tensorflow-cpu"): "the releases before 2.3.0 and 2.5.0 are affected too",
    ("PYSEC-2021-789", "tensorflow-gpu"): "the releases before 2.3.0 and 2.5.0 are affected too",
    ("PYSEC-2021-311", "tensorflow"): "the releases before 2.3.0 and 2.5.0 are affected too",
    ("PYSEC-2021-602", "tensorflow-cpu"): "the releases before 2.3.0 and 2.5.0 are affected too",
    ("PYSEC-2021-800", "tensorflow-gpu"): "the releases before 2.3.0 and 2.5.0 are affected too",
    ("PYSEC-2022-211", "jupyter-server"): "GHSA-q874-g24w-4q9g and the text itself name 1.17.1",
    ("PYSEC-2022-249", "nbconvert"): "the project's own advisory, GHSA-9jmq-rx5f-8jwq, names 6.5.1",
    ("PYSEC-2022-43063", "paddlepaddle"): "the fault is of 2.4.0rc0 alone; PyPA gives no end",
    ("PYSEC-2023-151", "langchain"): "0.0.171 itself is affected, as the text says",
    ("PYSEC-2023-163", "numexpr"): "2.8.5 brought the check; PyPA gives no end",
}

PACKAGES: Final = frozenset(
    {
        "bentoml",
        "dask",
        "datasets",
        "deepspeed",
        "diffusers",
        "fickling",
        "gradio",
        "hydra-core",
        "jinja2",
        "joblib",
        "jsonpickle",
        "jupyter-server",
        "jupyterlab",
        "kedro",
        "keras",
        "langchain",
        "lightgbm",
        "lightning",
        "litellm",
        "llama-cpp-python",
        "mlflow",
        "monai",
        "nemo-toolkit",
        "nltk",
        "notebook",
        "numexpr",
        "numpy",
        "onnx",
        "paddlepaddle",
        "pandas",
        "picklescan",
        "pillow",
        "pyarrow",
        "pytorch-lightning",
        "pyyaml",
        "rasa",
        "ray",
        "sagemaker",
        "scikit-learn",
        "skops",
        "spacy-llm",
        "streamlit",
        "tensorflow",
        "torch",
        "torchserve",
        "torchtriton",
        "transformers",
        "ultralytics",
        "uni2ts",
        "vllm",
    }
)

JUDGED: Final = (
    # package, version, alias, affected?
    ("torch", "2.5.1+cu121", "CVE-2025-32434", True),
    ("torch", "2.6.0rc1", "CVE-2025-32434", True),
    ("torch", "2.6.0", "CVE-2025-32434", False),
    ("torch", "2.9.1", "CVE-2026-24747", True),
    ("keras", "2.15.0", "CVE-2025-1550", False),
    ("keras", "3.8.0", "CVE-2025-1550", True),
    ("keras", "3.9.0", "CVE-2025-1550", False),
    ("keras", "3.12.1", "CVE-2026-1669", False),
    ("keras", "3.13.1", "CVE-2026-1669", True),
    ("keras", "3.13.2", "CVE-2026-1669", False),
    ("transformers", "4.51.3", "CVE-2026-4372", False),
    ("transformers", "5.2.0", "CVE-2026-4372", True),
    ("transformers", "5.0.0rc2", "CVE-2026-1839", True),
    ("llama-cpp-python", "0.2.71", "CVE-2024-34359", True),
    ("llama-cpp-python", "0.2.72", "CVE-2024-34359", False),
    ("litellm", "1.35.0.dev1", "CVE-2024-2952", True),
    ("litellm", "1.82.6", "PYSEC-2026-2", False),
    ("litellm", "1.82.8", "PYSEC-2026-2", True),
    ("pytorch-lightning", "2.6.3", "CVE-2026-44484", True),
    ("lightning", "2.6.4", "CVE-2026-44484", False),
    ("numpy", "1.16.2", "CVE-2019-6446", True),
    ("numpy", "1.16.3", "CVE-2019-6446", False),
    ("langchain-core", "0.3.81", "CVE-2025-68664", False),
    ("langchain-core", "1.2.4", "CVE-2025-68664", True),
    ("tensorflow", "2.6.0", "CVE-2021-41228", True),
    ("tensorflow", "2.6.1", "CVE-2021-41228", False),
    ("skops", "0.7.post0", "CVE-2024-37065", True),
)


@cache
def record(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_bytes())
    assert isinstance(document, dict)
    return document


@cache
def owners() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in PATHS:
        for alias in record(path).get("aliases", ()):
            found.setdefault(alias, []).append(path)
    return found


@cache
def validator() -> Draft202012Validator:
    schema = json.loads((ROOT / "tests/data/osv_subset.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def events_of(entry: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (kind, version)
        for span in entry.get("ranges", ())
        if span["type"] == "ECOSYSTEM"
        for event in span["events"]
        for kind, version in event.items()
    ]


def ascending(events: list[tuple[str, str]]) -> list[tuple[Version, str]]:
    return sorted((Version("0.dev0" if text == "0" else text), kind) for kind, text in events)


def one_file(path: Path) -> str:
    return path.stem


def test_there_are_enough() -> None:
    assert len(PATHS) >= 150
    assert {entry["package"]["name"] for path in PATHS for entry in record(path)["affected"]} >= PACKAGES


@pytest.mark.parametrize("path", PATHS, ids=one_file)
def test_form(path: Path) -> None:
    document = record(path)
    assert [error.message for error in validator().iter_errors(document)] == []
    assert document["id"] == path.stem
    assert path.read_text() == json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    assert document.get("published", "") <= document["modified"]
    assert document["details"].count("\n\n") == 1
    names = [entry["package"]["name"] for entry in document["affected"]]
    assert names == sorted(set(names))
    for entry in document["affected"]:
        name = entry["package"]["name"]
        assert name == canonicalize_name(name)
        assert entry["package"]["purl"] == f"pkg:pypi/{name}"


@pytest.mark.parametrize("path", PATHS, ids=one_file)
def test_ranges_are_sorted_intervals_of_versions(path: Path) -> None:
    for entry in record(path)["affected"]:
        events = events_of(entry)
        placed = [(Version("0.dev0" if text == "0" else text), kind) for kind, text in events]
        assert placed == sorted(placed, key=lambda one: one[0])
        kinds = [kind for _, kind in placed]
        assert all(kind == "introduced" for kind in kinds[::2])
        assert "introduced" not in kinds[1::2]
        assert all(earlier[0] < later[0] for earlier, later in pairwise(placed))
        for text in entry.get("versions", ()):
            assert str(Version(text)) == text


@pytest.mark.parametrize("path", PATHS, ids=one_file)
def test_the_program_reads_it_whole(path: Path) -> None:
    document = record(path)
    read = parse(document)
    assert read.id == document["id"]
    assert read.summary == document["summary"]
    assert read.names == {entry["package"]["name"] for entry in document["affected"]}
    specific = document.get("database_specific", {})
    assert read.malicious == ("CWE-506" in specific.get("cwe_ids", ()))
    assert read.word == specific.get("severity", "").lower()


@pytest.mark.parametrize("path", PATHS, ids=one_file)
def test_the_vector_and_the_word_agree(path: Path) -> None:
    words_of = {"critical": "critical", "high": "high", "moderate": "medium", "low": "low", "": "unknown"}
    read = parse(record(path))
    assert {severity_of(read, entry)[0] for entry in read.affected} == {words_of[read.word]}


def test_ids_and_aliases_belong_to_one_record() -> None:
    assert {alias: paths for alias, paths in owners().items() if len(paths) > 1} == {}


def test_a_record_without_alias_is_of_a_malicious_upload() -> None:
    for path in PATHS:
        document = record(path)
        assert document.get("aliases") or parse(document).malicious, path


def test_every_alias_has_its_page_among_the_references() -> None:
    for path in PATHS:
        document = record(path)
        urls = " ".join(reference["url"] for reference in document["references"])
        assert [alias for alias in document.get("aliases", ()) if alias not in urls] == [], path


@pytest.mark.parametrize(("package", "version", "alias", "affected"), JUDGED)
def test_judgements_known_from_the_releases(package: str, version: str, alias: str, affected: bool) -> None:
    (path,) = owners()[alias]
    read = parse(record(path))
    (entry,) = (entry for entry in read.affected if entry.name == package)
    assert is_affected(entry, version) is affected


def test_malicious_uploads_are_named_by_version_or_whole() -> None:
    def hits(package: str, version: str) -> bool:
        read = [parse(record(path)) for path in PATHS]
        return any(
            is_affected(entry, version)
            for one in read
            if one.malicious
            for entry in one.affected
            if entry.name == package
        )

    assert hits("torchtriton", "3.0.0")
    assert [hits("ultralytics", f"8.3.{patch}") for patch in (40, 41, 42, 43, 44, 45, 46, 47)] == [
        False, True, True, False, False, True, True, False,
    ]  # fmt: skip


@cache
def pypa() -> dict[str, dict[str, Any]]:
    if not PYPA.is_file():
        pytest.skip("the PyPA data of October 2024 is not beside the checkout")
    wanted = {alias for alias in owners() if alias.startswith("PYSEC-")}
    with zipfile.ZipFile(PYPA) as archive:
        present = wanted & {name.removesuffix(".json") for name in archive.namelist()}
        return {name: json.loads(archive.read(f"{name}.json")) for name in present}


def test_ranges_agree_with_pypa() -> None:
    theirs = pypa()
    assert len(theirs) >= 100
    different = set()
    for alias, document in theirs.items():
        assert not document.get("withdrawn"), alias
        (path,) = owners()[alias]
        ours = {entry["package"]["name"]: entry for entry in record(path)["affected"]}
        for entry in document["affected"]:
            name = canonicalize_name(entry["package"]["name"])
            if ascending(events_of(ours[name])) != ascending(events_of(entry)):
                different.add((alias, str(name)))
    assert different == set(DIFFERENCES)


def test_aliases_agree_with_pypa() -> None:
    for alias, document in pypa().items():
        (path,) = owners()[alias]
        known = {one for one in document.get("aliases", ()) if one.startswith(("CVE-", "GHSA-"))}
        assert known <= set(record(path)["aliases"]), alias


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9_.]+", text.lower())


def test_the_words_are_our_own() -> None:
    longest = 8
    for alias, document in pypa().items():
        (path,) = owners()[alias]
        source = words(str(document.get("details", "")))
        runs = {tuple(source[at : at + longest]) for at in range(len(source) - longest + 1)}
        own = words(record(path)["summary"] + " " + record(path)["details"])
        copied = [own[at : at + longest] for at in range(len(own)) if tuple(own[at : at + longest]) in runs]
        assert copied == [], alias
