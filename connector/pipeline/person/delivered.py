"""What the ledgers hold of one person at one destination."""

from __future__ import annotations

from datetime import timedelta

from connector.audiences.specs import DestinationSpec
from connector.domain import Presence
from connector.pipeline.person.explanation import DestinationView, Issue, Membership
from connector.pipeline.person.subject import Subject
from connector.report.format import iso_day
from connector.report.words import BLOCKED, ISSUES, phrase
from connector.state import schema
from connector.state.database import parse_utc

LAST_ISSUES = 5
"""Row issues shown for each destination."""


def destination_view(one: Subject, spec: DestinationSpec, timezone: str) -> DestinationView:
    """What the ledger knows of the person at one destination.

    Args:
        one: The person.
        spec: The destination.
        timezone: In which days are told.
    """
    here = {"destination": spec.name}
    ((code, match_key),) = one.rows(
        "SELECT coalesce(blocked, ''), match_key FROM reach"
        " WHERE profile_id = $who AND destination = $destination",
        here,
    )
    records = one.rows(
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
        if code == "not_at_destination" and checked_at:
            again = parse_utc(checked_at) + timedelta(days=spec.recheck_missing_days)
            words += f" The destination is asked again on {iso_day(again, timezone)}."
    elif record == "not_asked":
        words += " Whether the destination knows the person is asked by the next plan."
    return DestinationView(
        destination=spec.name,
        words=words,
        code=code,
        record=record,
        properties=presence,
        blocked=blocked,
        lists=_lists(one, spec, match_key),
        issues=_issues(one, spec.name),
    )


def _issues(one: Subject, destination: str) -> tuple[Issue, ...]:
    rows = [row for row in one.stored(schema.row_issues) if row.destination == destination]
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


def _lists(one: Subject, spec: DestinationSpec, match_key: str | None) -> tuple[Membership, ...]:
    """Lists by the ledger, under the present address and earlier ones."""
    rows = one.rows(
        "SELECT coalesce(a.name, m.audience_id), m.presence, coalesce(m.claims, ''),"
        " coalesce(m.blocked_code, '') FROM st_memberships m LEFT JOIN st_audiences a"
        " ON a.destination = m.destination AND a.audience_id = m.audience_id"
        " WHERE m.destination = $destination AND (m.match_key = $key"
        " OR m.profile_id = $who OR list_contains($ids, m.profile_id))"
        " AND (m.presence <> 'no' OR m.blocked_code IS NOT NULL) ORDER BY ALL",
        {"destination": spec.name, "key": match_key, "ids": list(one.ids)},
    )
    return tuple(
        Membership(name, presence, tuple(filter(None, claims.split(","))), blocked)
        for name, presence, claims, blocked in rows
    )
