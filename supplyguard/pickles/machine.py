"""The symbolic pickle machine: every opcode's effect on stack and memo, nothing executed.

It follows CPython's `Modules/_pickle.c` and `Lib/pickle.py`. Long stretches of opcodes that only
make plain data are passed over (see `lumps`) and interpreted when something takes an operand out
of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.limits import KIB, Resource
from supplyguard.pickles import acting_opcodes, data_opcodes
from supplyguard.pickles.context import Context
from supplyguard.pickles.data_opcodes import LONGEST_PAUSE
from supplyguard.pickles.joblib_arrays import MOST_PADDING, ArrayBytes
from supplyguard.pickles.lumps import LEANING, WRITES, family_of, stretch
from supplyguard.pickles.memo import Memo
from supplyguard.pickles.opcodes import HIGHEST_PROTOCOL, Op
from supplyguard.pickles.state import LONG_RUN, STRETCH, Handler, State
from supplyguard.pickles.stream import Literal, Stream
from supplyguard.pickles.values import MARK, Run, is_plain

LUMPS_AFTER: Final = 32 * KIB
"""So many first bytes of a program are always interpreted; small files need no patterns."""
WORTHWHILE: Final = 48
"""A stretch of fewer bytes costs more to pass over than to interpret."""
MAX_STACK: Final = 1_000_000
CHECK_EVERY: Final = 4_096


def new_state(stream: Stream, context: Context, lumps_after: int = LUMPS_AFTER) -> State:
    """Make the state of a program that is about to be run."""
    state = State(stream, context, _TABLE, lumps_after)
    context.unroll = state.unrolled
    return state


def run(state: State, start: int) -> int:
    """Interpret the program at `start`; gives the offset after its STOP. Raises MalformedError."""
    stream = state.stream
    stream.position = state.start = start
    steps = 0
    while not state.finished:
        if state.detour is not None and stream.position >= state.detour[0]:
            stream.position, state.detour = state.detour[1], None
            state.memo.interrupt(stream.position)
        steps += 1
        if not steps % CHECK_EVERY:
            _check(state, stream.position)
        if state.pause:
            state.pause -= 1
        elif stream.position - start >= state.lumps_after:
            _pass_over(state)
        _step(state, stream)
        if state.array is not None:
            _pass_array(state, state.array)
    return stream.position


def _check(state: State, offset: int) -> None:
    state.context.budget.check_time()
    if len(state.stack) > MAX_STACK:
        raise state.exhausted("stack", MAX_STACK, offset)


def _step(state: State, stream: Stream) -> None:
    offset = stream.position
    code, argument = stream.next()
    state.edge = False
    handler = state.table.get(code)
    if handler is None:
        state.stack.append(argument)  # type: ignore[arg-type]  # only literals have no handler
    else:
        handler(state, argument, offset)


def _pass_over(state: State) -> None:
    """Pass over inert opcodes that come next, as a Run."""
    stream = state.stream
    window, index = stream.window(STRETCH)
    limit = min(len(window), index + STRETCH)
    if stream.frame_end is not None and stream.frame_end > stream.position:
        limit = min(limit, index + stream.frame_end - stream.position)
    if state.detour is not None:
        limit = min(limit, index + state.detour[0] - stream.position)
    if index >= limit:
        return
    top = state.stack[-1] if state.stack else MARK
    if window[index] in (LEANING if state.edge or not is_plain(top) else WRITES):
        return
    pattern = stretch(state.memo.family)
    first = tail = cut = index
    cuts: list[int] = []
    base = stream.position - first
    while (match := pattern.match(window, index, limit)) is not None:
        if index - cut >= LONG_RUN:
            cut = index
            cuts.append(base + cut)
        tail, index = index, match.end()
        if index == limit:  # what follows was out of the pattern's sight
            state.edge = True
            break
    if cuts and cuts[-1] == base + tail:
        cuts.pop()
    gained = index - first
    if gained >= WORTHWHILE:
        state.last_pause = 0
    else:
        state.pause = state.last_pause = min(LONGEST_PAUSE, 2 * state.last_pause + 1)
    if gained:
        state.stack.append(Run(base + first, base + tail, base + index, tuple(cuts)))
        state.memo.passed(base + first, base + index)
        stream.position = base + index


def _pass_array(state: State, array: ArrayBytes) -> None:
    """Go on after the bytes of a joblib array; inside a frame they start at its end."""
    stream, context = state.stream, state.context
    state.array = None
    frame = stream.frame_end if stream.frame_end is not None and stream.frame_end > stream.position else None
    if frame is not None:
        context.record.add("joblib-open-frame", "", stream.position)
    start = stream.position if frame is None else frame
    if array.length is None:
        end = _run_inner(state, start)
    else:
        end = start + _padding(state, start, array) + array.length
        if array.length and not stream.has(end - 1):
            context.record.add("joblib-array", "too long", start, problem="it is longer than the file")
            raise stream.truncated(start)
    if frame is None:
        stream.position, stream.frame_end = end, None
        state.memo.interrupt(end)
    else:
        state.detour = (frame, end)


def _padding(state: State, start: int, array: ArrayBytes) -> int:
    """Give how many bytes precede an array's items, the length byte included."""
    if not array.padded:
        return 0
    data = state.stream.peek(start, 1 + 255)
    length = data[0] if data else 0
    if length > MOST_PADDING or data[1 : 1 + length].strip(b"\xff"):
        state.context.record.add("joblib-array", "padding", start, problem="its padding is not joblib's")
    return 1 + length


def _run_inner(state: State, start: int) -> int:
    """Run the pickle of an object array, which has its own stack and memo."""
    context, stream = state.context, state.stream
    if context.nesting >= context.budget.limits.pickle_depth:
        raise MalformedError("pickles are nested too deep", offset=start)
    context.budget.spend(Resource.PICKLES)
    saved = stream.position, stream.frame_end
    inner = replace(context, memo=Memo(context.reader, start), protocol=0, nesting=context.nesting + 1)
    stream.frame_end = None
    try:
        return run(new_state(stream, inner, state.lumps_after), start)
    finally:
        stream.position, stream.frame_end = saved


def protocol(state: State, argument: Literal, offset: int) -> None:
    """PROTO."""
    context = state.context
    number = argument if isinstance(argument, int) else 0
    if number > HIGHEST_PROTOCOL:
        context.record.add("pickle-protocol", "unknown", offset, what=f"asks for protocol {number}")
    elif offset != state.start and number != context.protocol:
        context.record.add("pickle-protocol", "changed", offset, what=f"changes to protocol {number} midway")
    context.protocol = number
    state.memo.use(family_of(number))


def frame(state: State, argument: Literal, offset: int) -> None:
    """FRAME."""
    length = argument if isinstance(argument, int) else 0
    stream = state.stream
    if stream.frame_end is not None and stream.position < stream.frame_end:
        state.context.record.add("pickle-frame", "nested", offset, what="a frame starts inside a frame")
    stream.enter_frame(length)
    if length and not stream.has(stream.position + length - 1):
        state.context.record.add("pickle-frame", "long", offset, what="a frame is longer than the file")


def stop(state: State, _: Literal, __: int) -> None:
    """STOP."""
    state.result = state.pop()
    state.finished = True


_TABLE: Final[dict[int, Handler]] = {
    **data_opcodes.TABLE,
    **acting_opcodes.TABLE,
    Op.PROTO: protocol,
    Op.FRAME: frame,
    Op.STOP: stop,
}
