"""The knowledge files as a whole: form, order, completeness."""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from supplyguard.pickles.knowledge import DANGEROUS, Condition, Effect, Knowledge, load_knowledge
from supplyguard.pickles.knowledge_format import SUBTREE, Row, read_rows, read_table
from supplyguard.resources import rules_folder

FOLDER = rules_folder() / "knowledge"
FILES = [
    FOLDER / "standard_library.csv",
    FOLDER / "patterns.csv",
    *sorted((FOLDER / "globals").glob("*.csv")),
]
ALARMING = DANGEROUS | {Effect.EMBEDS_CODE}


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


@pytest.fixture(scope="module")
def rows() -> dict[Path, list[Row]]:
    return {file: list(read_rows(file)) for file in FILES}


def effect(knowledge: Knowledge, pair: str) -> Effect:
    return knowledge.judge(*pair.split(":")).effect


# --- the data ---------------------------------------------------------------------------------


def test_no_global_is_listed_twice(rows: dict[Path, list[Row]]) -> None:
    pairs = Counter((row.module, row.name) for listed in rows.values() for row in listed)
    assert [pair for pair, times in pairs.items() if times > 1] == []


@pytest.mark.parametrize(
    "file",
    [*FILES, *(FOLDER / name for name in ("aliases.csv", "attributes.csv", "python2_names.csv"))],
    ids=lambda file: file.name,
)
def test_rows_are_sorted(file: Path) -> None:
    with file.open(encoding="utf-8", newline="") as text:
        _, *lines = csv.reader(text)
    assert lines == sorted(lines)
    assert lines


def test_exact_rows_lie_in_the_file_of_their_top_level_module(rows: dict[Path, list[Row]]) -> None:
    astray = [
        (file.name, row.module, row.name)
        for file, listed in rows.items()
        if file.parent.name == "globals"
        for row in listed
        if not row.exact or row.module.partition(".")[0] != file.stem
    ]
    assert astray == []


def test_file_names_differ_by_more_than_case() -> None:
    assert max(Counter(file.name.lower() for file in FILES).values()) == 1


def test_pattern_files_hold_patterns_only(rows: dict[Path, list[Row]]) -> None:
    assert [row for file in FILES[:2] for row in rows[file] if row.exact] == []


def test_every_row_says_why(rows: dict[Path, list[Row]]) -> None:
    assert [row for listed in rows.values() for row in listed if len(row.reason) < 4] == []


def test_no_module_is_clean_as_a_whole(rows: dict[Path, list[Row]]) -> None:
    """A library can re-export anything, so only single names and families of classes are harmless."""
    harmless = {Effect.INERT, Effect.TYPE, Effect.SETSTATE, Effect.CONDITIONAL}
    clean = [row.module for listed in rows.values() for row in listed if row.whole and row.effect in harmless]
    assert clean == ["__torch__.**"]  # no Python module: a namespace of TorchScript's own reader


def test_every_effect_and_condition_is_used(rows: dict[Path, list[Row]]) -> None:
    listed = [row for each in rows.values() for row in each]
    computed = {Effect.UNKNOWN, Effect.UNKNOWN_MODULE}
    assert {row.effect for row in listed} == set(Effect) - computed
    assert {row.condition for row in listed} == {"", *Condition}


def test_the_documentation_names_every_effect_and_condition() -> None:
    text = (Path(__file__).parents[2] / "docs" / "knowledge.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([a-z-]+)` \|", text, flags=re.MULTILINE)
    assert sorted(named) == sorted([*Effect, *Condition])


def test_every_row_decides_its_own_global(knowledge: Knowledge, rows: dict[Path, list[Row]]) -> None:
    """No row is shadowed: an exact row by an alias or a family, a family by another pattern."""
    shadowed = []
    for listed in rows.values():
        for row in listed:
            module, name = sample(row)
            judged = knowledge.judge(module, name)
            if (judged.effect, judged.condition, judged.reason) != (row.effect, row.condition, row.reason):
                shadowed.append((row.module, row.name, module, name, judged))
    assert shadowed == []


def sample(row: Row) -> tuple[str, str]:
    """Make a global that the row stands for, and no exact row names."""
    if row.exact:
        return row.module, row.name
    module = row.module.removesuffix(SUBTREE)
    name = "NotListedAnywhere" if row.name == "*" else row.name
    return re.sub(r"\*", "zq", module), re.sub(r"\[A-Z\]", "Z", name).replace("*", "Zq")


