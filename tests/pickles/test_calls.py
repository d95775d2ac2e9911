"""Calls: what is certain is worked out, what is not is said, and operands are judged."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import struct
import zlib

import pytest

from fixtures.make_pickle_stream import ARRAY, P3, P4, PLAIN, TEMPLATE, b, c, framed, joblib_array, sg, u
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import pickle_stream
from tests.examined import yielded

ARG = u("true") + b"\x85R"
GETATTR = sg("builtins", "getattr")
OS = sg("builtins", "__import__") + u("os") + b"\x85R"


def seen(body: bytes) -> dict[str, Evidence]:
    """Give the evidence of a program by kind and symbol."""
    return {
        f"{each.kind} {each.symbol}".strip(): each
        for each in yielded(pickle_stream, P4 + body + b".")
        if isinstance(each, Evidence)
    }


def text_call(name: str, *operands: bytes) -> bytes:
    """Call a method of str through its type."""
    return sg("builtins", f"str.{name}") + b"(" + b"".join(operands) + b"tR"


SYSTEM_TEXTS = {
    "join": text_call("join", u(""), b"](" + u("sys") + u("tem") + b"e"),
    "replace": text_call("replace", u("syXtem"), u("X"), u("s")),
    "lower": text_call("lower", u("SYSTEM")),
    "add": sg("operator", "add") + u("sys") + u("tem") + b"\x86R",
    "chr": sg("operator", "concat") + sg("builtins", "chr") + b"Ks\x85R" + u("ystem") + b"\x86R",
    "bytes.decode": sg("builtins", "bytes.decode") + b(b"system") + u("ascii") + b"\x86R",
    "codecs.decode": sg("_codecs", "decode") + b(b"system") + u("latin1") + b"\x86R",
    "rot13": sg("codecs", "decode") + u("flfgrz") + u("rot13") + b"\x86R",
    "str of bytes": sg("builtins", "str") + b(b"system") + u("utf-8") + b"\x86R",
    "bytes of numbers": sg("builtins", "str")
    + sg("builtins", "bytes")
    + b"]("
    + b"".join(b"K" + bytes([each]) for each in b"system")
    + b"e\x85R"
    + u("ascii")
    + b"\x86R",
    "item of list": sg("operator", "itemgetter") + b"K\x01\x85R](" + u("x") + u("system") + b"e\x85R",
    "item of dict": sg("operator", "getitem") + b"}" + u("k") + u("system") + b"s" + u("k") + b"\x86R",
    "split": sg("operator", "getitem") + text_call("split", u("a system"), u(" ")) + b"K\x01\x86R",
    "bound method": GETATTR + u("SYSTEM") + u("lower") + b"\x86R)R",
    "methodcaller": sg("operator", "methodcaller") + u("lower") + b"\x85R" + u("SYSTEM") + b"\x85R",
    "fromhex": sg("builtins", "bytes.decode")
    + sg("builtins", "bytes.fromhex")
    + u(b"system".hex())
    + b"\x85R"
    + u("ascii")
    + b"\x86R",
}


@pytest.mark.parametrize("how", SYSTEM_TEXTS)
def test_texts_that_are_put_together_are_worked_out(how: str) -> None:
    found = seen(u("os") + SYSTEM_TEXTS[how] + b"\x93" + ARG)
    assert "pickle-call os.system" in found
    assert "pickle-computed-name os.system" in found


REACHED = {
    "getattr of module": GETATTR + OS + u("system") + b"\x86R",
    "attrgetter": sg("operator", "attrgetter") + u("system") + b"\x85R" + OS + b"\x85R",
    "attrgetter path": sg("operator", "attrgetter") + u("path.os.system") + b"\x85R" + OS + b"\x85R",
    "partial of partial": sg("functools", "partial")
    + sg("functools", "partial")
    + sg("os", "system")
    + b"\x85R\x85R",
    "default of getattr": GETATTR + PLAIN + u("x") + sg("os", "system") + b"\x87R",
    "import of package": GETATTR
    + sg("importlib", "import_module")
    + u("subprocess")
    + b"\x85R"
    + u("call")
    + b"\x86R",
}


@pytest.mark.parametrize("how", REACHED)
def test_callables_that_are_reached_are_named(how: str) -> None:
    names = [
        each.facts["callable"] for each in seen(REACHED[how] + ARG).values() if each.kind == "pickle-call"
    ]
    assert any(str(name).endswith((".system", ".call")) for name in names)


INVOKED = {
    "methodcaller": sg("operator", "methodcaller") + u("system") + u("true") + b"\x86R" + OS + b"\x85R",
    "operator.call": sg("operator", "call") + sg("os", "system") + u("true") + b"\x86R",
    "filter": sg("builtins", "filter") + sg("os", "system") + b"](" + u("true") + b"e\x86R",
    "map of unknown": sg("builtins", "map")
    + sg("os", "system")
    + sg("argparse", "Namespace")
    + b")\x81\x86R",
    "starmap": sg("itertools", "starmap") + sg("os", "system") + b"]\x86R",
    "iter": sg("builtins", "iter") + sg("os", "system") + b"N\x86R",
    "reduce": sg("functools", "reduce") + sg("os", "system") + b"]" + b"(K\x01K\x02e\x86R",
    "rebuild": sg("torch._tensor", "_rebuild_from_type_v2")
    + b"("
    + sg("os", "system")
    + sg("torch", "Tensor")
    + u("true")
    + b"\x85Nt"
    + b"R",
    "reconstructor": sg("copyreg", "_reconstructor")
    + sg("subprocess", "Popen")
    + sg("builtins", "object")
    + b"N\x87R",
    "newobj function": sg("copyreg", "__newobj__") + sg("subprocess", "Popen") + u("true") + b"\x86R",
    "type operand": sg("pandas.core.indexes.base", "_new_Index") + sg("subprocess", "Popen") + b"}\x86R",
    "array type": sg("numpy.core.multiarray", "_reconstruct")
    + sg("subprocess", "Popen")
    + b")"
    + b(b"b")
    + b"\x87R",
}


@pytest.mark.parametrize("how", INVOKED)
def test_trampolines_are_judged_by_what_they_call(how: str) -> None:
    names = [each.facts["callable"] for each in seen(INVOKED[how]).values() if each.kind == "pickle-call"]
    assert {"os.system", "subprocess.Popen"} & set(names)


OPERANDS = {
    "getattr computed": GETATTR + PLAIN + b"N\x86R",
    "getattr put together": GETATTR + PLAIN + text_call("lower", u("X")) + b"\x86R",
    "getattr of persistent": GETATTR + u("x") + b"Q" + u("a") + b"\x86R",
    "getattr dunder": GETATTR + PLAIN + u("__globals__") + b"\x86R",
    "reconstructor base": sg("copyreg", "_reconstructor")
    + sg("argparse", "Namespace")
    + sg("argparse", "Namespace")
    + b"N\x87R",
    "random": sg("numpy.random._pickle", "__generator_ctor") + sg("os", "system") + b"\x85R",
    "defaultdict": sg("collections", "defaultdict") + sg("os", "system") + b"\x85R",
    "partial of unknown": sg("functools", "partial") + u("x") + b"Q\x85R",
    "class builder": sg("builtins", "type") + u("X") + b")}\x87R",
    "item of import": sg("operator", "getitem") + sg("sys", "modules") + u("os") + b"\x86R",
    "memmap": sg("numpy", "memmap") + u("file") + b"\x85R",
    "encoding": sg("_codecs", "encode") + u("x") + u("idna") + b"\x86R",
    "size": sg("builtins", "bytearray") + b"" + b"\x8a\x06\0\0\0\0\0\x01\x85R",
    "fraction": sg("fractions", "Fraction") + u("1" * 100) + b"\x85R",
    "zone": sg("dateutil.tz.tz", "tzfile") + u("/home/x") + b"\x85R",
    "named": sg("numpy._core", "_ufunc_reconstruct") + b"NN\x86R",
    "load nothing": sg("torch.storage", "_load_from_bytes") + b"N\x85R",
    "unknown operands": sg("functools", "partial") + b"]R",
    "ufunc dtype": sg("numpy._core.numeric", "_frombuffer") + b(bytes(8)) + u("O8") + b"\x86R",
}


@pytest.mark.parametrize("what", OPERANDS)
def test_operands_that_are_not_harmless_are_told(what: str) -> None:
    assert any(key.startswith("pickle-operand") for key in seen(OPERANDS[what]))


HARMLESS = {
    "getattr": GETATTR + PLAIN + u("items") + b"\x86R",
    "class method": sg("copyreg", "_reconstructor")
    + sg("argparse", "Namespace")
    + sg("builtins", "object")
    + b"N\x87R",
    "type of": sg("builtins", "type") + b"N\x85R",
    "iter": sg("builtins", "iter") + b"]\x85R",
    "list": sg("builtins", "list") + b"]\x85R",
    "fraction": sg("fractions", "Fraction") + u("1/3") + b"\x85R",
    "zone": sg("dateutil.tz.tz", "tzfile") + u("/usr/share/zoneinfo/UTC") + b"\x85R",
    "random": sg("numpy.random._pickle", "__generator_ctor") + u("PCG64") + b"\x85R",
    "ufunc": sg("numpy._core", "_ufunc_reconstruct") + u("numpy") + u("ndarray") + b"\x86R",
    "buffer": sg("numpy._core.numeric", "_frombuffer") + b(bytes(8)) + u("f8") + b"\x86R",
    "itemgetter": sg("operator", "itemgetter") + b"K\x01\x85R",
    "partial": sg("functools", "partial") + sg("builtins", "int") + b"\x85R",
    "method of plain": GETATTR + b"]" + u("copy") + b"\x86R)R",
    "new": GETATTR
    + sg("argparse", "Namespace")
    + u("__new__")
    + b"\x86R"
    + sg("argparse", "Namespace")
    + b"\x85R",
    "bytes": sg("builtins", "bytes") + b"K\x05\x85R",
    "subclass in array": ARRAY,
    "rebuild": sg("torch._tensor", "_rebuild_from_type_v2")
    + b"("
    + sg("torch._utils", "_rebuild_tensor_v2")
    + sg("torch", "Tensor")
    + b"))t"
    + b"R",
}


@pytest.mark.parametrize("what", HARMLESS)
def test_what_libraries_write_is_not_told(what: str) -> None:
    assert {key for key in seen(HARMLESS[what]) if not key.startswith("pickle-unreviewed-import")} == set()


EVIL = P3 + c("os", "system") + u("true") + b"\x85R."
ENCODED = {
    "b64decode": sg("base64", "b64decode") + b(base64.b64encode(EVIL)),
    "b64decode text": sg("base64", "b64decode") + u(base64.b64encode(EVIL).decode()),
    "b85decode": sg("base64", "b85decode") + b(base64.b85encode(EVIL)),
    "unhexlify": sg("binascii", "unhexlify") + b(EVIL.hex().encode()),
    "zlib": sg("zlib", "decompress") + b(zlib.compress(EVIL)),
    "gzip": sg("gzip", "decompress") + b(gzip.compress(EVIL)),
    "bz2": sg("bz2", "decompress") + b(bz2.compress(EVIL)),
    "lzma": sg("lzma", "decompress") + b(lzma.compress(EVIL)),
    "codecs": sg("codecs", "decode") + b(base64.b64encode(EVIL)) + u("base64"),
    "latin1": sg("_codecs", "encode") + u(EVIL.decode("latin1")) + u("latin1"),
    "bytesio": sg("io", "BytesIO") + b(EVIL),
    "escapes": sg("codecs", "escape_decode") + b("".join(f"\\x{each:02x}" for each in EVIL).encode()),
}


@pytest.mark.parametrize("how", ENCODED)
def test_bytes_are_followed_through_decoders(how: str) -> None:
    two = b"\x86R" if how in {"codecs", "latin1"} else b"\x85R"
    found = [
        each
        for each in yielded(pickle_stream, P4 + sg("pickle", "loads") + ENCODED[how] + two + b"\x85R.")
        if isinstance(each, Evidence)
    ]
    assert [each.location.member[0][:7] for each in found if each.symbol == "os.system"] == ["<bytes@"]


@pytest.mark.parametrize("how", ["zlib", "bz2", "lzma", "unhexlify"])
def test_bytes_that_do_not_decode_are_no_error(how: str) -> None:
    call = ENCODED[how]
    broken = call[: call.index(b"B")] + b(b"not encoded")
    found = list(yielded(pickle_stream, P4 + broken + b"\x85R."))
    assert not [each for each in found if isinstance(each, Notification)]


def test_a_bomb_in_an_operand_is_bounded() -> None:
    bomb = zlib.compress(bytes(100_000_000))
    found = seen(sg("pickle", "loads") + sg("zlib", "decompress") + b(bomb) + b"\x85R\x85R")
    assert "pickle-call pickle.loads" in found


def test_calls_in_calls_are_bounded() -> None:
    deep = sg("functools", "partial") * 200 + sg("builtins", "len") + b"\x85R" * 200 + b")R"
    wide = b"](" + b"](K\x01K\x02e" * 200 + b"e"
    maps = sg("builtins", "map") + sg("functools", "partial") + sg("builtins", "map") + sg("builtins", "map")
    assert list(yielded(pickle_stream, P4 + deep + b"."))
    list(yielded(pickle_stream, P4 + maps + b"\x86R" + wide + b"\x86R."))


DTYPE = sg("numpy", "dtype")


def state(code: str, flags: int, fields: bytes = b"NN", size: int = 8) -> bytes:
    """Make a dtype with its state: names and fields as opcodes."""
    made = DTYPE + u(code) + b"\x89\x88\x87R"
    return (
        made + b"(K\x03" + u("|") + b"N" + fields + b"K" + bytes([size]) + b"K\x01K" + bytes([flags]) + b"tb"
    )


def field(code: str, offset: int) -> bytes:
    """Make a field's description."""
    return DTYPE + u(code) + b"\x89\x88\x87RK" + bytes([offset]) + b"\x86"


