"""Python that a loader would run: which files those are, and what is said of them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_model_code import CONFIG, compiled
from supplyguard.code.standing import standing_of
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.examine import examine
from supplyguard.finding import Evidence
from supplyguard.inspectors import model_code
from supplyguard.inventory import Artifact, Location
from supplyguard.limits import Limits
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import mutations, survives

ROOT = Path(__file__).parent.parent.parent
SYSTEM = "import os\nos.system('echo')\n"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def place_of(folder: Path, name: str, files: dict[str, str]) -> str:
    write(folder, {**files, name: SYSTEM})
    path = folder / name
    return standing_of(Artifact(uri=name, path=path, size=1, root=folder)).place


MAPPED = json.dumps({"auto_map": {"AutoModel": "net.Model", "AutoTokenizer": ["a--b.C", "tok.T", None]}})


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("net.py", {"config.json": MAPPED}),
        ("tok.py", {"config.json": MAPPED}),
        ("part.py", {"config.json": MAPPED, "net.py": "from .part import x\n"}),
        (
            "deep.py",
            {"config.json": MAPPED, "net.py": "from . part import x\n", "part.py": "from .deep import y\n"},
        ),
        ("modeling_x.py", {"config.json": CONFIG.decode()}),
        ("work.py", {"config.json": json.dumps({"custom_pipelines": {"t": {"impl": "work.Pipe"}}})}),
        ("pipeline.py", {"model_index.json": json.dumps({"_class_name": "P", "_diffusers_version": "1"})}),
        ("mine.py", {"model_index.json": json.dumps({"_class_name": ["mine", "P"]})}),
        ("unet/own.py", {"model_index.json": json.dumps({"unet": ["own", "Net"]})}),
        ("pool.py", {"modules.json": json.dumps([{"type": "pool.Pooling"}, 1])}),
        ("hubconf.py", {}),
        ("custom_generate/generate.py", {}),
        ("handler.py", {"MAR-INF/MANIFEST.json": "{}"}),
        ("1/model.py", {"config.pbtxt": ""}),
        ("m/code/inner/x.py", {"m/MLmodel": ""}),
    ],
)
def test_loaded(name: str, files: dict[str, str], tmp_path: Path) -> None:
    assert place_of(tmp_path, name, files) == "loaded"


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("train.py", {"config.json": MAPPED}),
        ("modeling_x.py", {}),
        ("modeling_x.py", {"config.json": '{"lr": 0.1}'}),
        ("modeling_x.py", {"config.json": "not json"}),
        ("modeling_x.py", {"config.json": "[" * 100_000}),
        ("model.py", {"config.pbtxt": ""}),
        ("code/x.py", {}),
        ("generate.py", {}),
    ],
)
def test_not_loaded(name: str, files: dict[str, str], tmp_path: Path) -> None:
    assert place_of(tmp_path, name, files) == "elsewhere"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("model.mar", "handler.py"), "loaded"),
        (("a.zip", "inner.nemo", "x.py"), "loaded"),
        (("a.zip", "x/inference.py"), "loaded"),
        (("a.zip", "x.py"), "bundle"),
        (("pkg-1.0-py3-none-any.whl", "pkg/x.py"), "elsewhere"),
        (("pkg-1.0.tar.gz", "pkg-1.0.tar", "setup.py"), "elsewhere"),
    ],
)
def test_members(path: tuple[str, ...], place: str) -> None:
    artifact = Artifact(uri=path[0], path=Path(path[0]), size=1)
    assert standing_of(artifact, path[1:]).place == place


def test_the_configuration_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"config.json": MAPPED, "net.py": SYSTEM})
    artifact = Artifact(uri="hf://a/b@c/net.py", path=tmp_path / "net.py", size=1)
    part = examine(artifact, Limits())
    found = [each for each in part.evidence if each.kind == "model-code"]
    assert [each.related for each in found] == [(Location(uri="hf://a/b@c/config.json"),)]
    where = found[0].location
    assert (where.line, where.column, where.end_line, where.end_column) == (2, 1, 2, 18)


def test_named_from_another_folder(tmp_path: Path) -> None:
    write(tmp_path, {"m/MLmodel": "", "m/code/x.py": SYSTEM, "t/1/model.py": SYSTEM, "t/config.pbtxt": ""})
    write(tmp_path, {"s/MAR-INF/MANIFEST.json": "{}", "s/handler.py": SYSTEM})
    for name, config in (
        ("m/code/x.py", "m/MLmodel"),
        ("t/1/model.py", "t/config.pbtxt"),
        ("s/handler.py", "s/MAR-INF/MANIFEST.json"),
    ):
        part = examine(Artifact(uri=name, path=tmp_path / name, size=1), Limits())
        found = [each for each in part.evidence if each.kind == "model-code"]
        assert [each.related[0].uri for each in found] == [config]


def test_a_cached_repository(tmp_path: Path) -> None:
    write(tmp_path, {"x.py": SYSTEM, "torch.py": "", "sub/torch.py": ""})
    origin = Location(uri="app.py", line=1)
    rules = {}
    for name in ("x.py", "torch.py", "sub/torch.py"):
        artifact = Artifact(uri=f"hf://a/b@c/{name}", path=tmp_path / name, size=1, origin=origin)
        rules[name] = [each.rule.id for each in findings(examine(artifact, Limits()))]
    assert rules == {"x.py": ["code-process-beside"], "torch.py": ["code-shadows-module"], "sub/torch.py": []}


def test_ordinary_files_are_not_opened(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": SYSTEM})
    assert part_of(tmp_path / "train.py").role.value == "other"


def test_a_file_that_a_source_claims_keeps_its_ignores(tmp_path: Path) -> None:
    write(tmp_path, {"hubconf.py": SYSTEM})
    part = examine(Artifact(uri="hubconf.py", path=tmp_path / "hubconf.py", size=1), Limits())
    assert part.claimed
    assert part.role.value == "inspected"


def test_what_cannot_be_parsed(tmp_path: Path) -> None:
    write(tmp_path, {"hubconf.py": "print 'x'", "old.py": "exec 'x'", "odd/hubconf.py": "# coding: rot13\n"})
    assert [each.code for each in gaps(part_of(tmp_path / "hubconf.py"))] == ["unparsed-python"]
    assert [each.code for each in gaps(part_of(tmp_path / "odd/hubconf.py"))] == ["unparsed-python"]
    assert gaps(part_of(tmp_path / "old.py")) == []


def test_what_is_too_large() -> None:
    data = b"#" * (5 << 20)
    assert list(yielded(model_code, data, "big.py")) == []
    with pytest.raises(BudgetExceededError):
        list(yielded(model_code, data, "hubconf.py"))


def test_compiled_code(tmp_path: Path) -> None:
    data = compiled([b"os", b"system", b"exec"])
    (tmp_path / "__pycache__").mkdir()
    for name in ("__pycache__/a.cpython-312.pyc", "b.pyc", "c.pyc", "bad.pyc"):
        (tmp_path / name).write_bytes(data if name != "bad.pyc" else data[:30])
    assert findings(part_of(tmp_path / "b.pyc")) == []  # nobody says that this is a model
    write(tmp_path, {"config.json": CONFIG.decode(), "a.py": "", "b.py": ""})
    facts = [
        [each.facts.get("source") for each in part_of(tmp_path / name).evidence]
        for name in ("__pycache__/a.cpython-312.pyc", "b.pyc", "c.pyc", "bad.pyc")
    ]
    assert facts == [[], ["beside"], ["missing"], ["missing"]]
    assert part_of(tmp_path / "c.pyc").evidence[0].facts["mentions"] == ("exec", "os.system")
    assert [each.code for each in gaps(part_of(tmp_path / "bad.pyc"))] == ["malformed"]
    with pytest.raises(MalformedError):
        list(yielded(model_code, b"nothing", "x.pyc"))


def test_path_files(tmp_path: Path) -> None:
    write(tmp_path, {"a.pth": "import os, sys; exec('x = 1')\n", "x-1.0.dist-info/METADATA": ""})
    write(tmp_path, {"b.pth": "import os; os.system('echo')\n", "c.pth": "../lib\n"})
    assert findings(part_of(tmp_path / "a.pth")) == []
    assert [each.rule.id for each in findings(part_of(tmp_path / "b.pth"))] == ["code-path-file-acts"]
    assert part_of(tmp_path / "c.pth").evidence == []
    assert not model_code.recognizes(probe(b"\x80\x02import os\0", "model.pth"))


def test_any_bytes() -> None:
    sources = [ROOT / "fixtures/model_code/malicious/decodes/nested.py"]
    for source in sources:
        for data in mutations(source.read_bytes(), 150):
            survives(model_code, data, "hubconf.py")
    for data in mutations(compiled([b"os", b"system"]), 300):
        survives(model_code, data, "x.mar/x.pyc")


@given(st.binary(max_size=200), st.sampled_from(["hubconf.py", "a.pyc", "a.pth", "a.py"]))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes(data: bytes, name: str) -> None:
    survives(model_code, data, name)


def test_evidence_is_bounded() -> None:
    text = "import os\n" + "os.system('x')\n" * 5000
    found = [each for each in yielded(model_code, text.encode(), "hubconf.py") if isinstance(each, Evidence)]
    assert len(found) <= 501


def test_dataset_scripts(tmp_path: Path) -> None:
    text = "import datasets\n\n\nclass Quotes(datasets.GeneratorBasedBuilder):\n    pass\n"
    write(tmp_path, {"quotes/quotes.py": text, "lib/lib.py": text, "lib/__init__.py": "", "a/other.py": text})
    rules = [
        [each.rule.id for each in findings(part_of(tmp_path / name))]
        for name in ("quotes/quotes.py", "lib/lib.py", "a/other.py")
    ]
    assert rules == [["dataset-script"], [], []]


@pytest.mark.heavy
@pytest.mark.parametrize("library", ["huggingface_hub", "jinja2", "packaging", "safetensors", "yaml"])
def test_the_code_of_installed_libraries_is_silent(library: str) -> None:
    """As files of a project they give nothing, whatever they import, compile or evaluate."""
    spec = importlib.util.find_spec(library)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    files = sorted(folder.rglob("*.py"))[:80]
    assert files
    for path in files:
        assert findings(part_of(path)) == [], path.relative_to(folder)
