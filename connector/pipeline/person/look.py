"""What is told of one person: who it is, scores, segments, campaigns, arms and permission.

An address is told as its owner would recognise it and nobody else.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connector.audiences.rationing import OVER_BUDGET
from connector.domain import Arm
from connector.models.cuts import Cuts
from connector.numbers import money, several
from connector.pipeline.activate.activation import Activation
from connector.pipeline.person.explanation import (
    CampaignView,
    Condition,
    ConsentView,
    Exclusion,
    Person,
    Rfm,
    Score,
    SegmentView,
)
from connector.pipeline.person.steady import Steady
from connector.pipeline.person.subject import Subject
from connector.pipeline.scoring.grid import RFM
from connector.report.format import iso_day
from connector.report.people import RfmAxis
from connector.report.words import BLOCKED, axis_labels, phrase
from connector.segments import trace
from connector.state import schema
from connector.state.database import parse_utc

if TYPE_CHECKING:
    from connector.config import Config
    from connector.config.activation import Campaign

EVERY_CAMPAIGN = "every campaign"
"""What an exclusion list applies to that names none."""


class Cutting(enum.Enum):
    """Why scores are not by stored cut points, in words."""

    FIRST = "Cut points as the first plan would fit them; none are stored yet."
    DUE = "Cut points as the next plan would fit them anew."


_ARMS = {
    Arm.TREATMENT: "Gets the campaign.",
    Arm.BUSINESS_AS_USUAL: "Held out: gets what people got before the campaign.",
    Arm.NO_CONTACT: "Held out: is sent nothing, to see what people do by themselves.",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a person stands in a campaign whose budget is short.

    Attributes:
        rank: From 1, best first.
        worth: What the ranking says of the person; None where it is not known.
        reached: How many of them the money reaches.
        all: How many would be added if it reached everybody.
        last: What the ranking says of the last one whom it reaches.
    """

    rank: int
    worth: float | None
    reached: int
    all: int
    last: float | None

    @property
    def waiting(self) -> int:
        """How many have to wait."""
        return self.all - self.reached


def mask(address: str) -> str:
    """An identifier that its owner recognises and nobody else: ``c•••@s•••.example``."""
    name, at, domain = address.partition("@")
    if not at:
        return f"{name[:2]}•••"
    host, dot, top = domain.rpartition(".") if "." in domain else (domain, "", "")
    return f"{name[:1]}•••@{host[:1]}•••{dot}{top}"