NAMES = u("a") + u("b") + b"\x86"


@pytest.mark.parametrize(
    ("made", "forged"),
    [
        (state("O8", 63), False),
        (state("O8", 62), True),
        (state("f8", 0), False),
        (
            state("V16", 27, NAMES + b"}(" + u("a") + field("O8", 0) + u("b") + field("f8", 8) + b"u", 16),
            False,
        ),
        (
            state("V16", 26, NAMES + b"}(" + u("a") + field("O8", 0) + u("b") + field("f8", 8) + b"u", 16),
            True,
        ),
        (state("V8", 27, NAMES + b"}(" + u("a") + field("O8", 0) + u("b") + field("f8", 0) + b"u"), True),
        (state("V8", 16, NAMES + b"}(" + u("a") + field("f4", 0) + u("b") + field("f4", 4) + b"u"), False),
    ],
)
def test_forged_dtypes(made: bytes, forged: bool) -> None:
    assert any(key.startswith("pickle-numpy-state") for key in seen(made)) == forged


@pytest.mark.parametrize("code", ["f8", "O8"])
def test_raw_bytes_for_objects(code: str) -> None:
    array = ARRAY + b"(K\x01K\x01\x85" + DTYPE + u(code) + b"\x89\x88\x87R\x89" + b(bytes(8)) + b"tb"
    assert any(key.startswith("pickle-numpy-state") for key in seen(array)) == (code == "O8")


