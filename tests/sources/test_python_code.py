from __future__ import annotations

import ast
import json
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.code.syntax import column, parse
from supplyguard.errors import BudgetExceededError, SupplyguardError, UnreadableError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inventory import Artifact, Location, ModelRef, RevisionKind
from supplyguard.limits import Budget, Limits
from supplyguard.resources import rules_folder
from supplyguard.sources import Item, python_code
from supplyguard.sources.loaders import table
from supplyguard.wire.text import LINE_END

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def calls(items: list[Item]) -> list[Evidence]:
    return [each for each in items if isinstance(each, Evidence) and each.kind == "loader-call"]


def refs(items: list[Item]) -> list[ModelRef]:
    return [each for each in items if isinstance(each, ModelRef)]


def text_at(text: str, place: Location) -> str:
    assert place.line
    assert place.column
    assert place.end_line
    assert place.end_column
    lines = LINE_END.split(text)[place.line - 1 : place.end_line]
    lines[-1] = lines[-1][: place.end_column - 1]
    lines[0] = lines[0][place.column - 1 :]
    return "\n".join(lines)


@pytest.fixture
def one(collect: Any) -> Any:
    def run(code: str) -> Evidence:
        (found,) = calls(collect(python_code, "load.py", code))
        return found

    return run


ALIASES = [
    ("import torch\ntorch.load(f)", "torch.load"),
    ("import torch as t\nt.load(f)", "torch.load"),
    ("from torch import load\nload(f)", "torch.load"),
    ("from torch import load as read\nread(f)", "torch.load"),
    ("from torch import *\nload(f)", "torch.load"),
    ("from torch.serialization import load\nload(f)", "torch.load"),
    ("import torch\nread = torch.load\nread(f)", "torch.load"),
    ("import torch\nt = torch\nt.load(f)", "torch.load"),
    ("def go():\n    import torch\n    return torch.load(f)", "torch.load"),
    ("import torch\ngetattr(torch, 'load')(f)", "torch.load"),
    ("__import__('torch').load(f)", "torch.load"),
    ("import importlib\nimportlib.import_module('to' + 'rch').load(f)", "torch.load"),
    ("import torch, functools\nread = functools.partial(torch.load, map_location='cpu')", "torch.load"),
    ("torch.load(f)", "torch.load"),
    (
        "try:\n    import cPickle as pickle\nexcept ImportError:\n    import pickle\npickle.load(f)",
        "pickle.load",
    ),
    ("import _pickle\n_pickle.loads(f)", "pickle.loads"),
    ("from sklearn.externals import joblib\njoblib.load(f)", "joblib.load"),
    ("import numpy as np\nnp.load(f)", "numpy.load"),
    ("import tensorflow as tf\ntf.keras.models.load_model(f)", "keras.models.load_model"),
    ("from tensorflow import keras\nkeras.models.load_model(f)", "keras.models.load_model"),
    ("from tensorflow.keras.models import load_model\nload_model(f)", "keras.models.load_model"),
    ("from keras.models import load_model\nload_model(f)", "keras.models.load_model"),
    ("import pandas as pd\npd.read_pickle(f)", "pandas.read_pickle"),
    (
        "from transformers import AutoModel as A\nA.from_pretrained(n)",
        "transformers.AutoModel.from_pretrained",
    ),
    (
        "import transformers\nM = transformers.AutoModel\nM.from_pretrained(n)",
        "transformers.AutoModel.from_pretrained",
    ),
    ("class My:\n    pass\nMy.from_pretrained(n)", "from_pretrained"),
    ("def f(self):\n    self.model.from_pretrained(n)", "model.from_pretrained"),
    ("from huggingface_hub import HfApi\napi = HfApi()\napi.hf_hub_download(n, 'f')", "hf_hub_download"),
    ("lambda: __import__('pickle').loads(b'')", "pickle.loads"),
    ("import torch\ntorch.\uff4c\uff4f\uff41\uff44(f)", "torch.load"),
]


@pytest.mark.parametrize(("code", "callee"), ALIASES)
def test_callables_are_known_by_whatever_name(one: Any, code: str, callee: str) -> None:
    assert one(code).facts["callee"] == callee