@dataclass(frozen=True, slots=True)
class Look(Subject):
    """What is told of one person.

    Attributes:
        config: The configuration.
        activation: What a plan would take of it.
    """

    config: Config
    activation: Activation

    def person(self) -> Person:
        """Who it is."""
        ((email, n, created),) = self.rows(
            "SELECT email, n_customers, created_at FROM profiles WHERE profile_id = $who"
        )
        return Person(
            self.profile_id, mask(email) if email else None, n, _aware(created), self.former
        )

    def rfm(self, otherwise: Cutting) -> Rfm:
        """Scores and groups in words.

        Args:
            otherwise: Why the cut points are not stored ones, where they are not.
        """
        model, currency = self.found.rfm_model, self.config.project.currency
        r, f, m, cell, group = (f'"{name}"' for name in model.columns)
        ((recency, frequency, monetary, *scores, cell_text, now, previous),) = self.rows(
            f"SELECT recency_days, frequency, monetary, {r}, {f}, {m}, {cell}, {group},"
            f' "{RFM}.previous_group" FROM scored WHERE profile_id = $who'
        )
        window = f"in {model.card.window_days} days"
        ago, orders = several(recency or 0, "day"), several(frequency or 0, "order")
        values = (
            ("recency", model.recency, recency, f"last order {ago} ago"),
            ("frequency", model.frequency, frequency, f"{orders} {window}"),
            ("monetary", model.monetary, monetary, f"{monetary or 0:,.2f} {currency} {window}"),
        )
        known = [
            _score(dimension, cuts, score, value, said, currency)
            for (dimension, cuts, value, said), score in zip(values, scores, strict=True)
            if score is not None
        ]
        fitted = iso_day(model.card.as_of, self.config.project.timezone)
        words = otherwise.value
        if self.found.rfm_version is not None:
            words = f"Cut points of {fitted} (version {self.found.rfm_version})."
        if not known:
            never = "ever" if now == model.no_orders else window
            words = f"No order {never}, so there are no scores."
        since = next(
            (
                parse_utc(row.since)
                for row in self.stored(schema.labels)
                if row.model == RFM and row.label == now
            ),
            None,
        )
        return Rfm(now, previous, since, cell_text or "", tuple(known), words)

    def segments(self) -> Iterator[SegmentView]:
        """Every segment with its rule."""
        known: dict[str, tuple[bool, datetime]] = {}
        for row in self.stored(schema.segment_state):
            known.setdefault(row.segment, (bool(row.is_member), parse_utc(row.since)))
        steady = Steady(self.found, self.state, self.profile_id, self.former, self.config)
        for segment in self.found.segments:
            told = trace.explain(self.found.warehouse, segment, self.profile_id)
            if told is None:
                continue
            member = steady.is_member(segment)
            was_member, since = known.get(segment.name, (None, None))
            if segment.held:
                # Its rule cannot be read, so nothing that the person does would change it.
                yield SegmentView(
                    segment=segment.name,
                    member=member,
                    since=since if was_member is member else None,
                    conditions=(),
                    to_leave=(),
                    to_enter=(),
                    steadiness=steady.told(segment, holds=False, member=member),
                )
                continue
            leave = steady.to_leave(segment) if member else ()
            enter = () if member else steady.to_enter(segment)
            changes = leave or enter
            yield SegmentView(
                segment=segment.name,
                member=member,
                since=since if was_member is member else None,
                conditions=tuple(Condition(x.text, x.holds, x.value) for x in told.findings),
                to_leave=leave,
                to_enter=enter,
                steadiness=steady.told(segment, holds=told.member, member=member),
                figures=tuple(self._figures(changes)),
            )

    def _figures(self, changes: Sequence[str]) -> Iterator[str]:
        """Where the tiers begin that a change names, beside what is expected of the person."""
        currency = self.config.project.currency
        for name, settings in self.config.models.named():
            scores: Any = self.found.scores.models.get(name)
            if settings.type != "clv" or scores is None:
                continue
            if not any(f"{name}.tier" in change for change in changes):
                continue
            edges = zip(scores.model.tiers, scores.model.cuts, strict=False)
            begins = [
                f"{tier.name} from {money(cut, currency)}" for tier, cut in edges
                if math.isfinite(cut)
            ]  # fmt: skip
            now = ""
            if f"{name}.expected" in self.found.columns:
                ((value,),) = self.rows(
                    f'SELECT "{name}.expected" FROM scored WHERE profile_id = $who'
                )
                now = f"; now {money(value, currency)}" if value is not None else ""
            if begins:
                yield f"{name}.tier by expected value: {', '.join(begins)}{now}"

    def campaigns(self) -> Iterator[CampaignView]:
        """Every campaign: addressed, held out, blocked and why, or none of these."""
        active = {spec.name for spec in self.activation.campaigns if spec.active}
        candidates = dict(
            self.rows("SELECT campaign, blocked FROM candidates WHERE profile_id = $who")
        )
        for name, one in self.config.campaigns.items():
            arm, is_logged, since, offer = self._arm(name, one.epoch)
            place = self._place(name) if one.rank_by is not None else None
            status, code = "blocked", candidates.get(name) or ""
            if name not in active:
                status, why = "not_running", self._dates(one)
            elif name not in candidates:
                status, why = "not_in_segment", f"Not in the segment {one.segment}."
            elif code == OVER_BUDGET:
                status, why = "waiting", self._waits(one, place)
            elif code:
                why = self._blocked(name, code, candidates)
            else:
                status = "addressed" if arm == Arm.TREATMENT else "held_out"
                why = _ARMS[Arm(arm or Arm.TREATMENT)]
                if offer is not None:
                    why += f" The offer is {offer}, drawn by chance and for good."
                if status == "addressed" and place is not None and place.waiting:
                    why += f" Place {place.rank:,} of {place.all:,} by {one.rank_by}; the budget of"
                    why += f" this run reaches {place.reached:,}."
            if is_logged and status in {"blocked", "not_in_segment", "not_running"}:
                why = f"{why} The arm drawn earlier stays, and counts in the lift."
            source = "log" if is_logged else "next_run" if arm else ""
            yield CampaignView(
                name, status, why, code, one.segment, arm, source, since,
                rank=None if place is None else place.rank,
                reached=None if place is None else place.reached,
                offer=offer,
            )  # fmt: skip

    def _place(self, campaign: str) -> _Place | None:
        """Where the person stands among those who would be added; None for anybody else."""
        active = {spec.name for spec in self.activation.campaigns if spec.active}
        if campaign not in active & {n for one in self.activation.rations for n in one.campaigns}:
            return None
        rows = self.rows(
            "SELECT k.place, k.worth, r.n, count(o.profile_id), min(o.worth) FILTER (o.place = r.n)"
            " FROM ranked k JOIN reached r ON r.campaign = k.campaign"
            " JOIN ranked o ON o.campaign = k.campaign"
            " WHERE k.profile_id = $who AND k.campaign = $campaign GROUP BY 1, 2, 3",
            {"campaign": campaign},
        )
        return _Place(*rows[0]) if rows else None

    def _waits(self, one: Campaign, place: _Place | None) -> str:
        """Why the person has to wait, with the figures that decide it."""
        words = "Waits for the budget"
        if place is None:
            return f"{words}; a later run continues with those who wait."
        has = "nothing known" if place.worth is None else f"{place.worth:,.4g}"
        words += f": place {place.rank:,} of {place.all:,} by {one.rank_by} ({has}), and the budget"
        words += f" of this run reaches {place.reached:,}"
        if place.last is not None:
            words += f", down to {place.last:,.4g}"
        return f"{words}. A later run continues with those who wait; the arm stays."

    def _arm(
        self, campaign: str, epoch: int
    ) -> tuple[str | None, bool, datetime | None, str | None]:
        """Arm, whether it is in the log, since when, and the offer."""
        draw = {"campaign": campaign, "epoch": epoch}
        one = "WHERE profile_id = $who AND campaign = $campaign AND epoch = $epoch"
        logged = self.rows(f"SELECT arm, first_eligible_at, offer FROM st_assignments {one}", draw)
        if logged:
            return logged[0][0], True, parse_utc(logged[0][1]), logged[0][2]
        drawn = self.rows(f"SELECT arm, offer FROM arms {one}", draw)
        arm, offer = drawn[0] if drawn else (None, None)
        return arm, False, None, offer

    def _dates(self, one: Campaign) -> str:
        today = self.found.as_of.astimezone(self.config.project.zone).date()
        if one.start is not None and today < one.start:
            return f"Does not run yet; it starts on {one.start}."
        return f"Does not run any more; it ended on {one.end}."

    def _blocked(self, campaign: str, code: str, candidates: dict[str, str | None]) -> str:
        """Why the person is left out, naming what does it."""
        words = phrase(BLOCKED, code)
        named: list[str] = []
        if code == "outranked":
            segment = self.config.campaigns[campaign].segment
            ranked = {
                name
                for one in self.config.priority_lists
                if segment in one.order
                for name in one.order
            }
            named = [
                name
                for name, blocked in candidates.items()
                if blocked in (None, "global_holdout")
                and self.config.campaigns[name].segment in ranked
            ]
        elif code == "excluded_from_campaign":
            named = [x.name for x in self.exclusions() if campaign in x.applies_to.split(", ")]
        elif code == "excluded":
            named = [x.name for x in self.exclusions() if x.applies_to == EVERY_CAMPAIGN]
        who = f" ({', '.join(named)})" if named else ""
        return f"{words.title}{who}. {words.sentence}"

    def global_holdout(self) -> str:
        """Whether the global holdout keeps the person back."""
        draw = self.activation.global_draw
        if draw is None:
            return "none."
        arm, is_logged, since, _ = self._arm(draw.campaign, draw.epoch)
        zone = self.config.project.timezone
        when = "as the next run would draw it"
        if is_logged and since:
            when = f"since {iso_day(since, zone)}"
        if arm is None:
            return f"{draw.campaign}: not drawn; it is when a campaign could address the person."
        if arm == Arm.NO_CONTACT:
            return f"{draw.campaign}: kept back from every campaign, {when}."
        return f"{draw.campaign}: not kept back, {when}."

    def consents(self) -> Iterator[ConsentView]:
        """What the person said to what each destination needs."""
        said = {
            (purpose, channel): (status, _aware(at))
            for purpose, channel, status, at in self.rows(
                'SELECT purpose, channel, status, "at" FROM permissions WHERE profile_id = $who'
            )
        }
        for spec in self.activation.destination_specs:
            if spec.purpose is None or spec.channel is None:
                words = "no consent is needed; the data stays inside"
                yield ConsentView(spec.name, words, None, None, "not_needed", None)
                continue
            status, at = said.get((spec.purpose, spec.channel), ("no_record", None))
            words = f"{spec.purpose} by {spec.channel}: "
            words += "no record, which means no" if status == "no_record" else status
            words += f" on {iso_day(at, self.config.project.timezone)}" if at else ""
            yield ConsentView(spec.name, words, spec.purpose, spec.channel, status, at)

    def exclusions(self) -> list[Exclusion]:
        """Lists that the person is on."""
        rows = self.rows(
            "SELECT list_name, coalesce(string_agg(DISTINCT applies_to, ', ' ORDER BY applies_to),"
            " $every) FROM exclusions WHERE profile_id = $who GROUP BY 1 ORDER BY 1",
            {"every": EVERY_CAMPAIGN},
        )
        return [Exclusion(*row) for row in rows]


def _score(
    dimension: str, cuts: Cuts, score: int, value: Decimal | int, said: str, currency: str
) -> Score:
    """One score and the values that have it."""
    # Whether anybody had the score when it was fitted says nothing about this person.
    axis = RfmAxis(dimension, str(cuts.method), tuple(map(float, cuts.edges)), cuts.reverse)
    means = axis_labels(axis, currency)[score - 1]
    words = f"{dimension[0].upper()} {score}: {said}; score {score} means {means}"
    return Score(words, dimension, score, float(value), means)


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
