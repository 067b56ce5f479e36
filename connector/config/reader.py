"""Read YAML so that every key keeps its line, and so that YAML's traps become messages.

The text is read event by event and only plain values are made of it (no objects, no recursion that
a hostile file could exhaust). Where YAML 1.1 surprises people, this reader does what they mean, or
refuses and explains:

* ``on``, ``off``, ``yes``, ``no``, ``y``, ``n`` are text, as keys and as values (YAML 1.1 reads
  booleans; ``country: NO``). Only ``true`` and ``false`` are booleans; keys are always text.
* Only plain decimal numbers are numbers: ``012``, ``0x1F``, ``1_000`` and ``12:30`` are text. Days
  are text, too; the schema reads them.
* A key given twice is an error that names both lines (YAML keeps the last one silently).
* Anchors, aliases, merge keys and tags are refused: every value stands at one place, and no file
  can explode.
* A bare ``${VAR}`` inside ``{...}`` breaks YAML: the message says to put quotes around it. So do
  tabs, stray colons, and values that begin with ``*``, ``&``, ``@``, ``%`` or a back-tick.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import yaml

from connector.config.document import Document, Value
from connector.config.problems import InvalidConfigError, KeyPath, Problem, shown

MAX_BYTES = 500_000
MAX_DEPTH = 24
MAX_VALUES = 50_000

_INTEGER = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})(?:\.\d{1,17}(?:[eE][-+]?\d{1,2})?|[eE][-+]?\d{1,2})")
_BARE_VARIABLE = re.compile(r"\$\{\w*\}?")


def read_document(path: str | Path) -> Document:
    """Read a file.

    Raises:
        InvalidConfigError: It cannot be read, or is no YAML that means one thing.
    """
    name = str(path)

    def refuse(message: str, hint: str = "") -> InvalidConfigError:
        return InvalidConfigError(name, [Problem(name, 0, (), message, hint=hint)])

    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise refuse("there is no such file", "Name the configuration with --config.") from None
    except IsADirectoryError:
        raise refuse("is a folder, not a file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise refuse(f"cannot be read: {reason}") from None
    if len(data) > MAX_BYTES:
        raise refuse(f"is larger than {MAX_BYTES:,} bytes; a configuration never is")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem(name, line, (), "is not UTF-8 text", hint="Save the file as UTF-8.")
        raise InvalidConfigError(name, [problem]) from None
    return parse_document(text, name)


def parse_document(text: str, name: str = "config.yaml") -> Document:
    """Read a text, as if it were the file ``name``.

    Raises:
        InvalidConfigError: It is no YAML that means one thing.
    """
    builder = _Builder(Document(name))
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        builder.problems.append(
            Problem(name, line, (), "a control character that YAML does not allow")
        )
    except yaml.MarkedYAMLError as error:
        builder.problems.append(_explain(error, text.splitlines(), builder))
    except _Unreadable:
        pass
    if not builder.problems and not isinstance(builder.top, dict):
        found = "is empty" if builder.top is None else f"holds {shown(builder.top)}"
        allowed = "sections, such as `project:` and `sources:`"
        builder.problems.append(Problem(name, 0, (), f"the file {found}", allowed))
    if builder.problems:
        raise InvalidConfigError(name, builder.problems)
    return builder.document


class _Unreadable(Exception):  # noqa: N818 - it ends the reading; the problem is already noted
    """What follows cannot be understood."""


@dataclass(slots=True)
class _Frame:
    container: dict[str, Value] | list[Value]
    path: KeyPath
    key: str | None = None


class _Builder:
    """Makes plain values of parse events, and notes where each stands."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.top: Value = None
        self.problems: list[Problem] = []
        self.last: KeyPath = ()
        self._stack: list[_Frame] = []
        self._n_values = 0
        self._n_documents = 0

    def take(self, event: yaml.Event) -> None:
        """Take one event of the parser."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._n_documents += 1
            if self._n_documents > 1:
                self._stop(event, "a second document begins (---)", "Keep one document per file.")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._stack.pop()
        elif isinstance(event, yaml.NodeEvent):
            self._node(event)

    def _node(self, event: yaml.NodeEvent) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._stop(
                event,
                f"an alias (*{event.anchor}) is not read",
                "Write the value out; a text that begins with * needs quotes.",
            )
        if event.anchor is not None:
            self._stop(
                event,
                f"an anchor (&{event.anchor}) is not read",
                "Write values out; a text that begins with & needs quotes.",
            )
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
            self._stop(
                event,
                f"a YAML tag ({event.tag}) is not read",
                "Leave it out; a text that begins with ! needs quotes.",
            )
        self._n_values += 1
        if self._n_values > MAX_VALUES:
            self._stop(event, f"the file holds more than {MAX_VALUES:,} values")
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._key(event, frame, frame.container)
        else:
            self._value(event, frame)

    def _key(self, event: yaml.NodeEvent, frame: _Frame, container: dict[str, Value]) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            self._stop(
                event,
                "a key is a mapping or a list",
                "A text that begins with { or [ needs quotes.",
            )
        key = self._checked(event)
        if key == "<<" and event.style is None:
            self._stop(event, "a merge key (<<) is not read", "Write the keys out.")
        if not key:
            self._stop(event, "a value without a key")
        path = (*frame.path, key)
        if key in container:
            first = self.document.lines[path]
            message = f"the key is given twice, first in line {first}"
            problem = Problem(
                self.document.name, _line(event), path, message, hint="Keep one of them."
            )
            self.problems.append(problem)
        self.document.lines.setdefault(path, _line(event))
        frame.key, self.last = key, path

    def _value(self, event: yaml.NodeEvent, frame: _Frame | None) -> None:
        value: Value
        if isinstance(event, yaml.ScalarEvent):
            text = self._checked(event)
            value = _plain(text) if event.style is None else text
        else:
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        path: KeyPath = ()
        if frame is None:
            self.top = value
            if isinstance(value, dict):
                self.document.content = value
        elif isinstance(frame.container, list):
            path = (*frame.path, len(frame.container))
            self.document.lines[path] = _line(event)
            frame.container.append(value)
        elif frame.key is not None:
            path = (*frame.path, frame.key)
            frame.container[frame.key] = value
            frame.key = None
        if isinstance(value, dict | list):
            if len(self._stack) >= MAX_DEPTH:
                self._stop(event, f"more than {MAX_DEPTH} levels of nesting")
            self._stack.append(_Frame(value, path))

    def _checked(self, event: yaml.ScalarEvent) -> str:
        if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in event.value):
            self._stop(event, "a control character stands in a text")
        return str(event.value)

    def _stop(self, event: yaml.Event, message: str, hint: str = "") -> NoReturn:
        line = _line(event)
        self.problems.append(Problem(self.document.name, line, (), message, hint=hint))
        raise _Unreadable


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _plain(text: str) -> Value:
    """The value of a scalar without quotes."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false") and text in (text.lower(), text.upper(), text.title()):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _explain(error: yaml.MarkedYAMLError, lines: list[str], builder: _Builder) -> Problem:
    """What a syntax error probably means; quotes no more of the file than one character."""
    mark = error.problem_mark or error.context_mark
    number = mark.line + 1 if mark else 0
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    start = error.context_mark.line + 1 if error.context_mark else number
    what, context, path = error.problem or "", error.context or "", ()
    variable = _BARE_VARIABLE.search(line)
    if variable and "but got '{'" in what:
        name = variable[0].strip("${}") or "NAME"
        message = f"${{{name}}} without quotes breaks YAML inside {{...}} and [...]"
        return Problem(
            builder.document.name, number, builder.last, message, f'"${{{name}}}", in quotes'
        )
    if "'\\t'" in what:
        message, hint = "a tab where YAML wants spaces", "Indent with spaces."
    elif "cannot start any token" in what:
        character = line[mark.column] if mark and mark.column < len(line) else "?"
        message, hint = f"a value cannot begin with {character}", "Put the text in quotes."
    elif "mapping values are not allowed" in what:
        message = "a second colon in one line, or a line indented too far"
        hint = "Put a text with a colon in quotes, or mend the indentation."
    elif "scanning an alias" in context or "scanning an anchor" in context:
        message, hint = "a text that begins with * or &", "Put it in quotes."
    elif "quoted scalar" in context and "end of stream" in what:
        number, message, hint = start, "a quote is opened and never closed", "Close it."
    elif "scanning a simple key" in context or "could not find expected ':'" in what:
        number, message, hint = start, "a line without a colon after its key", "Write key: value."
    elif "flow mapping" in context or "flow sequence" in context:
        bracket = "{...}" if "mapping" in context else "[...]"
        message = f"the {bracket} that begins in line {start} is not closed, or lacks a comma"
        hint = "Text with { } [ ] or , inside needs quotes."
    elif "block mapping" in context or "block collection" in context or "block" in what:
        message = f"a line that does not fit the block that begins in line {start}"
        hint = "Lines of one block begin in the same column; values with quotes end there."
    else:
        message, hint = f"is not YAML: {what or context}", ""
    return Problem(builder.document.name, number, path, message, hint=hint)
