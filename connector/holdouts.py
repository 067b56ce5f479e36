"""Randomised control groups: who is treated, who gets business as usual, who is left alone.

An arm depends on the salt, the campaign, the epoch and the profile alone:
``md5(salt:campaign:epoch:profile_id)``, first eight hex digits as an unsigned integer, the same in
Python and in every warehouse (single-pass hashes correlate across salts; see the tests). The log
wins over the hash: whoever has an arm keeps it, a changed share applies to the newly eligible only,
and a merge of two people keeps the earliest assignment. The global holdout is a campaign of its
own, drawn first; people in it are addressed by no campaign that is not exempt.

A campaign may try several *offers*: its treatment arm is divided among them by a second hash,
``md5(salt:campaign:epoch:profile_id:offer)``, which says nothing of the first. An offer is as much
for good as an arm: nobody ever gets two, and a merge keeps that of the earliest assignment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from connector.domain import Arm
from connector.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

ORDER = (Arm.TREATMENT, Arm.BUSINESS_AS_USUAL, Arm.NO_CONTACT)
"""The order in which shares are laid along the bucket line; never change it."""

BUCKETS = 2**32


@dataclass(frozen=True, slots=True)
class Draw:
    """What is drawn for one campaign in one epoch.

    Attributes:
        campaign: Its name; for the global holdout, that holdout's name.
        epoch: Randomisation epoch.
        shares: Arm -> share, adding up to 1.
        offers: Offer -> share of the treatment arm, adding up to 1; empty: there is one strategy.
    """

    campaign: str
    epoch: int
    shares: Mapping[Arm, float]
    offers: Mapping[str, float] = field(default_factory=dict)


def bucket_of(salt: str, campaign: str, epoch: int, profile_id: str) -> int:
    """The bucket of one profile, 0 to 2**32 - 1; the SQL below computes the same."""
    text = f"{salt}:{campaign}:{epoch}:{profile_id}"
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8], 16)


def arm_of(bucket: int, shares: Mapping[Arm, float]) -> Arm:
    """The arm that a bucket falls into; the SQL below computes the same."""
    upper = 0.0
    present = [arm for arm in ORDER if shares.get(arm, 0.0) > 0.0]
    for arm in present:
        upper += shares[arm]
        if bucket < round(upper * BUCKETS):
            return arm
    return present[-1]


def offer_bucket_of(salt: str, campaign: str, epoch: int, profile_id: str) -> int:
    """The bucket that decides among offers; independent of the one that decides the arm."""
    return bucket_of(salt, campaign, epoch, f"{profile_id}:offer")


def offer_of(bucket: int, shares: Mapping[str, float]) -> str:
    """The offer that a bucket falls into; the SQL below computes the same."""
    *first, last = _line({name: shares[name] for name in sorted(shares)})
    return next((name for name, _, upper in first if bucket < upper), last[0])


def check_salt(stored_digest: str | None, salt: str) -> str:
    """Refuse a salt that differs from the one that earlier arms were drawn with.

    Returns:
        The digest to store.

    Raises:
        ConfigError: The salt has changed, so every hash would move.
    """
    digest = hashlib.sha256(f"liftline-salt:{salt}".encode()).hexdigest()
    if stored_digest is not None and stored_digest != digest:
        raise ConfigError(
            "holdouts.assign.salt differs from the salt that earlier arms were drawn with.",
            hint="Restore the old salt; to draw anew for one campaign, raise its `epoch` instead.",
        )
    return digest


def draw_arms(
    con: duckdb.DuckDBPyConnection,
    *,
    salt: str,
    draws: Sequence[Draw],
    global_draw: Draw | None,
    as_of: datetime,
) -> None:
    """Create ``arms`` for the eligible, and block those whom the global holdout keeps back.

    Relations read: ``candidates``, ``cfg_campaigns``, ``st_assignments(campaign, epoch, profile_id,
    arm, bucket, first_eligible_at)`` with merged profiles already mapped.
    Relation made: ``arms(campaign, epoch, profile_id, arm, bucket, first_eligible_at, is_new)``;
        times are ISO text.

    Args:
        con: The workspace.
        salt: Secret text; never logged.
        draws: One for each campaign.
        global_draw: The global holdout: its treatment arm is addressed, its no-contact arm is held
            back.
        as_of: The instant of this run; becomes ``first_eligible_at`` of the newly assigned.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE cfg_arms(campaign TEXT, epoch INTEGER, arm TEXT, lower_edge"
        " BIGINT, upper_edge BIGINT)"
    )
    edges = [
        row for draw in (*draws, *([global_draw] if global_draw else [])) for row in _edges(draw)
    ]
    if edges:
        con.execute(
            "INSERT INTO cfg_arms SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)",
            [list(column) for column in zip(*edges, strict=True)],
        )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE arms(campaign TEXT, epoch INTEGER, profile_id TEXT, arm"
        " TEXT, bucket BIGINT,"
        " first_eligible_at TEXT, is_new BOOL, offer TEXT)"
    )
    at = f"{as_of.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    if global_draw is not None:
        _assign(
            con,
            salt,
            at,
            """
            SELECT DISTINCT CAST($campaign AS TEXT) AS campaign,
                CAST($epoch AS INTEGER) AS epoch, k.profile_id
            FROM candidates k JOIN cfg_campaigns c USING (campaign)
            WHERE k.blocked IS NULL AND NOT c.exempt
            """,
            {"campaign": global_draw.campaign, "epoch": global_draw.epoch},
        )
        con.execute(
            """
            UPDATE candidates SET blocked = 'global_holdout'
            WHERE blocked IS NULL
              AND campaign IN (SELECT campaign FROM cfg_campaigns WHERE NOT exempt)
              AND profile_id IN (SELECT profile_id FROM arms WHERE campaign = ?
                  AND arm = 'no_contact')
            """,
            [global_draw.campaign],
        )
    _assign(
        con,
        salt,
        at,
        "SELECT campaign, epoch, profile_id FROM candidates WHERE blocked IS NULL",
        {},
    )
    _offer(con, salt, draws)


