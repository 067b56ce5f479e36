"""What became of the changes of one destination."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from connector.domain import Action, Kind
from connector.errors import DestinationError


@dataclass(frozen=True, slots=True)
class Issue:
    """One change that did not get through, without personal data."""

    destination: str
    kind: Kind
    action: Action
    audience: str | None
    profile_id: str
    outcome: str
    code: str
    message: str


@dataclass(slots=True)
class DestinationReport:
    """What became of one destination's changes.

    Attributes:
        outcomes: (kind, action, outcome) -> people.
        issues: Every change that did not get through and is known by person.
        error: Why the destination was given up; None when it was not.
        unanswered: The latest failure that left a batch unknown without the destination being
            given up for it.
        n_unsent: Changes that were never tried because the destination was given up.
    """

    destination: str
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    issues: list[Issue] = field(default_factory=list)
    error: DestinationError | None = None
    unanswered: DestinationError | None = None
    n_unsent: int = 0

    @property
    def problem(self) -> DestinationError | None:
        """Why not everything was settled; a run without one may still have rejections."""
        return self.error or self.unanswered

    @property
    def n_overtaken(self) -> int:
        """Changes that were left out for another reason than a permission that has gone."""
        return sum(i.outcome == "skipped" and i.code != "permission" for i in self.issues)

    def count(self, outcome: str) -> int:
        """Changes with that outcome."""
        return sum(n for (_, _, found), n in self.outcomes.items() if found == outcome)
