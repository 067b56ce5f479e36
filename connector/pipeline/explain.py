"""Everything about one person: scores, segments, campaigns, arms, consent and what was delivered.

Computed like a plan, with the same statements, from the sources and the state as they are; no
vendor is asked, so whom a destination knows is told from the ledger. Who is meant may be said by an
e-mail address; it is used to find the person and then forgotten: no text here holds one, errors
included.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import duckdb
import sqlalchemy as sa

from connector import holdouts
from connector.audiences import eligibility, reach
from connector.audiences.specs import DestinationSpec, load_specs
from connector.domain import Arm, Presence
from connector.models.cuts import Cuts
from connector.pipeline.activation import Activation
from connector.pipeline.explanation import (
    CampaignView,
    Condition,
    ConsentView,
    DestinationView,
    Exclusion,
    Explanation,
    Issue,
    Membership,
    Person,
    Rfm,
    Score,
    SegmentView,
)
from connector.pipeline.known import load_state
from connector.pipeline.understand import RFM, Understanding
from connector.pipeline.who import find_profile, former_ids, load_merges
from connector.report.people import RfmAxis
from connector.report.words import BLOCKED, ISSUES, axis_labels, phrase
from connector.segments import trace
from connector.state import schema
from connector.state.database import State, parse_utc

if TYPE_CHECKING:
    from connector.config import Config
    from connector.config.activation import Campaign
    from connector.pipeline.project import Project

__all__ = ["Explanation", "explain", "explaining", "mask"]

LAST_ISSUES = 5
"""Row issues shown for each destination."""

EVERY_CAMPAIGN = "every campaign"
"""What an exclusion list applies to that names none."""

NOTHING: Mapping[str, object] = MappingProxyType({})


class Cutting(enum.Enum):
    """Why scores are not by stored cut points, in words."""

    FIRST = "Cut points as the first plan would fit them; none are stored yet."
    DUE = "Cut points as the next plan would fit them anew."


_ARMS = {
    Arm.TREATMENT: "Gets the campaign.",
    Arm.BUSINESS_AS_USUAL: "Held out: gets what people got before the campaign.",
    Arm.NO_CONTACT: "Held out: is sent nothing, to see what people do by themselves.",
}


def explain(project: Project, who: str, *, as_of: datetime | None = None) -> Explanation:
    """Tell everything about one person.

    Args:
        project: The project; nothing of it is changed, and no vendor is asked.
        who: A profile id, a customer id or an e-mail address.
        as_of: Overrides the file's instant.

    Raises:
        LiftlineError: Nobody is found, or nobody that may be shown. The message does not repeat
            ``who``.
    """
    with explaining(project, as_of=as_of) as tell:
        return tell(who)


@contextlib.contextmanager
def explaining(
    project: Project, *, as_of: datetime | None = None
) -> Iterator[Callable[[str], Explanation]]:
    """Tell of several people for the price of one: the first act is what takes the time.

    Args:
        project: The project.
        as_of: Overrides the file's instant.

    Yields:
        :func:`explain` of one more person.
    """
    with project.workspace() as warehouse:
        found = project.understand(warehouse, as_of=as_of)
        activation = project.activation(found)
        _judge(warehouse.connection, project.state, activation, as_of=found.as_of)
        load_merges(warehouse.connection)
        stored = project.journal.model(RFM) is not None

        def tell(who: str) -> Explanation:
            profile_id = find_profile(found, who)
            former = former_ids(warehouse.connection, profile_id)
            look = _Look(found, project.config, project.state, activation, profile_id, former)
            return Explanation(
                person=look.person(),
                as_of=found.as_of,
                rfm=look.rfm(Cutting.DUE if stored else Cutting.FIRST),
                segments=tuple(look.segments()),
                campaigns=tuple(look.campaigns()),
                global_holdout=look.global_holdout(),
                consents=tuple(look.consents()),
                exclusions=tuple(look.exclusions()),
                destinations=tuple(map(look.destination, activation.destination_specs)),
            )

        yield tell


def mask(address: str) -> str:
    """An identifier that its owner recognises and nobody else: ``c•••@s•••.example``."""
    name, at, domain = address.partition("@")
    if not at:
        return f"{name[:2]}•••"
    host, dot, top = domain.rpartition(".") if "." in domain else (domain, "", "")
    return f"{name[:1]}•••@{host[:1]}•••{dot}{top}"


# ---------------------------------------------------------------------- as a plan would
def _judge(
    con: duckdb.DuckDBPyConnection,
    state: State,
    activation: Activation,
    *,
    as_of: datetime,
) -> None:
    """Make ``reach``, ``candidates`` and ``arms`` as a plan would.

    Whoever was never looked up at a destination is taken as known there; the next plan asks.
    """
    holdouts.check_salt(state.get("salt_digest"), activation.salt)
    load_state(con, state)
    load_specs(con, activation.destination_specs, activation.campaigns, activation.priority_lists)
    reach.build_reach(con)
    reach.apply_records(con)
    con.execute(
        "UPDATE reach SET blocked = NULL WHERE blocked = 'not_at_destination' AND NOT EXISTS"
        " (SELECT 1 FROM st_records k WHERE k.destination = reach.destination"
        " AND k.match_key = reach.match_key AND k.checked_at IS NOT NULL)"
    )
    eligibility.build_candidates(con)
    holdouts.draw_arms(
        con,
        salt=activation.salt,
        draws=activation.draws,
        global_draw=activation.global_draw,
        as_of=as_of,
    )


# ---------------------------------------------------------------------- what is told
@dataclass(frozen=True, slots=True)
class _Look:
    """One person in the workspace."""

    found: Understanding
    config: Config
    state: State
    activation: Activation
    profile_id: str
    former: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that the state may know the person by."""
        return (self.profile_id, *self.former)

    def rows(self, sql: str, values: Mapping[str, object] = NOTHING) -> list[tuple[Any, ...]]:
        """Rows of the workspace about this person; ``$who`` stands for the profile."""
        con = self.found.warehouse.connection
        return con.execute(sql, {"who": self.profile_id, **values}).fetchall()

    def stored(self, table: sa.Table) -> Sequence[sa.Row[Any]]:
        """Rows of the state about this person, under the present id before former ones."""
        present = table.c.profile_id == self.profile_id
        query = sa.select(table).where(table.c.profile_id.in_(self.ids)).order_by(present.desc())
        with self.state.engine.connect() as connection:
            return connection.execute(query).all()

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
        values = (
            ("recency", model.recency, recency, f"last order {recency} days ago"),
            ("frequency", model.frequency, frequency, f"{frequency} orders {window}"),
            ("monetary", model.monetary, monetary, f"{monetary or 0:,.2f} {currency} {window}"),
        )
        known = [
            _score(dimension, cuts, score, value, said, currency)
            for (dimension, cuts, value, said), score in zip(values, scores, strict=True)
            if score is not None
        ]
        fitted = f"{model.card.as_of:%Y-%m-%d}"
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
        for segment in self.found.segments:
            told = trace.explain(self.found.warehouse, segment, self.profile_id)
            if told is None:
                continue
            was_member, since = known.get(segment.name, (None, None))
            yield SegmentView(
                segment=segment.name,
                member=told.member,
                since=since if was_member is told.member else None,
                conditions=tuple(Condition(x.text, x.holds, x.value) for x in told.findings),
                to_leave=told.to_change if told.member else (),
                to_enter=() if told.member else told.to_change,
            )

    def campaigns(self) -> Iterator[CampaignView]:
        """Every campaign: addressed, held out, blocked and why, or none of these."""
        active = {spec.name for spec in self.activation.campaigns if spec.active}
        candidates = dict(
            self.rows("SELECT campaign, blocked FROM candidates WHERE profile_id = $who")
        )
        for name, one in self.config.campaigns.items():
            arm, is_logged, since = self._arm(name, one.epoch)
            status, code = "blocked", candidates.get(name) or ""
            if name not in active:
                status, why = "not_running", self._dates(one)
            elif name not in candidates:
                status, why = "not_in_segment", f"Not in the segment {one.segment}."
            elif code:
                why = self._blocked(name, code, candidates)
            else:
                status = "addressed" if arm == Arm.TREATMENT else "held_out"
                why = _ARMS[Arm(arm or Arm.TREATMENT)]
            if is_logged and status in {"blocked", "not_in_segment", "not_running"}:
                why = f"{why} The arm drawn earlier stays, and counts in the lift."
            source = "log" if is_logged else "next_run" if arm else ""
            yield CampaignView(name, status, why, code, one.segment, arm, source, since)

    def _arm(self, campaign: str, epoch: int) -> tuple[str | None, bool, datetime | None]:
        """Arm, whether it is in the log, and since when."""
        draw = {"campaign": campaign, "epoch": epoch}
        one = "WHERE profile_id = $who AND campaign = $campaign AND epoch = $epoch"
        logged = self.rows(f"SELECT arm, first_eligible_at FROM st_assignments {one}", draw)
        if logged:
            return logged[0][0], True, parse_utc(logged[0][1])
        drawn = self.rows(f"SELECT arm FROM arms {one}", draw)
        return (drawn[0][0] if drawn else None), False, None

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
            return "There is none."
        arm, is_logged, since = self._arm(draw.campaign, draw.epoch)
        when = f"since {since:%Y-%m-%d}" if is_logged and since else "as the next run would draw it"
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
            words += f" on {at:%Y-%m-%d}" if at else ""
            yield ConsentView(spec.name, words, spec.purpose, spec.channel, status, at)

    def exclusions(self) -> list[Exclusion]:
        """Lists that the person is on."""
        rows = self.rows(
            "SELECT list_name, coalesce(string_agg(DISTINCT applies_to, ', ' ORDER BY applies_to),"
            " $every) FROM exclusions WHERE profile_id = $who GROUP BY 1 ORDER BY 1",
            {"every": EVERY_CAMPAIGN},
        )
        return [Exclusion(*row) for row in rows]

    def destination(self, spec: DestinationSpec) -> DestinationView:
        """What the ledger knows of the person at one destination."""
        here = {"destination": spec.name}
        ((code, match_key),) = self.rows(
            "SELECT coalesce(blocked, ''), match_key FROM reach"
            " WHERE profile_id = $who AND destination = $destination",
            here,
        )
        records = self.rows(
            "SELECT record_id IS NOT NULL, checked_at, presence, coalesce(blocked_code, '')"
            " FROM st_records WHERE destination = $destination AND match_key = $key"
            " AND $who IS NOT NULL",
            {**here, "key": match_key},
        )
        is_known, checked_at, presence, blocked = (
            records[0] if records else (False, None, Presence.NO.value, "")
        )
        if not spec.looks_up:
            record = "no_look_up"
        elif is_known:
            record = "known"
        else:
            record = "unknown_there" if checked_at else "not_asked"
        words = "May be written to."
        if code:
            words = f"{phrase(BLOCKED, code).title}. {phrase(BLOCKED, code).sentence}"
        elif record == "not_asked":
            words += " Whether the destination knows the person is asked by the next plan."
        return DestinationView(
            destination=spec.name,
            words=words,
            code=code,
            record=record,
            properties=presence,
            blocked=blocked,
            lists=self._lists(spec, match_key),
            issues=self._issues(spec.name),
        )

    def _issues(self, destination: str) -> tuple[Issue, ...]:
        rows = [row for row in self.stored(schema.row_issues) if row.destination == destination]
        rows.sort(key=lambda row: -row.issue_id)
        return tuple(
            Issue(
                words=f"{phrase(ISSUES, row.code).title}: {row.message}",
                at=parse_utc(row.at),
                run_id=row.run_id,
                action=f"{row.action} ({row.audience or 'properties'})",
                code=row.code,
            )
            for row in rows[:LAST_ISSUES]
        )

    def _lists(self, spec: DestinationSpec, match_key: str | None) -> tuple[Membership, ...]:
        """Lists by the ledger, under the present address and earlier ones."""
        rows = self.rows(
            "SELECT coalesce(a.name, m.audience_id), m.presence, coalesce(m.claims, ''),"
            " coalesce(m.blocked_code, '') FROM st_memberships m LEFT JOIN st_audiences a"
            " ON a.destination = m.destination AND a.audience_id = m.audience_id"
            " WHERE m.destination = $destination AND (m.match_key = $key"
            " OR m.profile_id = $who OR list_contains($ids, m.profile_id))"
            " AND (m.presence <> 'no' OR m.blocked_code IS NOT NULL) ORDER BY ALL",
            {"destination": spec.name, "key": match_key, "ids": list(self.ids)},
        )
        return tuple(
            Membership(name, presence, tuple(filter(None, claims.split(","))), blocked)
            for name, presence, claims, blocked in rows
        )


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
