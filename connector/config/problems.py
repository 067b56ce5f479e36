"""What is wrong with a file, and how it is said.

Every message has one form, so that people and editors can follow it::

    config.yaml:41: campaigns.winback.goal: no metric is named 'aov'; allowed: aov_30d.

All problems of a file are told at once. What was found is quoted, except where it may be a secret
or somebody's address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches

from pydantic import SecretStr

from connector.errors import ConfigError

KeyPath = tuple[str | int, ...]

MAX_LISTED = 20
"""How many problems a message lists; ``.problems`` holds all."""
MAX_WORDS = 25
"""How many allowed words a message lists."""

SECRET_KEY = re.compile(
    r"(?:^|[_-])(?:token|secret|password|passwd|passphrase|pass|pwd|salt|credentials?|authori[sz]ation|auth|bearer|api[_-]?key|dsn"
    r"|(?:private|signing|access|account|shared|encryption)[_-]key)$",
    re.IGNORECASE,
)
"""Keys whose value is a secret, wherever they stand among the options of sources, destinations and
holdouts."""
_SECRET_SHAPE = re.compile(
    r"\bpat-(?:na|eu)\d-|\bsk_live_|\bpk_[0-9a-f]{24}|\bSG\.[\w-]{16}|\bxox[abps]-|\beyJ[\w-]{16}|\bAKIA[0-9A-Z]{12}"
    r"|://[^/\s:@]+:(?!\$\{)[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_EMAIL = re.compile(r"[^\s@'\"<>*]+@[^\s@'\"<>]+")
_MAX_SHOWN = 60


class InvalidConfigError(ConfigError):
    """One or more problems of one file.

    Attributes:
        problems: All of them, in the order of the file.
    """

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        listed = [str(problem) for problem in self.problems[:MAX_LISTED]]
        left = len(self.problems) - len(listed)
        if len(self.problems) == 1:
            message = listed[0]
        else:
            lines = [f"{len(self.problems)} problems in {name}:", *(f"  {line}" for line in listed)]
            message = "\n".join([*lines, f"  and {left} more"] if left else lines)
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: Name of the file, as it was given.
        line: Line number from 1; 0 where there is none (an unreadable file).
        path: Key path.
        message: What was found.
        allowed: What is allowed; may be empty.
        hint: What to do; may be empty.
    """

    file: str
    line: int
    path: KeyPath
    message: str
    allowed: str = ""
    hint: str = ""

    def __str__(self) -> str:
        """The problem in one line."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{dotted(self.path)}: " if self.path else ""
        body = f"{self.message}; allowed: {self.allowed}" if self.allowed else self.message
        end = "." if body[-1] not in ".?!" else ""
        return f"{where}: {key}{body}{end}" + (f" {self.hint}" if self.hint else "")


def dotted(path: KeyPath) -> str:
    """A key path as text: ``campaigns.winback.to[0]``."""
    text = ""
    for part in path:
        name = part if isinstance(part, int) else _masked(part)
        text += f"[{name}]" if isinstance(part, int) else f".{name}" if text else str(name)
    return text


def split(path: KeyPath | str) -> KeyPath:
    """A key path from its text, ``campaigns.winback.to[0]`` or ``campaigns.winback.to.0``."""
    if not isinstance(path, str):
        return tuple(path)
    parts = [part for part in re.split(r"\.|\[|\]", path) if part]
    return tuple(int(part) if part.isdigit() else part for part in parts)


def is_secret(path: KeyPath) -> bool:
    """Whether what stands at the path is a secret by its name."""
    if not path or path[0] not in ("sources", "destinations", "holdouts"):
        return False
    names = [part for part in path if isinstance(part, str)]
    return len(names) > 2 and SECRET_KEY.search(names[-1]) is not None


def looks_secret(text: str) -> bool:
    """Whether a text looks like a well-known kind of token, or an address with a password."""
    return _SECRET_SHAPE.search(text) is not None


def shown(value: object) -> str:
    """A value as a message may quote it: short, without secrets and e-mail addresses."""
    if value is None:
        return "nothing"
    if isinstance(value, SecretStr):
        return "a secret"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        keys = ", ".join(_masked(str(key)) for key in list(value)[:6])
        return f"a mapping with {keys}" if keys else "an empty mapping"
    if isinstance(value, list | tuple):
        plain = all(isinstance(item, int | float) for item in value)
        some = ", ".join(str(item) for item in value[:10])
        return f"[{some}]" if value and plain else "a list" if value else "an empty list"
    if isinstance(value, int | float | date):
        return str(value)
    return f"'{_masked(str(value))}'"


def _masked(text: str) -> str:
    text = " ".join(text.split())
    if looks_secret(text):
        return "(something that looks like a secret)"
    text = _EMAIL.sub("(an e-mail address)", text)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def nearest(word: object, words: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The word that was probably meant, or None."""
    if not isinstance(word, str):
        return None
    by_lower = {candidate.lower(): candidate for candidate in reversed(list(words))}
    lowered = word.strip().lower()
    if lowered in by_lower:
        return by_lower[lowered]
    close = get_close_matches(
        lowered.replace("-", "_").replace(" ", "_"), by_lower, n=1, cutoff=cutoff
    )
    return by_lower[close[0]] if close else None


def did_you_mean(word: object, words: Iterable[str]) -> str:
    """``Did you mean 'x'?``, or nothing."""
    meant = nearest(word, words)
    return f"Did you mean '{meant}'?" if meant is not None else ""


def listed(words: Sequence[str]) -> str:
    """Allowed words for a message, not too many of them."""
    if not words:
        return "none is defined"
    more = len(words) - MAX_WORDS
    return ", ".join(words[:MAX_WORDS]) + (f" and {more} more" if more > 0 else "")
