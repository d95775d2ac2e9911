"""Arrays that joblib writes between the opcodes of a pickle.

After the BUILD of a `joblib.numpy_pickle.NumpyArrayWrapper` come the array's bytes: for object
dtypes a whole pickle; else, where the wrapper has `numpy_array_alignment_bytes` (joblib 1.2), a
length byte and so many bytes 0xFF, and then the items (`NumpyArrayWrapper.read_array`). joblib's
unpickler is the pure Python one, which takes opcodes from the frame but array bytes from the
file, so that inside a frame they start at the frame's end.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.pickles.context import Context
from supplyguard.pickles.numpy_state import has_objects, itemsize
from supplyguard.pickles.values import Instance, Value

WRAPPERS: Final = frozenset({"joblib.numpy_pickle.NumpyArrayWrapper"})
MOST_PADDING: Final = 16


@dataclass(frozen=True, slots=True)
class ArrayBytes:
    """What follows a wrapper. length: of the items, in bytes; None for a pickle. padded: as since 1.2."""

    length: int | None
    padded: bool


def array_after(context: Context, target: Value, offset: int) -> ArrayBytes | None:
    """Say what array bytes follow the BUILD of `target`; None when it is no wrapper.

    Raises MalformedError when the size cannot be known: nothing after it can be read.
    """
    if not isinstance(target, Instance) or target.type_name not in WRAPPERS or not target.states:
        return None
    pairs = context.pairs(target.states[-1])
    state = {key: value for key, value in pairs or [] if isinstance(key, str)}
    dtype = state.get("dtype")
    objects = has_objects(context, dtype)
    padded = state.get("numpy_array_alignment_bytes") is not None
    if objects:
        return ArrayBytes(None, padded)
    shape = context.items(state.get("shape"))
    size = itemsize(context, dtype)
    lengths = [each for each in shape or () if isinstance(each, int) and each >= 0]
    if pairs is None or objects is None or shape is None or size is None or len(lengths) != len(shape):
        context.record.add("joblib-array", "unknown size", offset, problem="its size cannot be worked out")
        raise MalformedError("the size of an array between the opcodes is not known", offset=offset)
    return ArrayBytes(prod(lengths) * size, padded)
