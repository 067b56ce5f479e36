"""What a person should know of a plan that holds nothing: shares that changed, people not known.

Both would otherwise be silent: a new share leaves everybody's arm as it is, and somebody whom the
vendor does not know is left alone for days, imported meanwhile or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from connector.audiences.specs import instant
from connector.config import Config
from connector.domain import Arm, Finding, Level
from connector.holdouts import Draw
from connector.numbers import percent, several
from connector.report.words import ARMS, phrase
from connector.state.journal import Journal

if TYPE_CHECKING:
    import duckdb

_SAME = 1e-9
"""Shares that differ by less are the same."""


def changed_in_file(journal: Journal, config: Config, *, as_of: datetime) -> Iterator[Finding]:
    """:func:`changed_shares` of a file, whether its campaigns run or not."""
    everyone = config.holdouts.global_on(as_of.astimezone(config.project.zone).date())
    yield from changed_shares(
        journal,
        [Draw(name, one.epoch, one.arms) for name, one in config.campaigns.items()],
        None
        if everyone is None
        else Draw(
            everyone.name,
            1,
            {Arm.TREATMENT: 1.0 - everyone.share, Arm.NO_CONTACT: everyone.share},
        ),
    )


def changed_shares(
    journal: Journal, draws: Iterable[Draw], everyone: Draw | None
) -> Iterator[Finding]:
    """Campaigns whose shares are not those that people were last drawn with.

    Args:
        journal: Holds the shares of every applied run.
        draws: What the next run would draw with.
        everyone: The same for the global holdout.
    """
    last = journal.last_shares()
    placed = [(f"campaigns.{draw.campaign}.arms", draw) for draw in draws]
    if everyone is not None:
        placed.append(("holdouts.global.share", everyone))
    for place, draw in placed:
        before = last.get((draw.campaign, draw.epoch))
        if before is None:
            continue
        now = {arm.value: share for arm, share in draw.shares.items()}
        moved = [
            f"{phrase(ARMS, arm.value).title.lower()} {percent(before.get(arm.value, 0.0))}"
            f" to {percent(now.get(arm.value, 0.0))}"
            for arm in Arm
            if abs(before.get(arm.value, 0.0) - now.get(arm.value, 0.0)) > _SAME
        ]
        if moved:
            yield Finding(
                Level.NOTE,
                place,
                f"Changed since the last applied run ({', '.join(moved)}). This applies to"
                " newcomers only: whoever has an arm keeps it.",
            )


def asked_again(con: duckdb.DuckDBPyConnection, *, now: datetime) -> Iterator[Finding]:
    """People whom a destination does not know, and when it is asked about them again.

    Args:
        con: The workspace after :func:`connector.audiences.reach.apply_records`.
        now: The clock's reading; whoever was to be asked before it is not asked about any more.
    """
    for destination, n, first in con.execute(
        f"""
        SELECT destination, count(*), strftime(min(again), '%Y-%m-%d') FROM (
            SELECT r.destination, CAST(k.checked_at AS TIMESTAMP)
                + to_seconds(CAST(d.recheck_days * 86400 AS BIGINT)) AS again
            FROM reach r
            JOIN cfg_destinations d ON d.destination = r.destination
            JOIN st_records k ON k.destination = r.destination AND k.match_key = r.match_key
            WHERE r.blocked = 'not_at_destination' AND k.checked_at IS NOT NULL
        ) WHERE again > {instant(now)} GROUP BY 1 ORDER BY 1
        """
    ).fetchall():
        people = several(n, "person is", "people are")
        yield Finding(
            Level.NOTE,
            destination,
            f"{people} unknown there, and asked again on {first} at the earliest, even if imported"
            f" meanwhile; a shorter destinations.{destination}.recheck_missing_after asks sooner.",
        )
