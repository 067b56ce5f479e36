"""What the checks look at: the readable parts of a file, and how to speak of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from connector.config.document import Document
from connector.config.problems import KeyPath, Problem, did_you_mean, listed, shown
from connector.config.root import Config
from connector.config.values import as_name


@dataclass(frozen=True, slots=True)
class Draft:
    """What could be read of a file.

    Attributes:
        config: The readable parts; defaults or stand-ins where a section is broken.
        document: The file.
        broken: Sections that could not be read as a whole.
        mistyped: Section -> the key that stands in its place.
        places: Section that is a list -> index in the file of each readable item.
    """

    config: Config
    document: Document
    broken: frozenset[str] = frozenset()
    mistyped: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def names(self, section: str) -> tuple[str, ...]:
        """The names that a section defines, readable or not, as they ought to be written."""
        written = self.document.content.get(self.mistyped.get(section, section))
        return tuple(as_name(name) for name in written) if isinstance(written, Mapping) else ()

    def place(self, section: str, i: int) -> int:
        """The index in the file of the i-th readable item of a section that is a list."""
        places = self.places.get(section)
        return places[i] if places is not None else i

    def problem(self, path: KeyPath, message: str, *, allowed: str = "", hint: str = "") -> Problem:
        """A problem with one key."""
        return self.document.problem(path, message, allowed=allowed, hint=hint)

    def unknown(
        self, path: KeyPath, what: str, name: str, known: Sequence[str]
    ) -> Iterator[Problem]:
        """A problem when ``name`` is not among ``known``."""
        if name not in known:
            hint = did_you_mean(name, known)
            message = f"no {what} is named {shown(name)}"
            yield self.problem(path, message, allowed=listed(known), hint=hint)

    def twice(self, path: KeyPath, what: str, name: str, seen: set[str]) -> Iterator[Problem]:
        """A problem when ``name`` has been seen before; notes it as seen."""
        if name in seen:
            yield self.problem(path, f"the {what} {shown(name)} is given twice")
        seen.add(name)