def test_aliases_lead_to_present_names_in_one_step() -> None:
    table = {
        old: new for _, (old, new, _) in read_table(FOLDER / "aliases.csv", ["module", "target", "reason"])
    }
    assert not [new for new in table.values() for old in table if new == old or new.startswith(f"{old}.")]


def test_python2_names_are_those_of_the_unpickler(knowledge: Knowledge) -> None:
    compat = pytest.importorskip("_compat_pickle")
    for module, target in compat.IMPORT_MAPPING.items():
        assert knowledge.python3_global(module, "anything") == (target, "anything")
    for pair, target in compat.NAME_MAPPING.items():
        assert knowledge.python3_global(*pair) == target
    assert knowledge.python3_global("collections", "OrderedDict") == ("collections", "OrderedDict")


# --- the standard library ---------------------------------------------------------------------


def test_every_standard_module_has_a_verdict(knowledge: Knowledge) -> None:
    silent = {
        module
        for module in sys.stdlib_module_names
        if effect(knowledge, f"{module}:some_name") not in {Effect.UNKNOWN_STDLIB, *DANGEROUS}
    }
    assert silent == set()


PYTHON2 = """
__builtin__ anydbm BaseHTTPServer Bastion CGIHTTPServer ConfigParser Cookie HTMLParser Queue
SimpleHTTPServer SocketServer StringIO Tkinter UserDict cPickle cStringIO commands compiler copy_reg
dl exceptions hotshot httplib ihooks imputil md5 mimetools new popen2 rexec rfc822 sets sha thread
urllib2 urlparse user xmlrpclib
"""


@pytest.mark.parametrize("module", PYTHON2.split())
def test_python2_modules_have_a_verdict(knowledge: Knowledge, module: str) -> None:
    judged = knowledge.judge(module, "some_name")
    assert judged.effect in {Effect.UNKNOWN_STDLIB, *DANGEROUS}
    assert judged.library == "python"


HARMLESS = """
argparse:Namespace array:array builtins:ValueError builtins:set builtins:slice collections:Counter
collections:OrderedDict datetime:date datetime:datetime datetime:timedelta datetime:timezone
decimal:Decimal ipaddress:IPv4Address operator:add pathlib:PosixPath pathlib:PurePosixPath
posixpath:join re:_compile time:struct_time types:SimpleNamespace builtins:object random:Random
uuid:UUID typing:Optional collections.abc:Mapping enum:Enum torch:float32 torch:device torch:Tensor
torch._utils:_rebuild_tensor_v2 torch._utils:_rebuild_parameter torch.nn.modules.linear:Linear
torch.nn.parameter:Parameter torch.optim.adam:Adam numpy:float64 numpy._core.multiarray:scalar
numpy.core.multiarray:scalar sklearn.linear_model._logistic:LogisticRegression
pandas.core.frame:DataFrame scipy.sparse._csr:csr_matrix xgboost.sklearn:XGBClassifier
transformers.training_args:TrainingArguments transformers.models.bert.configuration_bert:BertConfig
omegaconf.dictconfig:DictConfig pytorch_lightning.callbacks.early_stopping:EarlyStopping
cStringIO:StringIO exceptions:KeyError __builtin__:set copy_reg:__newobj__ __builtin__:long
"""


@pytest.mark.parametrize("pair", HARMLESS.split())
def test_what_ordinary_files_hold_is_harmless(knowledge: Knowledge, pair: str) -> None:
    assert effect(knowledge, pair) in {Effect.INERT, Effect.TYPE, Effect.CONDITIONAL}


CONDITIONS = {
    "_codecs:encode": Condition.CODECS_ENCODE,
    "copy_reg:_reconstructor": Condition.RECONSTRUCTOR,
    "copyreg:_reconstructor": Condition.RECONSTRUCTOR,
    "__builtin__:getattr": Condition.GETATTR,
    "functools:partial": Condition.CALLABLE_OPERAND,
    "collections:defaultdict": Condition.CALLABLE_OPERAND,
    "builtins:list": Condition.LAZY_ITERATOR,
    "builtins:bytearray": Condition.SIZE,
    "numpy:dtype": Condition.DTYPE,
    "numpy.core.multiarray:_reconstruct": Condition.NUMPY_RECONSTRUCT,
    "numpy.random._pickle:__generator_ctor": Condition.RANDOM_CONSTRUCTOR,
    "torch._tensor:_rebuild_from_type_v2": Condition.REBUILD_FROM_TYPE,
    "torch.tensor:_rebuild_from_type_v2": Condition.REBUILD_FROM_TYPE,
    "torch.storage:_load_from_bytes": Condition.NESTED_BYTES,
    "io:BytesIO": Condition.NESTED_BYTES,
    "joblib.numpy_pickle:NDArrayWrapper": Condition.COMPANION_FILE,
    "sklearn.externals.joblib.numpy_pickle:NDArrayWrapper": Condition.COMPANION_FILE,
    "scipy.stats._continuous_distns:norm_gen": Condition.SCIPY_TEMPLATE,
    "statsmodels.base.data:ModelData": Condition.FORMULA,
    "operator:attrgetter": Condition.STORED_ONLY,
}