def _assign(
    con: duckdb.DuckDBPyConnection,
    salt: str,
    at: str,
    population: str,
    parameters: Mapping[str, object],
) -> None:
    con.execute(
        f"""
        INSERT INTO arms BY NAME
        WITH population AS ({population}),
        hashed AS (
            SELECT *, CAST('0x' || substr(md5($salt || ':' || campaign || ':' || epoch || ':' ||
                profile_id), 1, 8)
                           AS BIGINT) AS drawn
            FROM population
        )
        SELECT h.campaign, h.epoch, h.profile_id, coalesce(s.arm, a.arm) AS arm,
            coalesce(s.bucket, h.drawn) AS bucket,
            coalesce(s.first_eligible_at, $at) AS first_eligible_at, s.arm IS NULL AS is_new
        FROM hashed h
        LEFT JOIN st_assignments s
            ON s.campaign = h.campaign AND s.epoch = h.epoch AND s.profile_id = h.profile_id
        JOIN cfg_arms a
            ON a.campaign = h.campaign AND a.epoch = h.epoch
            AND h.drawn >= a.lower_edge AND h.drawn < a.upper_edge
        """,
        {"salt": salt, "at": at, **parameters},
    )


def _offer(con: duckdb.DuckDBPyConnection, salt: str, draws: Sequence[Draw]) -> None:
    """Give everybody who is treated one of the campaign's offers; the log wins here, too."""
    edges = [
        (draw.campaign, draw.epoch, *part)
        for draw in draws
        if draw.offers
        for part in _line({name: draw.offers[name] for name in sorted(draw.offers)})
    ]
    if not edges:
        return
    con.execute(
        "CREATE OR REPLACE TEMP TABLE cfg_offers(campaign TEXT, epoch INTEGER, offer TEXT,"
        " lower_edge BIGINT, upper_edge BIGINT)"
    )
    con.execute(
        "INSERT INTO cfg_offers SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)",
        [list(column) for column in zip(*edges, strict=True)],
    )
    con.execute(
        """
        UPDATE arms SET offer = s.offer FROM st_assignments s
        WHERE s.campaign = arms.campaign AND s.epoch = arms.epoch
            AND s.profile_id = arms.profile_id AND NOT arms.is_new
        """
    )
    con.execute(
        """
        UPDATE arms SET offer = o.offer FROM cfg_offers o
        WHERE o.campaign = arms.campaign AND o.epoch = arms.epoch
            AND arms.is_new AND arms.arm = 'treatment'
            AND CAST('0x' || substr(md5($salt || ':' || arms.campaign || ':' || arms.epoch || ':' ||
                arms.profile_id || ':offer'), 1, 8) AS BIGINT)
                BETWEEN o.lower_edge AND o.upper_edge - 1
        """,
        {"salt": salt},
    )


def _edges(draw: Draw) -> list[tuple[str, int, str, int, int]]:
    line = _line({arm.value: draw.shares.get(arm, 0.0) for arm in ORDER})
    return [(draw.campaign, draw.epoch, *part) for part in line]


def _line(shares: Mapping[str, float]) -> list[tuple[str, int, int]]:
    """Name, first bucket and the one after the last, for each share above 0, in their order."""
    rows: list[tuple[str, int, int]] = []
    lower, upper = 0, 0.0
    for name, share in shares.items():
        if share > 0.0:
            upper += share
            rows.append((name, lower, round(upper * BUCKETS)))
            lower = round(upper * BUCKETS)
    # Shares that add up to 0.9999999 must not leave the last bucket without an owner.
    name, low, _ = rows[-1]
    rows[-1] = (name, low, BUCKETS)
    return rows
