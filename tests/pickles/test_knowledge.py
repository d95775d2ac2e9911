"""How a pickled global is looked up in the knowledge, and how users extend it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.errors import RuleError
from supplyguard.pickles.knowledge import (
    DANGEROUS,
    Effect,
    Judgement,
    Knowledge,
    current_knowledge,
    knowledge_of,
    load_knowledge,
)
from supplyguard.pickles.knowledge_format import HEADER, read_attributes
from supplyguard.resources import rules_folder

ALARMING = DANGEROUS | {Effect.EMBEDS_CODE}


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


def effect(knowledge: Knowledge, pair: str) -> Effect:
    return knowledge.judge(*pair.split(":")).effect


# --- the way of a name ------------------------------------------------------------------------

WALKS = {
    # re-exported modules, walked through to a dangerous end
    "logging:os.system": Effect.PROCESS,
    "random:_os.system": Effect.PROCESS,
    "json:decoder.scanner.re.sre_compile.os.system": Effect.PROCESS,
    "made_up.module:os.system": Effect.PROCESS,
    "made_up.module:subprocess.Popen.communicate": Effect.PROCESS,
    "made_up.module:concurrent.futures.process.ProcessPoolExecutor": Effect.PROCESS,
    "made_up.module:torch.hub.load": Effect.LOADER,
    "made_up.module:np.load": Effect.LOADER,
    "torch.serialization:pickle.loads": Effect.LOADER,
    "torch:serialization.load": Effect.LOADER,
    "__main__:os.system": Effect.PROCESS,
    "transformers.models.bert.modeling_bert:os.system": Effect.PROCESS,
    "collections:OrderedDict.__init__.__globals__": Effect.ACCESSOR,
    "made_up:Class.__subclasses__": Effect.ACCESSOR,
    "numpy:__loader__": Effect.IMPORTS,
    "subprocess:Popen.wait": Effect.PROCESS,
    "functools:reduce.__call__": Effect.ACCESSOR,
    # the module itself, or a harmless end that no honest writer spells so
    "shutil:os": Effect.UNKNOWN_MODULE,
    "random:_os": Effect.UNKNOWN_MODULE,
    "made_up.module:os": Effect.UNKNOWN_MODULE,
    "re:sre_compile": Effect.UNKNOWN_MODULE,
    "made_up.module:collections.OrderedDict": Effect.UNKNOWN_MODULE,
    "torch:nn.modules.linear.Linear": Effect.UNKNOWN_MODULE,
    "concurrent:futures": Effect.UNKNOWN_MODULE,
    # names that are words as well
    "copy:copy": Effect.ACCESSOR,
    "array:array": Effect.INERT,
    "glob:glob": Effect.FILES,
    "numpy:array": Effect.TYPE,
    "datetime:datetime.fromtimestamp": Effect.UNKNOWN_STDLIB,
    "builtins:dict.copy": Effect.UNKNOWN_STDLIB,
    "pathlib:Path.exists": Effect.FILES,
    "__main__:tokenize": Effect.LOCAL,
    "made_up.module:copy": Effect.UNKNOWN,
    "__main__:Net": Effect.LOCAL,
    "__main__:Net.Inner": Effect.LOCAL,
    "model:Net": Effect.LOCAL,
    "src.deep.er:Net": Effect.LOCAL,
    "model.inner:Net": Effect.UNKNOWN,
    "models.yolo:Detect": Effect.LOCAL,
    "made_up:Class": Effect.UNKNOWN,
    "json:some_name": Effect.UNKNOWN_STDLIB,
}


@pytest.mark.parametrize(("pair", "expected"), WALKS.items())
def test_where_a_name_leads(knowledge: Knowledge, pair: str, expected: Effect) -> None:
    assert effect(knowledge, pair) is expected


def test_a_family_is_one_segment_wide(knowledge: Knowledge) -> None:
    fits = "transformers.models.made_up.configuration_made_up:MadeUpConfig"
    assert effect(knowledge, fits) is Effect.TYPE
    for pair in (
        "transformers.models.a.b.configuration_c:MadeUpConfig",
        "transformers.models.made_up.configuration_made_up:Made.UpConfig",
        "transformers.models.made_up.configuration_made_up:load",
    ):
        assert effect(knowledge, pair) is Effect.UNKNOWN


def test_the_library_is_named(knowledge: Knowledge) -> None:
    assert knowledge.judge("posix", "system").library == "python"
    assert knowledge.judge("torch._utils", "_rebuild_tensor_v2").library == "torch"
    assert knowledge.is_standard("os.path")
    assert not knowledge.is_standard("torch.os")


@pytest.mark.parametrize("pair", [("m", "a" + ".a" * 5000), ("m" + ".m" * 5000, "a"), ("", ""), ("m", "..")])
def test_odd_names_are_judged_at_once(knowledge: Knowledge, pair: tuple[str, str]) -> None:
    assert knowledge.judge(*pair).effect in {Effect.UNKNOWN, Effect.UNKNOWN_MODULE}


SEGMENT = st.sampled_from(
    ["os", "_os", "np", "torch", "system", "copy", "load", "__globals__", "x", "", "*", "C"]
)
DOTTED = st.lists(SEGMENT, min_size=1, max_size=6).map(".".join)


@settings(deadline=None, max_examples=200)
@given(module=DOTTED | st.text(max_size=20), name=DOTTED | st.text(max_size=20))
def test_any_pair_gets_a_judgement(knowledge: Knowledge, module: str, name: str) -> None:
    judged = knowledge.judge(module, name)
    assert isinstance(judged, Judgement)
    assert bool(judged.condition) is (judged.effect is Effect.CONDITIONAL)
    assert judged == load_knowledge_again().judge(module, name)


@settings(deadline=None, max_examples=200)
@given(module=DOTTED, head=DOTTED)
def test_a_walk_to_os_system_is_never_harmless(knowledge: Knowledge, module: str, head: str) -> None:
    assert knowledge.judge(module, f"{head}.os.system").effect in ALARMING


_AGAIN: list[Knowledge] = []


def load_knowledge_again() -> Knowledge:
    """Give a second load, to show that the order of questions does not change answers."""
    if not _AGAIN:
        _AGAIN.append(load_knowledge())
    return _AGAIN[0]


# --- files of users ---------------------------------------------------------------------------


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([",".join(HEADER), *lines, ""]), encoding="utf-8")
    return path


def test_a_users_file_adds_and_replaces(tmp_path: Path) -> None:
    file = write(
        tmp_path / "ours.csv",
        "ours.layers,Block,type,,our own class",
        "ours.layers,*,unknown,,the rest of it",
        "ours.models.*,[A-Z]*,type,,our own classes",
        "ours.legacy.**,*,local,,our scripts",
        "builtins,print,tampers,,we never print",
        "torch.**,*,local,,too wide to hide what is known by name",
    )
    knowledge = load_knowledge([file])
    assert effect(knowledge, "ours.layers:Block") is Effect.TYPE
    assert effect(knowledge, "ours.layers:other") is Effect.UNKNOWN
    assert effect(knowledge, "ours.models.small:Net") is Effect.TYPE
    assert effect(knowledge, "ours.models.small:load") is Effect.UNKNOWN
    assert effect(knowledge, "ours.legacy.a.b:c") is Effect.LOCAL
    assert effect(knowledge, "builtins:print") is Effect.TAMPERS
    assert effect(knowledge, "torch:load") is Effect.LOADER
    assert effect(knowledge, "torch:made_up") is Effect.LOCAL


def test_a_later_file_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "ours,x,type,,one", "ours.*,X*,type,,one", "ours.**,*,local,,one")
    second = write(tmp_path / "b.csv", "ours,x,files,,two", "ours.*,X*,files,,two", "ours.**,*,files,,two")
    for files, expected in (([first, second], Effect.FILES), ([second, first], Effect.TYPE)):
        knowledge = load_knowledge(files)
        assert effect(knowledge, "ours:x") is expected
        assert effect(knowledge, "ours.a:Xy") is expected
    assert effect(load_knowledge([first, second]), "ours.a.b:c") is Effect.FILES


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("m,n,harmless,,x", "unknown effect 'harmless'"),
        ("m,n,conditional,,x", "does not go with condition ''"),
        ("m,n,conditional,made-up,x", "does not go with condition 'made-up'"),
        ("m,n,type,size,x", "does not go with condition 'size'"),
        ("m,n,type,x", "expected 5 fields, found 4"),
        ("", "expected 5 fields, found 0"),
        (",n,type,,x", "must not be empty"),
        ("m,,type,,x", "must not be empty"),
        ("m,*,inert,,x", "cannot be inert"),
        ("*.m,n,type,,x", "first segment"),
        ("m.**,n,type,,x", "goes with the name '*' only"),
        ("m.**.k,*,type,,x", "'**' stands only at the end"),
        ("m,**,type,,x", "'**' stands only at the end"),
        ('m,n,type,,"x', "cannot be read"),
    ],
)
def test_a_bad_row_is_refused_with_its_place(tmp_path: Path, line: str, message: str) -> None:
    file = write(tmp_path / "bad.csv", "m,fine,type,,fine", line)
    with pytest.raises(RuleError, match=re.escape(message)) as refusal:
        load_knowledge([file])
    assert str(refusal.value).startswith(f"{file}:")
    if "cannot be read" not in message:
        assert str(refusal.value).startswith(f"{file}:3: ")


def test_a_file_without_the_header_or_of_other_bytes_is_refused(tmp_path: Path) -> None:
    bare = tmp_path / "bare.csv"
    bare.write_text("m,n,type,,x\n", encoding="utf-8")
    with pytest.raises(RuleError, match="the header must be module,name,effect,condition,reason"):
        load_knowledge([bare])
    bare.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RuleError, match="cannot be read"):
        load_knowledge([bare])
    with pytest.raises(RuleError, match="cannot be read"):
        load_knowledge([tmp_path / "absent.csv"])


def test_a_bad_attribute_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "attributes.csv"
    file.write_text("name,effect,reason\n__x__,bad,why\n", encoding="utf-8")
    with pytest.raises(RuleError, match="2: unknown effect 'bad'"):
        read_attributes(file)


def test_a_damaged_built_in_file_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    shutil.copytree(rules_folder() / "knowledge", folder)
    write(folder / "globals" / "made_up.csv", "made_up,Class,type")
    (folder / "globals" / "bare.csv").write_text("bare,Class,type,,x\n", encoding="utf-8")
    knowledge = Knowledge(folder)
    assert effect(knowledge, "made_up:other") is Effect.UNKNOWN
    with pytest.raises(RuleError, match="made_up:Class: expected 5 fields, found 3"):
        knowledge.judge("made_up", "Class")
    with pytest.raises(RuleError, match="the header must be"):
        knowledge.judge("bare", "Class")


def test_the_knowledge_that_counts_is_loaded_once_for_each_set_of_files(tmp_path: Path) -> None:
    ours = write(tmp_path / "ours.csv", "ours.layers,Block,type,,our own class")
    usual = current_knowledge()
    with knowledge_of([ours]):
        assert effect(current_knowledge(), "ours.layers:Block") is Effect.TYPE
        assert current_knowledge() is current_knowledge()
    assert current_knowledge() is usual
    assert effect(current_knowledge(), "ours.layers:Block") is Effect.UNKNOWN