@pytest.mark.parametrize(
    "text", [TEMPLATE, TEMPLATE.replace("loc=0", "a, b, loc=0").replace("()", "(a, b, )")]
)
def test_scipys_own_templates_pass(text: str) -> None:
    norm = sg("scipy.stats._continuous_distns", "norm_gen") + b")\x81}" + u("_parse_arg_template")
    assert seen(norm + u(text) + b"sb") == {}
    assert seen(norm + u(text.replace("loc", "print()", 1)) + b"sb") != {}


@pytest.mark.parametrize(
    ("formula", "fine"),
    [
        ("y ~ x + C(z)*w", True),
        ("a:b", True),
        ("y ~ f(x)", False),
        ("y ~ C(x.y())", False),
        ("y ~ I(__import__)", True),
    ],
)
def test_formulas(formula: str, fine: bool) -> None:
    made = (
        sg("statsmodels.base.data", "ModelData")
        + b")\x81}("
        + u("restore_design_info")
        + b"\x88"
        + u("formula")
    )
    assert (seen(made + u(formula) + b"ub") == {}) == fine


def test_joblib_arrays_of_objects_hold_a_pickle() -> None:
    wrapper = joblib_array(b".").replace(u("f8"), u("O8"))
    cut = wrapper.index(b"\x03\xff\xff\xff")
    evil = wrapper[:cut] + EVIL + b"."
    kinds = [each.kind for each in yielded(pickle_stream, evil) if isinstance(each, Evidence)]
    assert kinds == ["pickle-call"]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [(u("f8"), u("qq"), "joblib-array"), (b"\x03\xff\xff\xff", b"\x03\xffA\xff", "joblib-array")],
)
def test_joblib_arrays_that_are_odd(old: bytes, new: bytes, kind: str) -> None:
    found = list(yielded(pickle_stream, joblib_array(b".").replace(old, new)))
    assert kind in {each.kind for each in found if isinstance(each, Evidence)}


def test_a_persistent_class_of_torch_is_that_class() -> None:
    made = b"(" + u("module") + sg("argparse", "Namespace") + u("f.py") + u("class X: pass") + b"tQ)\x81"
    assert seen(made) == {}


def test_frames_in_frames_and_late_protocols_are_told() -> None:
    inner = b"\x95" + struct.pack("<Q", 1) + b"N"
    assert "pickle-frame nested" in seen(framed(inner + b"0")[2:] + b"N")
    assert "pickle-protocol unknown" in seen(b"\x80\x07N")