@pytest.mark.parametrize(("pair", "condition"), CONDITIONS.items())
def test_conditional_globals_name_their_condition(
    knowledge: Knowledge, pair: str, condition: Condition
) -> None:
    judged = knowledge.judge(*pair.split(":"))
    assert (judged.effect, judged.condition) == (Effect.CONDITIONAL, condition)


# --- what is dangerous ------------------------------------------------------------------------

WHOLE_MODULES = """
os posix nt subprocess _posixsubprocess popen2 commands pty _winapi msvcrt concurrent.futures
asyncio distutils.spawn setuptools distutils _osx_support _aix_support _pyrepl pydoc webbrowser
antigravity ensurepip pip venv virtualenv zipapp test _testcapi unittest pytest nose idlelib
turtledemo lib2to3 smtpd cgitb torch.utils.collect_env torch.utils.bottleneck torch._inductor
torch._dynamo triton numba.pycc numpy.distutils git sh plumbum invoke fabric pexpect code codeop bdb
pdb profile cProfile _lsprof timeit trace doctest runpy rlcompleter annotationlib numpy.testing
numpy.testing._private.utils numpy.f2py pandas.core.computation sympy.parsing
sympy.utilities.lambdify sympy.external patsy formulaic statsmodels.formula torch.fx.graph_module
torch.fx._symbolic_trace torch.package torch._export jinja2.environment mako tornado.template
IPython nltk.internals py_compile compileall js2py execjs lupa RestrictedPython importlib
_frozen_importlib _frozen_importlib_external imp _imp zipimport pkgutil pkg_resources modulefinder
site transformers.dynamic_module_utils transformers.utils.import_utils pickle _pickle cPickle shelve
dbm marshal numpy.lib.npyio numpy.lib._npyio_impl numpy.lib._datasource numpy.ctypeslib torch.hub
torch.distributed.rpc torch.utils.data.datapipes ruamel.yaml jsonpickle hickle klepto mlflow.pyfunc
huggingface_hub plistlib xml.dom lxml.etree gc sys _xxsubinterpreters _interpreters tracemalloc
copyreg copy_reg shutil tempfile fileinput glob linecache filecmp zipfile tarfile logging.handlers
logging.config distutils.file_util distutils.dir_util mmap fcntl sqlite3 socket _socket ssl http
httplib urllib urllib2 urllib3 ftplib telnetlib smtplib poplib imaplib nntplib xmlrpc xmlrpclib
socketserver asyncore requests httpx aiohttp websocket websockets paramiko boto3 botocore
google.cloud azure grpc dns scapy wget gdown fsspec smart_open ctypes _ctypes cffi _cffi_backend
torch.utils.cpp_extension pycuda atexit signal sched faulthandler supplyguard picklescan modelscan
fickling modelaudit supplyguard.pickles.knowledge fickling.fickle
"""
"""Modules of which every name is dangerous but for the harmless ones that are listed one by one."""


@pytest.mark.parametrize("module", WHOLE_MODULES.split())
def test_every_other_name_of_a_dangerous_module_is_dangerous(knowledge: Knowledge, module: str) -> None:
    assert effect(knowledge, f"{module}:some_name") in DANGEROUS
    assert effect(knowledge, f"{module}:SomeClass.method") in DANGEROUS
    if "." not in module:
        assert effect(knowledge, f"{module}.some_submodule:some_name") in DANGEROUS


