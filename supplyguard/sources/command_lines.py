"""Lines of shells that install packages: in Dockerfiles, workflows, scripts, Makefiles and notebooks.

What a shell would do is not worked out. Words with variables or commands in them are not known; what
is known of them (a name before "==$VERSION") is told. Commands are data:
rules/formats/install_commands.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from supplyguard.aspect import Aspect
from supplyguard.finding import Evidence, Level, Notification
from supplyguard.inventory import Artifact, Dependency, Location
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.resources import rules_folder
from supplyguard.sources.conda import read_match
from supplyguard.sources.end_of_life import images
from supplyguard.sources.references import is_reference
from supplyguard.sources.requirement_lines import known_options, long_name
from supplyguard.sources.statements import Statement, option_evidence, read_statement
from supplyguard.sources.toml_document import Found
from supplyguard.wire.text import Lines, decode, read_bytes

NAME: Final = "command_lines"
ASPECT: Final = Aspect.DEPENDENCIES
FILE_SIZE: Final = 4 * MIB
NAMES: Final = re.compile(
    r"(?:.*[-_.])?(?:docker|container)file(?:[-_.].*)?|(?:gnu)?makefile|justfile|jenkinsfile"
    r"|.*\.(?:sh|bash|zsh|ksh|mk|dockerfile|containerfile|just)|\.gitlab-ci\.ya?ml|\.travis\.ya?ml"
    r"|azure-pipelines\.ya?ml|cloudbuild\.ya?ml|action\.ya?ml",
    re.IGNORECASE,
)
WORD: Final = re.compile(
    r"""(?P<end>\\\r?\n|[;&|()`{}]+|\r?\n)|(?P<comment>(?<![^\s;&|()])\#[^\n]*)"""
    r"""|(?P<word>(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\$\{[^}\n]{0,200}\}"""
    r"""|\$\([^)\n]{0,200}\)|\\[^\r\n]|[^\s"';&|()`{}\\])+)|(?P<other>["'\\])""",
    re.DOTALL,
)
EXEC: Final = re.compile(
    r"^[ \t]*(?:RUN|CMD|ENTRYPOINT)[ \t]+\[(?P<list>[^\]\n]*)\]", re.MULTILINE | re.IGNORECASE
)
"""A Dockerfile's list of words."""
IN_LIST: Final = re.compile(r'"([^"\\]*)"')
"""Words as a shell sees them, and what ends a command; a line that ends in a backslash goes on."""
QUOTES: Final = re.compile(r"""\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'""", re.DOTALL)
REDIRECTION: Final = re.compile(r"\d*(?:>>?|<)&?.*")
UNKNOWN: Final = re.compile(r"[$`]|\{\{|%\(|<[a-z_]+>")
KNOWN_NAME: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9,._-]*\])?(?=\s*(?:[=<>!~]=|[<>@]))"
)
PROGRAM: Final = re.compile(r"(?:.*/)?(?P<name>[A-Za-z]+)(?:[0-9.]*)(?:\.exe)?")
PLACE: Final = "command"


def claims(name: str) -> bool:
    """Whether a file's name is that of a build or shell script."""
    return NAMES.fullmatch(name) is not None


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield what the commands of a file install."""
    text = decode(read_bytes(artifact.path, min(FILE_SIZE, budget.limits.document_bytes)))[0]
    lines = Lines(text)

    def locate(start: int, end: int) -> Location:
        return lines.location(artifact.uri, start, end)

    yield from read_commands(text, locate, budget)
    yield from images(text, locate)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word with its quotes taken off. start, end: where it stands."""

    text: str
    start: int
    end: int


Locate = Callable[[int, int], Location]


def read_commands(text: str, locate: Locate, budget: Budget) -> Iterator[Found]:
    """Yield what the commands of a text install. locate: turns offsets in it into a place."""
    if "install" not in text and " add" not in text and "create" not in text:
        return
    for words in _commands(text):
        budget.spend(Resource.NODES, len(words))
        budget.check_time()
        yield from _command(words, locate)


