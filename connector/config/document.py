"""What a file says and where it says it: plain values, and the line of every key."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from connector.config.problems import KeyPath, Problem, split

Value = Any
"""None, text, int, float, bool, list or dict of these."""


@dataclass(slots=True)
class Document:
    """What a file says, and where it says it.

    Attributes:
        name: The file's name, as it was given.
        content: The content as plain values; variables are still ``${NAME}``.
        lines: Key path -> line of the key (or of the list item), from 1.
    """

    name: str = "<configuration>"
    content: dict[str, Value] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int:
        """The line of a key, or of the nearest part above it in the file; 0 without a file."""
        for end in range(len(path), 0, -1):
            line = self.lines.get(path[:end])
            if line is not None:
                return line
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