BY_NAME = {
    "process": """
        platform:popen platform:_syscmd_ver multiprocessing:Process multiprocessing:Pool
        multiprocessing.util:spawnv_passfds multiprocessing.popen_fork:Popen
        uuid:_get_command_stdout uuid:_popen uuid:_load_system_functions imaplib:IMAP4_stream
    """,
    "evaluates": """
        builtins:eval builtins:exec __builtin__:execfile builtins:compile builtins:__import__
        builtins:breakpoint builtins:input __builtin__:raw_input __builtin__:apply builtins:help
        types:CodeType types:FunctionType types:LambdaType typing:ForwardRef typing:_eval_type
        typing:get_type_hints pandas:eval pandas:DataFrame.eval pandas:DataFrame.query
        numexpr:evaluate numexpr:validate numexpr:re_evaluate sympy:sympify sympy:S sympy:parse_expr
        sympy:lambdify torch.fx.experimental.symbolic_shapes:ShapeEnv.evaluate_guards_expression
        torch.jit:compile torch.jit:script torch.jit:load
        torch.jit.unsupported_tensor_ops:execWrapper torch.jit.annotations:get_signature
        keras.src.utils.python_utils:func_load tensorflow.python.keras.utils.generic_utils:func_load
        jinja2:Template jinja2:Environment joblib._utils:eval_expr
    """,
    "imports": """
        cloudpickle.cloudpickle:subimport dill._dill:_import_module hydra.utils:instantiate
        hydra.utils:call hydra.utils:get_method hydra.utils:get_class hydra.utils:get_object
        sentence_transformers.util:import_from_string pkgutil:resolve_name pydoc:locate
    """,
    "loader": """
        dill:load dill:loads dill:Unpickler cloudpickle:load cloudpickle:loads joblib:load
        numpy:load numpy:fromfile numpy:genfromtxt numpy:loadtxt numpy:DataSource pandas:read_pickle
        pandas:read_csv torch:load torch.serialization:load torch.export:load
        torch.distributed.checkpoint:load
        torch.distributed.checkpoint.state_dict_loader:load_state_dict
        torch.utils._config_module:ConfigModule.load_config tensorflow.saved_model:load
        tensorflow:load_op_library tensorflow:load_library tensorflow:py_function
        tensorflow:numpy_function yaml:load yaml:unsafe_load yaml:full_load yaml:UnsafeLoader
        sklearn.externals.joblib:load mlflow.sklearn:load_model skops.io:load onnx:load
        xgboost.core:Booster.load_model transformers.modeling_utils:PreTrainedModel.from_pretrained
        peft.peft_model:PeftModel.from_pretrained
        diffusers.pipelines.pipeline_utils:DiffusionPipeline.from_pretrained datasets:load_dataset
        xml.etree.ElementTree:parse keras:load_model keras.models:load_model keras.saving:load_model
        keras.saving:deserialize_keras_object keras.models:model_from_json keras.utils:get_file
        keras.config:enable_unsafe_deserialization
    """,
    "accessor": """
        builtins:setattr builtins:delattr builtins:globals builtins:locals builtins:vars
        builtins:dir operator:call functools:reduce __builtin__:reduce functools:partialmethod
        functools:cached_property functools:singledispatch inspect:getattr_static inspect:getmembers
        types:DynamicClassAttribute types:coroutine weakref:finalize copyreg:add_extension
        copyreg:pickle operator:setitem copy:deepcopy
    """,
    "files": """
        builtins:open __builtin__:file io:open _io:open io:open_code io:FileIO codecs:open gzip:open
        bz2:open lzma:open pathlib:Path.write_text pathlib:Path.unlink pathlib:PosixPath.unlink
        logging:FileHandler logging:basicConfig PIL.Image:open h5py:File torch:save numpy:save
        numpy:savez joblib:dump pickle:dump matplotlib.figure:Figure.savefig
        matplotlib.pyplot:savefig
    """,
    "native": """
        torch.ops:load_library torch.classes:load_library cupy:RawModule cupy:RawKernel
    """,
    "defers": """
        threading:Thread threading:Timer _thread:start_new_thread thread:start_new_thread
        sys:settrace sys:setprofile sys:addaudithook builtins:__build_class__
    """,
    "tampers": """
        logging:disable warnings:filterwarnings
    """,
}
"""Dangerous globals by what they are dangerous for; the effect may be another dangerous one."""


@pytest.mark.parametrize("pair", " ".join(BY_NAME.values()).split())
def test_dangerous_names(knowledge: Knowledge, pair: str) -> None:
    assert effect(knowledge, pair) in ALARMING


@pytest.mark.parametrize("scanner", ["supplyguard", "picklescan", "modelscan", "fickling", "modelaudit"])
def test_scanners_are_guarded(knowledge: Knowledge, scanner: str) -> None:
    for pair in (f"{scanner}:main", f"{scanner}.scan.deep:Class.method"):
        assert effect(knowledge, pair) is Effect.TAMPERS