def _commands(text: str) -> Iterator[list[_Word]]:
    """Yield the words of every command, those in a quoted word ("bash -c") and in a list too."""
    for listed in EXEC.finditer(text):
        found = IN_LIST.finditer(text, listed.start("list"), listed.end("list"))
        yield [_Word(match[1], *match.span(1)) for match in found]
    for words in _plain_commands(text):
        yield words
        for word in words:
            if " " in word.text and word.end - word.start == len(word.text):
                for inner in _plain_commands(word.text):
                    yield [_Word(each.text, each.start + word.start, each.end + word.start) for each in inner]


def _plain_commands(text: str) -> Iterator[list[_Word]]:
    words: list[_Word] = []
    for match in WORD.finditer(text):
        if match["word"] is not None:
            words.append(_unquoted(match))
        elif match["end"] is not None and not match["end"].startswith("\\"):
            if words:
                yield words
            words = []
    if words:
        yield words


def _unquoted(match: re.Match[str]) -> _Word:
    written = match["word"]
    text = QUOTES.sub(
        lambda quoted: next((each for each in quoted.groups() if each is not None), ""), written
    )
    start, end = match.span()
    if len(written) >= 2 and written[0] in "\"'" and written[1:-1] == text:
        start, end = start + 1, end - 1
    return _Word(text, start, end)


def _command(words: list[_Word], locate: Locate) -> Iterator[Found]:
    """Find the first installing command among the words, and read what follows it.

    What only says something (echo, a step's name) installs nothing.
    """
    for at, word in enumerate(words):
        if word.text in _table()["says"]:
            return
        for command in _table()["commands"]:
            names = command["words"]
            if _is(words, at, names):
                yield from _arguments(words[at + len(names) :], command["reads"], locate)
                return


def _is(words: list[_Word], at: int, names: list[str]) -> bool:
    """Whether a command's words stand at `at`; its program may have a path, a version or an end."""
    if len(words) < at + len(names):
        return False
    program = PROGRAM.fullmatch(words[at].text)
    first = program is not None and program["name"].lower() == names[0]
    return first and [word.text for word in words[at + 1 : at + len(names)]] == names[1:]


def _arguments(words: list[_Word], reads: str, locate: Locate) -> Iterator[Found]:
    """Read the words after a command: options with their values, and what is to be installed."""
    with_value = _table()["values"][reads]
    rest = iter(words)
    for word in rest:
        if REDIRECTION.fullmatch(word.text):
            continue
        if not word.text.startswith("-"):
            yield from _wanted(word, reads, locate)
            continue
        written, equals, value = word.text.partition("=")
        name = written if written in with_value else (None if reads == "conda" else long_name(written))
        option = known_options().get(name or "", {})
        takes = written in with_value or bool(option.get("value"))
        span = (word.start, word.end)
        if takes and not equals:
            following = next(rest, None)
            if following is None:
                return
            value, span = following.text, (word.start, following.end)
        if name is not None and option.get("index") and not UNKNOWN.search(value):
            place = PLACE if reads == "pip" else f"{reads}-{PLACE}"
            yield option_evidence(name, value, locate(*span), place=place)


def _wanted(word: _Word, reads: str, locate: Locate) -> Iterator[Found]:
    place = locate(word.start, word.end)
    text = word.text
    if UNKNOWN.search(text):
        known = KNOWN_NAME.match(text)
        if known is None:
            message = f"installs what a variable holds: {text[:80]}"
            yield Notification(code="computed-requirement", message=message, level=Level.NOTE, location=place)
            return
        text = known[0]
    if reads == "conda":
        items: Iterator[Found] = read_match(text, place)
    elif is_reference(text) and "://" not in text:
        return  # a folder or file of this project
    else:
        items = read_statement(Statement(text=text, location=place, place=PLACE))
    for item in items:
        if isinstance(item, Dependency | Evidence):
            yield item
        else:  # a shell's words are often no requirement: told, not counted as a gap
            message = f"not understood as something to install: {text[:80]}"
            yield Notification(code="computed-requirement", message=message, level=Level.NOTE, location=place)


@cache
def _table() -> Mapping[str, Any]:
    table: dict[str, Any] = json.loads((rules_folder() / "formats" / "install_commands.json").read_bytes())
    return table