@pytest.mark.parametrize(
    "code",
    [
        "import json\njson.load(f)\njson.loads('1')",
        "from yaml import safe_load\nsafe_load(f)",
        "def f(torch):\n    torch.load(x)",
        "torch = make()\ntorch.load(f)",
        "for torch in things:\n    torch.load(f)",
        "import pickle\npickle.dump(x, f)",
        "from .torch import load\nload(f)",
        "model.load(f)",
        "from mine import pipeline\npipeline(model='gpt2')",
        "'torch.load(f)'  # torch.load(f)",
    ],
)
def test_other_calls_are_let_alone(collect: Any, code: str) -> None:
    assert collect(python_code, "load.py", code) == []


CONSTANTS = [
    ("N = 'org/name'\nM.from_pretrained(N)", "org/name"),
    ("A = 'org'\nN = A + '/' + 'name'\nM.from_pretrained(N)", "org/name"),
    ("A = 'org'\nN = f'{A}/name-{7}'\nM.from_pretrained(N)", "org/name-7"),
    ("A, B = 'org/a', 'org/b'\nM.from_pretrained(B)", "org/b"),
    ("N: str = 'org/name'\nM.from_pretrained(N)", "org/name"),
    ("def f():\n    n = 'org/name'\n    M.from_pretrained(n)", "org/name"),
    ("class C:\n    n = 'org/name'\n    m = M.from_pretrained(n)", "org/name"),
    ("if (n := 'org/name'):\n    M.from_pretrained(n)", "org/name"),
    ("M.from_pretrained(pretrained_model_name_or_path='org/name')", "org/name"),
    ("K = {'pretrained_model_name_or_path': 'org/name'}\nM.from_pretrained(**K)", "org/name"),
]
DYNAMIC = [
    "N = 'a/b'\nN = 'c/d'\nM.from_pretrained(N)",
    "N = 'a/b'\ndef f(N):\n    M.from_pretrained(N)",
    "N = 'a/b'\ndef f():\n    global N\n    N = 'c/d'\nM.from_pretrained(N)",
    "N = 'a/b'\nN += 'c'\nM.from_pretrained(N)",
    "N = 'a/b'\ndel N\nM.from_pretrained(N)",
    "def f():\n    n = 'a/b'\n    def g():\n        nonlocal n\n        n = 'c/d'\n    M.from_pretrained(n)",
    "class C:\n    n = 'a/b'\n    def f(self):\n        M.from_pretrained(n)",
    "import os\nN = os.environ.get('N', 'a/b')\nM.from_pretrained(N)",
    "for N in ['a/b']:\n    M.from_pretrained(N)",
    "with x as N:\n    M.from_pretrained(N)",
    "try:\n    pass\nexcept E as N:\n    M.from_pretrained(N)",
    "match x:\n    case {'a': 1, **N}:\n        M.from_pretrained(N)",
    "match x:\n    case [*N]:\n        M.from_pretrained(N)",
    "match x:\n    case N:\n        M.from_pretrained(N)",
    "[M.from_pretrained(N) for N in x]",
    "M.from_pretrained(args.model)",
    "M.from_pretrained(f'{x!r}')",
    "M.from_pretrained(f'{1:03}')",
    "M.from_pretrained(*args)",
    "M.from_pretrained(**options)",
    "N = N + 'x'\nM.from_pretrained(N)",
    "M.from_pretrained('a' if x else 'b')",
    "M.from_pretrained(b'a/b')",
    "N, *R = 'a/b', 'c/d'\nM.from_pretrained(N)",
    "from settings import N\nM.from_pretrained(N)",
    "M.from_pretrained(" + "+".join(["'a'"] * 50) + ")",
    f"A = '{'x' * 3000}'\nM.from_pretrained(A + A)",
]


@pytest.mark.parametrize(("code", "repo"), CONSTANTS)
def test_constants_assigned_once_are_followed(collect: Any, code: str, repo: str) -> None:
    items = collect(python_code, "load.py", f"from transformers import M\n{code}\n")
    (found,) = calls(items)
    (ref,) = refs(items)
    assert found.facts["argument"] == ref.repo == found.facts["repo"] == repo
    assert found.facts["reference"] == "hub"


