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

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from connector.config.problems import KeyPath, Problem, split

MAX_BYTES = 1_000_000
MAX_DEPTH = 24
MAX_VALUES = 50_000

_INTEGER = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})(?:\.\d{1,17}(?:[eE][-+]?\d{1,2})?|[eE][-+]?\d{1,2})")
_BARE_VARIABLE = re.compile(r"\$\{\w*\}?")
_BARE_TEMPLATE = re.compile(r"(?<![\"'\w])\{\{")

Value = Any
"""None, text, int, float, bool, list or dict of these."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something is written, both counted from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """What a file says, and where it says it.

    Attributes:
        name: The file's name, as it was given.
        content: The content as plain values; variables are still ``${NAME}``.
        keys: Key path -> where the key (or the list item) is written.
        values: Key path -> where its value begins.
    """

    name: str = "<configuration>"
    content: dict[str, Value] = field(default_factory=dict)
    keys: dict[KeyPath, Mark] = field(default_factory=dict)
    values: dict[KeyPath, Mark] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int:
        """The line of a key, or of the nearest part above it in the file; 0 without a file."""
        for end in range(len(path), 0, -1):
            mark = self.keys.get(path[:end])
            if mark is not None:
                return mark.line
        return 1 if self.content else 0

    def locate(self, path: KeyPath | str) -> str:
        """``file:line`` of a key."""
        line = self.line(split(path))
        return f"{self.name}:{line}" if line else self.name

    def problem(
        self, path: KeyPath | str, message: str, *, allowed: str = "", hint: str = ""
    ) -> Problem:
        """A problem with one key."""
        parts = split(path)
        return Problem(self.name, self.line(parts), parts, message, allowed, hint)

    @property
    def digest(self) -> str:
        """SHA-256 of the content, whatever its comments and the order of its keys."""
        canonical = json.dumps(
            self.content, sort_keys=True, ensure_ascii=True, separators=(",", ":")
        )
        return hashlib.sha256(canonical.encode()).hexdigest()
