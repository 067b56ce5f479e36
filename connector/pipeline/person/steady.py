"""What keeps one person in a segment, or out of it, besides the rule: margins, waits, stays."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from connector.numbers import several
from connector.pipeline.person.explanation import Steadiness
from connector.pipeline.person.subject import Subject
from connector.pipeline.understand.segmenting import stability_of
from connector.report.format import iso_day
from connector.segments import trace
from connector.segments.rules import Segment
from connector.segments.stability import lenient_sql, strict_sql
from connector.warehouse.dialect import parse_condition

if TYPE_CHECKING:
    from connector.config import Config


@dataclass(frozen=True, slots=True)
class Steady(Subject):
    """What the settled segments hold of one person.

    Attributes:
        config: The configuration.
    """

    config: Config

    def is_member(self, segment: Segment) -> bool:
        """Whether the person is in the segment, by whatever keeps them there."""
        named = {"segment": segment.name}
        return bool(
            self.rows(
                "SELECT 1 FROM segment_members WHERE segment = $segment AND profile_id = $who",
                named,
            )
        )

    def to_leave(self, segment: Segment) -> tuple[str, ...]:
        """What would make a member leave: thresholds of scores less their margins."""
        margins = stability_of(self.config, segment.name).margins
        told = self._held_to(segment, lenient_sql(segment, margins) if margins else None)
        return told.to_change if told is not None and told.member else ()

    def to_enter(self, segment: Segment) -> tuple[str, ...]:
        """What would make anybody else enter: thresholds of scores plus their margins."""
        margins = stability_of(self.config, segment.name).enter_margins
        told = self._held_to(segment, strict_sql(segment, margins) if margins else None)
        return told.to_change if told is not None and not told.member else ()

    def _held_to(self, segment: Segment, condition: str | None) -> trace.RuleTrace | None:
        """The rule with its thresholds moved, beside the person's values."""
        held_to = segment
        if condition is not None:
            moved = parse_condition(condition, columns=self.found.columns, what=segment.name)
            held_to = dataclasses.replace(segment, condition=moved)
        return trace.explain(self.found.warehouse, held_to, self.profile_id)

    def told(self, segment: Segment, *, holds: bool, member: bool) -> Steadiness:
        """Streaks, margins and stays in words.

        Args:
            segment: The segment.
            holds: Whether the rule itself holds.
            member: Whether the person is in the segment.
        """
        if segment.held:
            who = "stays" if member else "stays out"
            return Steadiness(
                f"{who} while the segment is held: {segment.held}", "held", 0, 0, None
            )
        stability = stability_of(self.config, segment.name)
        zone = self.config.project.timezone
        streak, since = self._counted(segment)
        until = None
        if member and since is not None and stability.min_stay:
            end = since.replace(tzinfo=UTC) + stability.min_stay
            until = end if end > self.found.as_of else None
        if holds and not member and not streak:
            words = "the rule holds, but by less than the margin for entering"
            return Steadiness(words, "margin", 0, stability.enter_after, None)
        if holds and not member:
            words = f"the rule has held on {several(streak, 'day')} in a row; it takes"
            words = f"{words} {stability.enter_after}"
            return Steadiness(words, "entering", streak, stability.enter_after, None)
        if member and not holds:
            if not streak:
                words = "stays by the margin only; the rule itself holds no more"
                return Steadiness(words, "margin", 0, stability.exit_after, until)
            words = f"the rule has failed on {several(streak, 'day')} in a row; it takes"
            words = f"{words} {stability.exit_after}"
            if until is not None:
                words += f", and the shortest stay lasts until {iso_day(until, zone)}"
            state = "leaving" if streak < stability.exit_after else "staying"
            return Steadiness(words, state, streak, stability.exit_after, until)
        words = ""
        if until is not None:
            words = f"stays until {iso_day(until, zone)} at least, unless a purchase ends it"
        needed = stability.exit_after if member else stability.enter_after
        return Steadiness(words, "rule", 0, needed, until)

    def _counted(self, segment: Segment) -> tuple[int, datetime | None]:
        """Days in a row on which the rule has said otherwise, and since when the person is in."""
        for relation in ("segment_progress", "known_segments"):
            # What this run would store comes before what the last applied one has.
            rows = self.rows(
                f"SELECT streak, since FROM {relation} WHERE segment = $segment"
                " AND profile_id = $who",
                {"segment": segment.name},
            )
            if rows:
                ((streak, since),) = rows
                return int(streak), since
        return 0, None
