"""`__setstate__` methods of libraries that do more with a state than keep it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from supplyguard.pickles.context import Context, show
from supplyguard.pickles.knowledge import Condition
from supplyguard.pickles.numpy_state import array_problem, dtype_problem, is_dtype
from supplyguard.pickles.values import Global, Instance, Value

_NAMES: Final = r"(?:[A-Za-z_][A-Za-z0-9_]*\s*,\s*)*"
_SCIPY_TEMPLATE: Final = re.compile(
    rf"\s*def _parse_args\(self,\s*(?P<signature>{_NAMES})loc=0, scale=1\):"
    rf"\s+return \((?P<shapes>{_NAMES})\), loc, scale"
    rf"\s+def _parse_args_rvs\(self,\s*{_NAMES}loc=0, scale=1, size=None\):"
    rf"\s+return self\._argcheck_rvs\(\s*{_NAMES}loc, scale, size=size\)"
    rf"\s+def _parse_args_stats\(self,\s*{_NAMES}loc=0, scale=1, moments='mv'\):"
    rf"\s+return \({_NAMES}\), loc, scale, moments\s*"
)
"""The text that scipy's distributions execute (`_construct_argparser` in scipy.stats), in whole.

Discrete distributions write `loc=0` and `loc, 1`.
"""
_SCIPY_DISCRETE: Final = re.compile(
    rf"\s*def _parse_args\(self,\s*{_NAMES}loc=0\):"
    rf"\s+return \({_NAMES}\), loc, 1"
    rf"\s+def _parse_args_rvs\(self,\s*{_NAMES}loc=0, size=None\):"
    rf"\s+return self\._argcheck_rvs\(\s*{_NAMES}loc, 1, size=size\)"
    rf"\s+def _parse_args_stats\(self,\s*{_NAMES}loc=0, moments='mv'\):"
    rf"\s+return \({_NAMES}\), loc, 1, moments\s*"
)
_FORMULA_TERM: Final = r"(?:[CQI]\(\s*[\"']?[A-Za-z_][\w.]*[\"']?\s*\)|[A-Za-z_][\w.]*|\d+(?:\.\d+)?)"
_FORMULA: Final = re.compile(rf"[\s()]*{_FORMULA_TERM}(?:[\s()]*[-+*/:~|]+[\s()]*{_FORMULA_TERM})*[\s()]*")
MAX_TEMPLATE: Final = 10_000


def check(context: Context, target: Instance, state: Value, offset: int) -> None:
    """Apply what is known of the state of the target's type."""
    callee = target.callee
    if not isinstance(callee, Global):
        return
    if is_dtype(target):
        probe = Instance(callee, target.arguments, offset, states=[state])
        _note(context, "pickle-numpy-state", target, dtype_problem(context, probe, raw=False), offset)
        return
    rule = _RULES.get(callee.judgement.condition)
    if rule is not None:
        rule(context, target, state, offset)


def _note(context: Context, kind: str, target: Instance, problem: str, offset: int) -> None:
    if problem:
        context.record.add(kind, f"{show(target)}: {problem}", offset, target=show(target), problem=problem)


def _array(context: Context, target: Instance, state: Value, offset: int) -> None:
    _note(context, "pickle-numpy-state", target, array_problem(context, state), offset)


def _scipy(context: Context, target: Instance, state: Value, offset: int) -> None:
    for key, value in context.pairs(state) or []:
        if key == "_parse_arg_template":
            text = context.text(value)
            known = text is not None and len(text) <= MAX_TEMPLATE and _is_template(text)
            problem = "" if known else "the text that it executes is not scipy's own"
            _note(context, "pickle-scipy-template", target, problem, offset)


def _is_template(text: str) -> bool:
    return bool(_SCIPY_TEMPLATE.fullmatch(text) or _SCIPY_DISCRETE.fullmatch(text))


def _statsmodels(context: Context, target: Instance, state: Value, offset: int) -> None:
    attributes = {key: value for key, value in context.pairs(state) or [] if isinstance(key, str)}
    if not (attributes.get("restore_design_info") or attributes.get("restore_model_spec")):
        return
    formula = context.text(attributes.get("formula"))
    fine = formula is not None and len(formula) <= MAX_TEMPLATE and _FORMULA.fullmatch(formula)
    problem = "" if fine else f"the formula that it evaluates is {show(attributes.get('formula'))}"
    _note(context, "pickle-formula", target, problem, offset)


def _companion(context: Context, target: Instance, state: Value, offset: int) -> None:
    """Check the file name of joblib's old array wrappers, which load a file beside the pickle."""
    for key, value in context.pairs(state) or []:
        if key == "filename":
            name = context.text(value)
            plain = name is not None and not re.search(r"[/\\:\0]", name) and name not in {"", ".", ".."}
            context.record.add(
                "joblib-companion", show(value), offset, target=show(target), name=show(value), plain=plain
            )


_RULES: Final[dict[str, Callable[[Context, Instance, Value, int], None]]] = {
    Condition.ARRAY_STATE: _array,
    Condition.NUMPY_RECONSTRUCT: _array,
    Condition.SCIPY_TEMPLATE: _scipy,
    Condition.FORMULA: _statsmodels,
    Condition.COMPANION_FILE: _companion,
}