@pytest.mark.parametrize("code", DYNAMIC)
def test_what_is_computed_is_said_to_be_unresolved(collect: Any, code: str) -> None:
    items = collect(python_code, "load.py", f"from transformers import M\n{code}\n")
    (found,) = calls(items)
    assert found.facts["argument"] == "unresolved"
    assert found.facts["reference"] == "unresolved"
    assert [ref.repo for ref in refs(items)] == [None]


REFERENCES: list[tuple[str, str | None, str, str | None, RevisionKind]] = [
    ("M.from_pretrained('org/name')", "org/name", "model", None, RevisionKind.NONE),
    ("M.from_pretrained('gpt2', revision=None)", "gpt2", "model", None, RevisionKind.NONE),
    ("M.from_pretrained('org/name', revision='main')", "org/name", "model", "main", RevisionKind.NAME),
    (f"M.from_pretrained('org/name', revision='{COMMIT}')", "org/name", "model", COMMIT, RevisionKind.COMMIT),
    ("M.from_pretrained('org/name', revision=r)", "org/name", "model", None, RevisionKind.DYNAMIC),
    ("M.from_pretrained('org/name', **more)", "org/name", "model", None, RevisionKind.DYNAMIC),
    (f"pipeline('t', 'org/name', None, None, '{COMMIT}')", "org/name", "model", COMMIT, RevisionKind.COMMIT),
    ("pipeline('t', model='gpt2')", "gpt2", "model", None, RevisionKind.NONE),
    ("hf_hub_download('org/name', 'f', repo_type='dataset')", "org/name", "dataset", None, RevisionKind.NONE),
    ("snapshot_download(repo_id='org/name', repo_type=t)", "org/name", "model", None, RevisionKind.NONE),
    ("load_dataset('squad', revision='v1')", "squad", "dataset", "v1", RevisionKind.NAME),
    ("torch.hub.load('o/r', 'm')", "o/r", "github", None, RevisionKind.NONE),
    ("torch.hub.load('o/r:v1', 'm')", "o/r", "github", "v1", RevisionKind.NAME),
    (f"torch.hub.load('o/r:{COMMIT}', 'm')", "o/r", "github", COMMIT, RevisionKind.COMMIT),
    ("PeftModel.from_pretrained(base, 'org/adapter')", "org/adapter", "model", None, RevisionKind.NONE),
    ("timm.create_model('hf-hub:org/name')", "org/name", "model", None, RevisionKind.NONE),
    (f"timm.create_model('hf_hub:org/name@{COMMIT}')", "org/name", "model", COMMIT, RevisionKind.COMMIT),
]
IMPORTS = (
    "import torch, timm\nfrom transformers import M, pipeline\nfrom peft import PeftModel\n"
    "from huggingface_hub import hf_hub_download, snapshot_download\nfrom datasets import load_dataset\n"
)


@pytest.mark.parametrize(("code", "repo", "repo_type", "revision", "kind"), REFERENCES)
def test_references(
    collect: Any,
    code: str,
    *,
    repo: str | None,
    repo_type: str,
    revision: str | None,
    kind: RevisionKind,
) -> None:
    items = collect(python_code, "load.py", IMPORTS + code)
    (ref,) = refs(items)
    assert (ref.repo, ref.repo_type, ref.revision, ref.revision_kind) == (repo, repo_type, revision, kind)
    (found,) = calls(items)
    assert found.location == ref.location
    assert found.facts["revision_kind"] == kind.value


@pytest.mark.parametrize(
    "code",
    [
        "M.from_pretrained('./model')",
        "M.from_pretrained('/srv/model')",
        "M.from_pretrained('~/model')",
        "M.from_pretrained('../../etc')",
        "M.from_pretrained('a/b/c')",
        "M.from_pretrained('weights.safetensors')",
        "M.from_pretrained('C:\\\\models')",
        "M.from_pretrained('here')",
        "M.from_pretrained('models/mine')",
        "M.from_pretrained('not a name')",
        "M.from_pretrained('')",
        "load_dataset('csv', data_files='a.csv')",
        "torch.hub.load('o/r', 'm', source='local')",
        "torch.hub.load('../r', 'm')",
        "timm.create_model('resnet50')",
        "timm.create_model(name)",
        "pipeline('text')",
        "PeftModel.from_pretrained(base)",
    ],
)
def test_paths_and_built_in_names_are_no_references(collect: Any, tmp_path: Path, code: str) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "models" / "mine").mkdir(parents=True)
    items = collect(python_code, "src/load.py", IMPORTS + code)
    assert refs(items) == []
    (found,) = calls(items)
    assert found.facts["reference"] in {"local", "none", "unresolved"}
    assert "repo" not in found.facts


