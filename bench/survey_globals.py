"""Survey the classes of an installed library for rules/knowledge: which hooks run when a pickle builds one.

    python bench/survey_globals.py LIBRARY [--under PREFIX] [--rows]

Run it in an environment that has the library, never on one you do not trust: it imports every
module of it. For each class that the library defines it looks, base by base, for what an unpickler
can reach with data of the pickle: `__new__` (NEWOBJ), `__setstate__` and `__setattr__` (BUILD),
`__getattr__` and `__getattribute__` (the lookup of `__setstate__`), `__setitem__`, `append`,
`extend`, `add` (SETITEMS, APPENDS, ADDITEMS) and `__del__`. A class without such hooks, or with
reviewed ones only, may be listed as `type`; the others are printed with their hooks to be read.
With --rows the plain classes that the knowledge does not list yet are printed as rows.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import enum
import importlib
import io
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

HOOKS: Final = (
    "__new__",
    "__setstate__",
    "__setattr__",
    "__getattr__",
    "__getattribute__",
    "__setitem__",
    "append",
    "extend",
    "add",
    "__del__",
)
PLAIN: Final = {object, dict, list, set, frozenset, tuple, int, float, complex, str, bytes, bytearray}
"""Built-in types whose hooks only fill the object itself."""
REVIEWED: Final = {
    # torch 2.13: fills __dict__, sets defaults; attribute access walks the module's own dictionaries
    "torch.nn.modules.module.Module": {"__setstate__", "__setattr__", "__getattr__"},
    "torch.optim.optimizer.Optimizer": {"__setstate__"},
    "torch.nn.modules.container.Sequential": {"__setitem__", "append", "extend"},
    "torch.nn.modules.container.ModuleList": {"__setitem__", "append", "extend"},
    "torch.nn.modules.container.ModuleDict": {"__setitem__"},
    "torch.nn.modules.container.ParameterList": {"__setitem__", "append", "extend"},
    "torch.nn.modules.container.ParameterDict": {"__setitem__"},
    # scikit-learn 1.9: warns about the version, fills __dict__
    "sklearn.base.BaseEstimator": {"__setstate__"},
    "sklearn.utils._bunch.Bunch": {"__setstate__", "__setattr__", "__getattr__"},
    "enum.Enum": {"__new__", "__setattr__"},
    "typing.Generic": {"__new__"},
    "typing.Protocol": {"__new__"},
    "collections.UserDict": {"__setitem__"},
    "collections.UserList": {"__setitem__", "append", "extend"},
    "collections.OrderedDict": {"__setitem__"},
    "collections.Counter": {"__setitem__"},
    "torchmetrics.metric.Metric": {"__setstate__", "__setattr__"},
}
"""Hooks read and found to set attributes of the object only."""
KNOWLEDGE: Final = Path(__file__).resolve().parents[1] / "rules" / "knowledge" / "globals"


def main() -> None:
    """Print the survey of one library."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("library", help="top-level module")
    parser.add_argument("--under", default="", help="only modules of this prefix")
    parser.add_argument("--rows", action="store_true", help="print rows for plain classes not listed yet")
    arguments = parser.parse_args()
    listed = listed_globals(arguments.library)
    classes = dict(
        sorted(dict(library_classes(arguments.library, arguments.under)).items(), key=lambda item: item[0])
    )
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for (module, name), found in classes.items():
        hooks = open_hooks(found)
        effect = listed.get((module, name))
        if arguments.rows and not hooks and effect is None:
            writer.writerow((module, name, "type", "", "attribute object"))
        elif not arguments.rows and hooks and effect in {None, "type", "inert"}:
            sys.stdout.write(f"{effect or 'unlisted':9} {module}:{name} {' '.join(hooks)}\n")
    absent = sorted(pair for pair in listed if pair[0].startswith(arguments.under) and pair not in classes)
    sys.stderr.write(f"{len(classes)} classes; {len(absent)} listed globals are no class of this version\n")


def listed_globals(library: str) -> dict[tuple[str, str], str]:
    """Read what the knowledge says of the library: effects by module and name."""
    file = KNOWLEDGE / f"{library}.csv"
    if not file.exists():
        return {}
    with file.open(encoding="utf-8", newline="") as text:
        return {(row["module"], row["name"]): row["effect"] for row in csv.DictReader(text)}


def library_classes(library: str, under: str) -> Iterator[tuple[tuple[str, str], type]]:
    """Yield ((module, qualified name), class) for every class that the library's modules define."""
    for module in library_modules(library, under):
        for value in list(vars(module).values()):
            if isinstance(value, type) and str(value.__module__).startswith(f"{library}"):
                place = (value.__module__, value.__qualname__)
                if place[0].startswith(under) and "<locals>" not in place[1]:
                    yield place, value


def library_modules(library: str, under: str) -> Iterator[ModuleType]:
    """Import and yield the modules of a library; those that cannot be imported are named on stderr."""
    root = importlib.import_module(library)
    yield root
    for found in pkgutil.walk_packages(getattr(root, "__path__", []), f"{library}.", onerror=lambda _: None):
        if not (found.name.startswith(under) or under.startswith(found.name)) or ".test" in found.name:
            continue
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield importlib.import_module(found.name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a survey goes on past modules that need more
            sys.stderr.write(f"not imported: {found.name}: {type(error).__name__}\n")


def open_hooks(found: type) -> list[str]:
    """List the hooks that the pickle's data reaches and nobody has reviewed, as hook@class."""
    hooks = []
    for hook in HOOKS:
        owner = next((base for base in found.__mro__ if hook in vars(base)), None)
        if owner is None or owner in PLAIN or issubclass(owner, BaseException):
            continue
        if hook in REVIEWED.get(f"{owner.__module__}.{owner.__qualname__}", ()):
            continue
        if hook == "__new__" and issubclass(found, tuple) and hasattr(found, "_fields"):
            continue  # the generated constructor of a named tuple
        if hook == "__new__" and issubclass(found, enum.Enum):
            continue  # replaced by the look-up of members
        hooks.append(f"{hook}@{owner.__module__}.{owner.__qualname__}")
    return hooks


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
