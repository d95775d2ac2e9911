"""The knowledge against a survey of the globals of public model files, where that is at hand."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from supplyguard.pickles.knowledge import Effect, load_knowledge

SURVEY = Path(__file__).parents[3] / "shared" / "design" / "benign-globals.csv"
SURVEY_EFFECTS = {
    "safe-to-call": Effect.INERT,
    "safe-only-as-type": Effect.TYPE,
    "unknown: runs library __setstate__": Effect.SETSTATE,
    "conditional: inspect arguments": Effect.CONDITIONAL,
    "dangerous-but-common: executes embedded code": Effect.EMBEDS_CODE,
    "unknown: module resolved from path": Effect.LOCAL,
}

DIFFERENCES = {
    # what the survey calls safe to call, with a bound on sizes: here the bound is a condition
    "* size": r"torch(\.\w+)*:\w*(Storage|Tensor)|numpy:(identity|ones|zeros)"
    r"|(builtins|__builtin__):(bytearray|bytes)",
    # safe for array types, for a plain dtype, for an iterable without lazy calls
    "* numpy-reconstruct": r"numpy\.(_core|core)\.multiarray:_reconstruct",
    "* array-buffer": r"numpy\.(_core|core)\.multiarray:_frombuffer",
    "* array-state": r"numpy\.(_core|core)\.multiarray:ndarray",
    "* lazy-iterator": r"itertools:product|statistics:mean",
    # numpy.memmap.__new__ opens and creates files, and NEWOBJ calls it
    "* stored-only": r"numpy:memmap",
    # NEWOBJ gives a weak reference its callback, and a metaclass the parts of a class
    "* callable-operand": r"weakref:ref|dill\._dill:_create_weakref",
    "* type-builder": r"accelerate\.utils\.dataclasses:EnumWithContains",
    "loader": r"lightning\..*:_(LazyLoading|Redirecting)Unpickler",
    # a class with __del__, or whose __setstate__ does more than fill attributes
    "setstate": r"scipy\.spatial\.(_qhull|qhull):Delaunay"
    r"|torch\.distributed\._shard\.sharded_tensor\.api:ShardedTensor"
    r"|lightning_fabric\.utilities\.data:AttributeDict|lightning\..*:(Tqdm|DeepSpeedLayerSummary)",
    # read in statsmodels 0.15: ResultsWrapper.__setstate__ only updates __dict__; types of dataclasses.
    # Functions of arrays: files keep them; a call on an object whose state sets __array_interface__
    # reads memory at an address of the state's choice
    "type": r"statsmodels\..*:\w+ResultsWrapper|dataclasses:(_HAS_DEFAULT_FACTORY_CLASS|_KW_ONLY_TYPE)"
    r"|numpy(\.(_core|core)\.\w+)?:[a-z]\w+|sklearn\.[\w.]+:[a-z_]\w+|scipy\.(special|_lib)\.[\w.]+:\w+",
    "inert": r"types:ModuleType|dataclasses:FrozenInstanceError",
    # reach further than the code in the pickle
    "accessor": r"builtins:setattr",
    "evaluates": r"collections:namedtuple",
}
"""Where the knowledge departs from the survey, by the verdict given here, and why."""


CALLED_BY_HONEST_FILES = {
    "enumeration: looks a member up by value",
    "an exception object",
    "a generator: its operand seeds it",
    "a loss function of an extension module: numbers only",
    "a device or size",
    "a parameter without data yet",
    "an interval, period or dtype from values",
    "puts blocks and axes together",
    "a date offset: its constructor only checks numbers",
}
"""Classes that pickle writes as calls; their constructors were read."""


@pytest.mark.skipif(not SURVEY.exists(), reason="the survey of public files is not in this checkout")
def test_the_survey_agrees_but_for_listed_differences() -> None:
    knowledge = load_knowledge()
    unexplained = []
    for pair, expected in surveyed():
        judged = knowledge.judge(*pair.split(":"))
        given = judged.effect.value if not judged.condition else f"* {judged.condition}"
        called = judged.effect is Effect.INERT and judged.reason in CALLED_BY_HONEST_FILES
        if judged.effect is expected or called:
            continue
        if not re.fullmatch(DIFFERENCES.get(given, "-"), pair):
            unexplained.append((pair, expected.value, given))
    assert unexplained == []


def surveyed() -> Iterator[tuple[str, Effect]]:
    with SURVEY.open(encoding="utf-8", newline="") as text:
        for line in csv.DictReader(text):
            pair = line["global"].replace("[A-Z]*", "Zq").replace("*", "Zq")
            yield pair, SURVEY_EFFECTS[line["verdict"]]