@pytest.mark.parametrize(
    ("code", "fact", "value"),
    [
        ("torch.load(f)", "weights_only", "absent"),
        ("torch.load(f, weights_only=True)", "weights_only", "true"),
        ("torch.load(f, weights_only=False)", "weights_only", "false"),
        ("torch.load(f, weights_only=w)", "weights_only", "unresolved"),
        ("torch.load(f, weights_only=None)", "weights_only", "none"),
        ("torch.load(f, **k)", "weights_only", "unresolved"),
        ("K = {'weights_only': True}\ntorch.load(f, **K)", "weights_only", "true"),
        ("K = {'other': True}\ntorch.load(f, **K)", "weights_only", "absent"),
        ("torch.load('m.pt')", "argument", "m.pt"),
        ("torch.load()", "argument", "absent"),
        ("numpy.load(f, None, True)", "allow_pickle", "true"),
        ("numpy.load(f, *a)", "allow_pickle", "unresolved"),
        ("yaml.load(f)", "loader", "absent"),
        ("yaml.load(f, **k)", "loader", "unresolved"),
        ("yaml.load(f, yaml.SafeLoader)", "loader", "safe"),
        ("yaml.load(f, Loader=yaml.CFullLoader)", "loader", "full"),
        ("yaml.load(f, Loader=yaml.UnsafeLoader)", "loader", "unsafe"),
        ("from yaml import Loader as L\nyaml.load(f, L)", "loader", "unsafe"),
        ("yaml.load(f, Loader=get())", "loader", "unresolved"),
        ("class Mine(yaml.SafeLoader): ...\nyaml.load(f, Mine)", "loader", "unresolved"),
        ("joblib.load(hf_hub_download('a/b', 'c'))", "downloaded", True),
        ("p = hf_hub_download('a/b', 'c')\njoblib.load(p)", "downloaded", True),
        ("p = hf_hub_download('a/b', 'c')\npickle.load(open(p, 'rb'))", "downloaded", True),
        ("r = requests.get(u)\npickle.loads(r.content)", "downloaded", True),
        ("p = other(u)\npickle.load(open(p))", "downloaded", False),
        ("pickle.loads(" + "+".join(["a"] * 90) + ")", "downloaded", False),
        ("torch.hub.load('pytorch/vision', 'm')", "known_owner", True),
        ("torch.hub.load('someone/vision', 'm')", "known_owner", False),
    ],
)
def test_facts(collect: Any, code: str, fact: str, *, value: Fact) -> None:
    head = (
        "import torch, numpy, yaml, joblib, pickle, requests\nfrom huggingface_hub import hf_hub_download\n"
    )
    found = [each for each in calls(collect(python_code, "load.py", head + code)) if "hf_" not in each.symbol]
    assert [each.facts[fact] for each in found] == [value]


def test_places_are_exact_in_code_points(collect: Any) -> None:
    text = (
        "# é\r\nimport torch as ü; x = 'à😀'; y = ü.load('é', \r\n"
        "    map_location='😀', weights_only=False); ü.load(1)\r\n"
        "\x0cü.load(2)\r"
        "ü.load(3)\n"
    )
    found = calls(collect(python_code, "load.py", text))
    assert [text_at(text, each.location) for each in found] == [
        "ü.load('é', \n    map_location='😀', weights_only=False)",
        "ü.load(1)",
        "ü.load(2)",
        "ü.load(3)",
    ]
    first = found[0].location
    assert (first.line, first.column, first.end_line, first.end_column) == (2, 34, 3, 42)


