"""What code does, when it does it, and what hides it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.code.acts import Act, source_acts
from supplyguard.errors import BudgetExceededError
from supplyguard.limits import Budget, Limits


def acts(text: str, *, all_public: bool = False) -> list[Act]:
    found = source_acts(text, Budget(), all_public=all_public)
    assert not isinstance(found, str), found
    return found[0]


def one(text: str) -> Act:
    found = acts(text)
    assert len(found) == 1, found
    return found[0]


SYSTEM = "import os\nos.system('echo')\n"


@pytest.mark.parametrize(
    ("code", "when"),
    [
        ("os.system('x')", "import"),
        ("class A:\n    os.system('x')", "import"),
        ("def f(a=os.system('x')): pass", "import"),
        ("def f():\n    os.system('x')", "later"),
        ("def f():\n    os.system('x')\nf()", "import"),
        ("def f():\n    os.system('x')\n@f\ndef g(): pass", "import"),
        ("def f():\n    g()\ndef g():\n    os.system('x')\nf()", "import"),
        ("class A:\n    def __init__(self):\n        os.system('x')", "load"),
        (
            "class A:\n    def __init__(self):\n        self.go()\n    def go(self):\n        os.system('x')",
            "load",
        ),
        ("class A:\n    def __init__(self):\n        os.system('x')\nA()", "import"),
        ("class A:\n    def go():\n        os.system('x')\nA.go()", "import"),
        ("class A:\n    def forward(self):\n        os.system('x')", "later"),
        ("f = lambda: os.system('x')", "later"),
        ("(lambda: os.system('x'))()", "import"),
        ("if __name__ == '__main__':\n    os.system('x')", "script"),
        ("def main():\n    os.system('x')\nif __name__ == '__main__':\n    main()", "later"),
        ("import typing\nif typing.TYPE_CHECKING:\n    os.system('x')", "script"),
        ("import atexit\ndef f():\n    os.system('x')\natexit.register(f)", "import"),
        ("import threading\ndef f():\n    os.system('x')\nthreading.Thread(target=f).start()", "import"),
        ("def f():\n    def g():\n        os.system('x')\n    g()\nf()", "import"),
        ("async def f():\n    os.system('x')", "later"),
    ],
)
def test_when(code: str, when: str) -> None:
    assert one("import os\n" + code).when.label == when


def test_public_functions_of_a_hub_file_run_at_load_time() -> None:
    found = acts(
        "import os\ndef model():\n    os.system('x')\ndef _own():\n    os.system('y')\n", all_public=True
    )
    assert [act.when.label for act in found] == ["load", "later"]


@pytest.mark.parametrize(
    ("code", "callee", "hidden"),
    [
        ("from os import system as go\ngo('x')", "os.system", False),
        ("__import__('os').system('x')", "os.system", False),
        ("__import__('o' + 's').system('x')", "os.system", True),
        ("import os\ngetattr(os, 'sys' 'tem')('x')", "os.system", False),
        ("import os\ngetattr(os, 'metsys'[::-1])('x')", "os.system", True),
        ("import os\nvars(os)['system']('x')", "os.system", False),
        ("import os\nos.__dict__['sys' + 'tem']('x')", "os.system", True),
        ("import sys\nsys.modules['os'].system('x')", "os.system", False),
        ("globals()['__builtins__']['ev' + 'al']('1')", "eval", True),
        ("__builtins__.exec('a = 1')", "exec", False),
        ("import builtins\nrun = builtins.exec\nrun('a = 1')", "exec", False),
        ("import importlib\nimportlib.import_module('subprocess').run(['x'])", "subprocess.run", False),
        ("\uff45\uff56\uff41\uff4c('1')", "eval", True),
    ],
)
def test_names(code: str, callee: str, hidden: bool) -> None:
    found = one(code)
    assert (found.callee, found.hidden) == (callee, hidden)


@pytest.mark.parametrize(
    "code",
    [
        "import base64\nexec(base64.b64decode({b64!r}))",
        "import base64\nexec(base64.b64decode({b64!r}).decode('utf-8'))",
        "import base64 as b\nDATA = {b64!r}\nTEXT = b.b64decode(DATA)\nexec(TEXT)",
        "exec(bytes.fromhex({hex!r}))",
        "import binascii\nexec(binascii.unhexlify({hex!r}))",
        "exec(''.join(chr(each) for each in {numbers}))",
        "exec(''.join(map(chr, {numbers})))",
        "exec(bytes([each ^ 5 for each in {xored}]))",
        "exec({backwards!r}[::-1])",
        "exec(''.join([chr(ord(each) - 1) for each in {shifted!r}]))",
        "exec(bytes(a ^ b for a, b in zip({xored}, {fives})))",
        "import codecs\nexec(codecs.decode({rot!r}, 'rot13'))",
        "import base64\neval(compile(base64.b64decode({b64!r}), 'x', 'exec'))",
        'import base64\nexec("import base64\\nexec(base64.b64decode({b64!r}))")',
    ],
)
def test_hidden_texts_are_read(code: str) -> None:
    import codecs  # noqa: PLC0415

    text = code.format(
        b64=base64.b64encode(SYSTEM.encode()).decode(),
        hex=SYSTEM.encode().hex(),
        numbers=list(SYSTEM.encode()),
        xored=[each ^ 5 for each in SYSTEM.encode()],
        backwards=SYSTEM[::-1],
        shifted="".join(chr(ord(each) + 1) for each in SYSTEM),
        fives=[5] * len(SYSTEM),
        rot=codecs.encode(SYSTEM, "rot13"),
    )
    found = acts(text)
    inner = [act for act in found if act.act == "process"]
    assert [(act.callee, act.decoded, act.depth > 0) for act in inner] == [("os.system", "constant", True)]


def test_only_four_texts_in_texts_are_read() -> None:
    text = SYSTEM
    for _ in range(6):
        text = f"exec({text!r})"
    assert {act.act for act in acts(text)} == {"evaluates"}


@pytest.mark.parametrize(
    ("code", "source", "decoded"),
    [
        ("exec(open('x').read())", "file", "no"),
        ("import requests\ntext = requests.get('http://x').text\nexec(text)", "network", "no"),
        ("import base64\ndef f(x):\n    exec(base64.b64decode(x))", "computed", "expression"),
        ("def f(x):\n    exec(x)", "computed", "no"),
        ("exec('a = 1')", "constant", "no"),
        ("exec()", "none", "no"),
    ],
)
def test_where_a_text_comes_from(code: str, source: str, decoded: str) -> None:
    found = next(act for act in acts(code) if act.act == "evaluates")
    assert (found.source, found.decoded) == (source, decoded)


@pytest.mark.parametrize(
    "code",
    [
        "model.eval()",
        "import torch\ntorch.compile(f)",
        "import re\nre.compile('x')",
        "def exec(x): pass\nexec('x')",
        "import os\nos.environ.get('HOME')\nos.path.join('a', 'b')",
        "import subprocess\nsubprocess.PIPE",
        "import sys\nsys.modules[__name__] = object()",
        "'''Keys are in ~/.ssh/id_rsa.'''",
        "import importlib\nimportlib.import_module(name)",
        "from huggingface_hub import hf_hub_download\nhf_hub_download('a/b', 'c')",
        "class A:\n    def get(self): pass\nA().get()",
        "x = 1; y = 2",
    ],
)
def test_silent(code: str) -> None:
    assert acts(code) == []


@pytest.mark.parametrize(
    ("code", "act"),
    [
        ("import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip install', 'x'])", "installs"),
        ("import os\nos.system('pip install x')", "installs"),
        ("import requests\nrequests.post('http://x', data=1)", "network"),
        ("import torch\ntorch.load = print", "tampers"),
        ("import sys\nsys.modules['torch'] = 1", "tampers"),
        ("import sys\nsys.meta_path.insert(0, Finder())", "tampers"),
        ("path = '/home/x/.ssh/id_rsa'", "credentials"),
        ("url = 'http://169.254.169.254/latest'", "metadata-service"),
        ("path = '/etc/cron.d/x'", "autostart"),
        ("x = 1;" + " " * 200 + "y = 2", "hidden-statement"),
        ("import ctypes\nctypes.CDLL('x.so')", "native"),
    ],
)
def test_acts(code: str, act: str) -> None:
    assert [each.act for each in acts(code)] == [act]


@pytest.mark.parametrize(
    ("code", "sources"),
    [
        ("open('/etc/shadow')", ["call"]),
        ("import os\nopen(os.path.join(os.path.expanduser('~'), '.ssh', 'x'))", ["call"]),
        ("import pathlib\npathlib.Path('~/.aws/credentials').expanduser()", ["call"]),
        ("KEY = '~/.ssh/' + 'id_rsa'\nopen(KEY)", ["mention", "mention", "call"]),
        ("import requests\nrequests.get('http://169.254.169.254/x')", ["constant", "call"]),
        ("NAMES = ['id_rsa']", ["mention"]),
        ("print('Your keys in ~/.ssh/id_rsa are not read by this program')", []),
    ],
)
def test_guarded_places(code: str, sources: list[str]) -> None:
    assert [act.source for act in acts(code)] == sources


@pytest.mark.parametrize("code", ["dict(os.environ)", "os.environ.copy()", "json.dumps(os.environ)"])
def test_the_environment_counts_where_it_can_be_sent_away(code: str) -> None:
    assert acts(f"import json, os\n{code}") == []
    found = acts(f"import json, os, requests\n{code}\nrequests.post('http://x')")
    assert [each.act for each in found] == ["environment", "network"]


@pytest.mark.parametrize(
    "code",
    [
        "list(map(os.system, ['x']))",
        "import functools\nfunctools.partial(os.system, 'x')()",
        "import threading\nthreading.Thread(target=os.system, args=('x',)).start()",
        "import atexit\natexit.register(os.system, 'x')",
        "@os.system\ndef f(): pass",
        "@os.system\nclass A: pass",
        "go = print\ngo = os.system\ngo('x')",
    ],
)
def test_what_others_call(code: str) -> None:
    assert [(act.act, act.callee) for act in acts(f"import os\n{code}")] == [("process", "os.system")]


def test_known_hosts() -> None:
    assert one("import requests\nrequests.get('https://huggingface.co/x')").known_host
    assert not one("import requests\nrequests.get('https://huggingface.co.evil.example/x')").known_host


@pytest.mark.parametrize(
    "code",
    [
        "exec('a' * 10)",
        "exec(" + "(" * 150 + "'a'" + ")" * 150 + ")",
        "exec(" + " + ".join(["'a'"] * 300) + ")",
        "A = " + "'a' + " * 300 + "'b'\nexec(A)",
        "exec('%1000000000s' % 'a')",
        "exec('a'.replace('a', 'b' * 10))",
        "exec(bytes([1 << 70]))",
        "exec(1 // 0)",
        "A = B\nB = A\nexec(A)",
        "import zlib\nexec(zlib.decompress(b'x'))",
        "import base64\nexec(base64.b64decode('?'))",
        "exec(chr(99999999))",
        "exec(''.join([1]))",
        "exec('abc'[9])",
        "exec(-'a')",
        "exec(''.join(x for x in 'a' for y in 'b'))",
        "import codecs\nexec(codecs.decode('a', 'no-such'))",
        "getattr()('x')",
        "__import__()('x')",
        "vars()['x']('y')",
        "exec(''.join(a for a, b in [1]))",
        "exec(''.join(a for a, b in [[1]]))",
        "exec(chr(ord(1)))",
        "exec(zip(1, 'a'))",
    ],
)
def test_odd_code_ends(code: str) -> None:
    assert isinstance(source_acts(code, Budget()), tuple)


def test_a_bomb_ends_at_once() -> None:
    import zlib  # noqa: PLC0415

    packed = base64.b64encode(zlib.compress(bytes(50_000_000), 9)).decode()
    found = one(f"import zlib, base64\nexec(zlib.decompress(base64.b64decode({packed!r})))")
    assert (found.source, found.decoded) == ("computed", "expression")


def test_the_budget_is_kept() -> None:
    with pytest.raises(BudgetExceededError):
        source_acts("x = 1\n" * 2000, Budget(Limits(nodes=1000)))


def test_what_is_no_python() -> None:
    assert isinstance(source_acts("print 'x'", Budget()), str)


WORDS = """exec ( ) 'a' + [ ] ::-1 chr base64 . b64decode lambda : getattr , __builtins__ = 1 @ f'' % bytes"""
PIECES = st.sampled_from([*WORDS.split(" "), "\n", " ", "import os", "def f():", "class A:", "for x in"])


@given(st.lists(PIECES, max_size=25))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_acts_or_a_reason(pieces: list[str]) -> None:
    found = source_acts("".join(pieces), Budget())
    assert isinstance(found, str | tuple)
