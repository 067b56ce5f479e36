"""A vendor that agrees to everything at once and counts: what remains is the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from bench.people import VENDOR
from connector.domain import Audience, Capabilities, Change, Finding, Outcome, RecordResult
from connector.errors import BatchRejectedError


class Agreeable:
    """A destination that is addressed by record ids.

    Attributes:
        asked: Looks at lists and people.
        pushed: Calls that would have changed something.
        poison: Whoever has this match value spoils the batch.
    """

    name = VENDOR

    def __init__(self, *, max_records: int = 100, poison: str = "") -> None:
        self.asked = 0
        self.pushed = 0
        self.poison = poison
        self.capabilities = Capabilities(
            creates=False, needs_record_id=True, max_records=max_records, max_members=100_000
        )

    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any]) -> Self:
        raise NotImplementedError

    def check(self) -> Sequence[Finding]:
        return ()

    def close(self) -> None:
        return

    def find(self, match_values: Sequence[str]) -> Mapping[str, str]:
        self.asked += 1
        return {}

    def find_audience(self, name: str, audience_id: str | None) -> Audience | None:
        self.asked += 1
        return Audience(name, audience_id) if audience_id else None

    def ensure_audience(self, name: str) -> Audience:
        self.pushed += 1
        return Audience(name, "1", created=True)

    def members(self, audience: Audience) -> Iterator[str]:
        del audience
        return iter(())

    def push(self, audience: Audience | None, changes: Sequence[Change]) -> list[RecordResult]:
        del audience
        self.pushed += 1
        if any(change.match_value == self.poison for change in changes):
            raise BatchRejectedError("one record is invalid", status=400)
        return [RecordResult(c.change_id, Outcome.DELIVERED, c.record_id) for c in changes]