@pytest.mark.parametrize(
    ("code", "kind", "what"),
    [
        ("def f(a, trust_remote_code=True): ...", "trust-setting", "True"),
        ("def f(*, a, trust_remote_code=True): ...", "trust-setting", "True"),
        ("lambda trust_remote_code=True: 1", "trust-setting", "True"),
        ("class C:\n    trust_remote_code: bool = True", "trust-setting", "trust_remote_code"),
        ("config.trust_remote_code = True", "trust-setting", "config.trust_remote_code"),
        ("k = {'trust_remote_code': True}", "trust-setting", "'trust_remote_code'"),
        ("make('x', trust_remote_code=True)", "loader-call", "make('x', trust_remote_code=True)"),
        ("ON = True\nmake(trust_remote_code=ON)", "loader-call", "make(trust_remote_code=ON)"),
    ],
)
def test_trust_anywhere(collect: Any, code: str, kind: str, what: str) -> None:
    (found,) = collect(python_code, "load.py", code)
    assert found.kind == kind
    assert text_at(code, found.location) == what


@pytest.mark.parametrize(
    "code",
    [
        "def f(trust_remote_code=False): ...",
        "def f(trust_remote_code, b=True): ...",
        "trust_remote_code = args.trust_remote_code",
        "make(trust_remote_code=flag)",
        "k = {'trust_remote_code': False, **more}",
        "trust_remote_code: bool",
        "(a, b).x[0]: int = True  # trust_remote_code",
    ],
)
def test_trust_that_is_not_given(collect: Any, code: str) -> None:
    assert collect(python_code, "load.py", code) == []


def test_a_dictionary_that_a_loader_unpacks_is_said_once(collect: Any) -> None:
    code = "from transformers import M\nK = {'trust_remote_code': True}\nM.from_pretrained('a/b', **K)\n"
    found = [each for each in collect(python_code, "load.py", code) if isinstance(each, Evidence)]
    assert [(each.kind, each.facts["trust_remote_code"]) for each in found] == [("loader-call", "true")]


UNPARSED = [
    "import torch\ntorch.load(",
    "import pickle\nprint pickle.load(f)",
    "import pickle\npickle.load(f)\0",
    "import pickle\npickle.load" + "(" * 201,
    "import pickle\npickle.load(x)\nx = " + "-" * 100_000 + "1",
    "import pickle\npickle.load(x)\nx = " + "+".join(["a"] * 100_000),
    "import pickle\nx = " + "a." * 50_000 + "load",
    "import pickle\npickle.load(" + "9" * 5000 + ")",
]


@pytest.mark.parametrize("code", UNPARSED)
def test_code_that_cannot_be_parsed_is_a_gap_when_it_mentions_loaders(collect: Any, code: str) -> None:
    (note,) = collect(python_code, "load.py", code)
    assert isinstance(note, Notification)
    assert (note.code, note.incomplete) == ("unparsed-python", True)
    assert len(note.message) < 300


@pytest.mark.parametrize("code", ["print 'x'", "def f(:", "{{ cookiecutter.name }} load", "x = '\\d' \0"])
def test_code_that_cannot_be_parsed_and_mentions_none_is_no_gap(collect: Any, code: str) -> None:
    assert collect(python_code, "load.py", code) == []


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ("# -*- coding: latin-1 -*-\nimport torch\né = torch.load(1)\n".encode("latin-1"), 1),
        ("\ufeffimport torch\ntorch.load(1)\n".encode(), 1),
        (
            "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nimport torch; torch.load('\x80')\n".encode(
                "latin-1"
            ),
            1,
        ),
        (b"# coding: rot13\nimport torch\ntorch.load(1)\n", 0),
        (b"# coding: no-such\nimport torch\ntorch.load(1)\n", 0),
        (b"import torch\ntorch.load('\xff')\n", 0),
    ],
)
def test_encodings(collect: Any, content: bytes, count: int) -> None:
    items = collect(python_code, "load.py", content)
    assert len(calls(items)) == count
    gaps = [each for each in items if isinstance(each, Notification)]
    assert [each.incomplete for each in gaps] == [True] * (1 - count)


def test_a_file_that_is_too_large_is_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "big.py"
    path.write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    (note,) = python_code.collect(Artifact(uri="big.py", path=path, size=1), Budget())
    assert isinstance(note, Notification)
    assert note.incomplete
    with pytest.raises(UnreadableError):
        list(python_code.collect(Artifact(uri="x", path=tmp_path / "gone.py", size=1), Budget()))


def test_the_budget_counts_nodes(collect: Any) -> None:
    code = "import torch\ntorch.load(1)\n" + "x = 1\n" * 2000
    with pytest.raises(BudgetExceededError):
        collect(python_code, "load.py", code, limits=Limits(nodes=3000))


def test_invalid_escapes_do_not_warn(collect: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(calls(collect(python_code, "a.py", "import torch\ntorch.load('\\d')\n"))) == 1


@pytest.mark.heavy
@pytest.mark.parametrize(
    "code",
    [
        "import torch\n" + "torch.load(x)\n" * 3000,
        "import torch\n" + "".join(f"def f{n}():\n    torch.load(x)\n" for n in range(1000)),
        "import torch\na0 = 'x'\n"
        + "".join(f"a{n + 1} = a{n} + a{n}\n" for n in range(60))
        + "torch.load(a60)\n",
        "import torch\ntorch.load(" + "[" * 150 + "]" * 150 + ")\n",
        "D = {" + "'a': 1, " * 5000 + "}\n" + "torch.load(x, **D)\n" * 500,
        "".join(f"import a{n} as t\n" for n in range(3000)) + "import torch as t\n" + "t.load(x)\n" * 3000,
        "from torch import *\n" * 300 + "load(x)\n" * 300,
    ],
)
def test_hostile_code_costs_little_time(collect: Any, code: str) -> None:
    started = time.process_time()
    assert calls(collect(python_code, "load.py", code))
    assert time.process_time() - started < 6


@pytest.mark.parametrize(
    ("name", "claimed"), [("a.py", True), ("A.PYW", True), ("a.pyc", False), ("py", False)]
)
def test_names(name: str, *, claimed: bool) -> None:
    assert python_code.claims(name) is claimed


def test_the_table_is_sound() -> None:
    data = json.loads((rules_folder() / "code" / "loaders.json").read_bytes())
    families = {row["family"] for row in data["calls"]}
    assert {"torch", "unpickle", "hub", "hub-code", "numpy", "keras", "yaml"} <= families
    names = [name for row in data["calls"] for name in row["names"]]
    assert len(names) == len(set(names))
    known = table()
    for row in data["calls"]:
        keys = {"names", "family", "argument", "reference", "revision", "repo_type", "loader", "facts"}
        assert row.keys() <= keys | {"local_names", "prefixes"}
        for name in row["names"]:
            example = name.replace("*.", "Thing.")
            assert known.find(example) is not None
            assert known.canonical(example) == example, "an alias must not hide a name of the table"
            assert known.is_mentioned(set(example.split(".")))
    for alias, canonical in data["aliases"].items():
        assert known.canonical(f"{alias}.x") == f"{canonical}.x"


IDENTIFIERS = st.sampled_from(["torch", "load", "é", "x", "AutoModel", "from_pretrained", "pickle", "k"])
PIECES = st.sampled_from(
    ["import ", "from ", " as ", "(", ")", "=", ".", ",", "\n", "\n    ", "def f(", "):", "'a/b'", "'😀'",
     "{", "}", ":", "**", "*", "lambda ", "True", "f'{x}'", "global ", "class C:", "trust_remote_code",
     "getattr"]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(
    content=st.one_of(
        st.binary(max_size=200).map(lambda raw: raw + b"\ntorch.load"),
        st.lists(st.one_of(IDENTIFIERS, PIECES), max_size=40).map(
            lambda parts: f"import torch\ntorch.load(1)\n{''.join(parts)}".encode()
        ),
    )
)
def test_any_bytes_give_items_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("p") / "a.py"
    path.write_bytes(content)
    try:
        items = list(python_code.collect(Artifact(uri="a.py", path=path, size=1), Budget()))
    except SupplyguardError:
        return
    for item in items:
        assert isinstance(item, ModelRef | Evidence | Notification)


@settings(deadline=None, max_examples=100)
@given(before=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'\\"), max_size=20))
def test_columns_agree_with_the_text(before: str) -> None:
    line = f"'{before}'; torch.load(1)"
    tree = parse(line)
    assert isinstance(tree, ast.Module)
    (call,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    assert line[column(line, call.col_offset) - 1 :] == "torch.load(1)"
