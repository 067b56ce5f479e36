"""People at each gate between assignment and outcome, and people whom an experiment lost.

Randomisation makes arms of known shares. Four gates follow one another, and a filter that works on
one arm only shows as a wrong split behind the first gate that it stands before:

* *assigned*: in the log of arms, merged people once, under their earliest assignment;
* *eligible*: might have been sent the campaign at some run, by the ghost-send log, which judges
  every arm by one rule (:mod:`connector.audiences.sends`); waiting for a budget is eligible;
* *would send*: the budget reached them as well;
* *joined*: still in the shop's data, so that what they buy is seen.

Never conditioned on delivery, and "at some run" rather than "now": who was treated buys, and leaves
the segment sooner. People assigned before there was a ghost-send log are in the first gate and the
last.

Contamination is what intention to treat cannot mend: people who turned out to be one and hold two
arms, and holdouts whom the vendor reached all the same. Ledger and foreign members tell of the
present, so they speak of a campaign's newest epoch; sends in the events tell of the past, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from connector.audiences.rationing import OVER_BUDGET
from connector.domain import Arm
from connector.features.email import TABLE as EVENTS

if TYPE_CHECKING:
    from connector.config import Config
    from connector.state.database import State
    from connector.warehouse.duckdb import DuckDBWarehouse

HELD_OUT = (Arm.NO_CONTACT.value, Arm.BUSINESS_AS_USUAL.value)
"""Arms that get nothing of the campaign."""
SENT = ("email_sent", "email_delivered")
"""Meanings of events that say that a campaign reached somebody."""

Counts = Mapping[str, Mapping[str, int]]
"""Configuration version -> arm -> people."""


@dataclass(frozen=True, slots=True)
class GateCounts:
    """People of one campaign and epoch at each gate.

    Versions are those under which people were assigned, so that each has its intended shares; an
    arm without anybody is missing.
    """

    assigned: Counts = field(default_factory=dict)
    eligible: Counts = field(default_factory=dict)
    would_send: Counts = field(default_factory=dict)
    joined: Counts = field(default_factory=dict)


GATES = ("assigned", "eligible", "would_send", "joined")
"""In their order."""


@dataclass(frozen=True, slots=True)
class Contamination:
    """People of one campaign and epoch whose arm does not say what they got.

    Attributes:
        n_people: Everybody assigned.
        n_holdouts: Of them, in an arm that gets nothing of the campaign.
        n_two_arms: People who merged and were assigned to different arms before.
        n_listed: Holdouts on one of the campaign's treatment lists, by our ledger.
        n_foreign: Holdouts on such a list whom somebody else put there.
        n_mailed: Holdouts to whom an e-mail of the campaign was sent, by the shop's events.
        n_reached: Holdouts in at least one of the last three.
        n_contaminated: People in two arms or reached, each once.
    """

    n_people: int
    n_holdouts: int
    n_two_arms: int
    n_listed: int
    n_foreign: int
    n_mailed: int
    n_reached: int
    n_contaminated: int

    @property
    def two_arms_share(self) -> float:
        """Of everybody assigned, 0 to 1."""
        return self.n_two_arms / self.n_people if self.n_people else 0.0

    @property
    def reached_share(self) -> float:
        """Of the holdouts, 0 to 1."""
        return self.n_reached / self.n_holdouts if self.n_holdouts else 0.0

    @property
    def share(self) -> float:
        """Contaminated people of everybody assigned, 0 to 1."""
        return self.n_contaminated / self.n_people if self.n_people else 0.0


def read_gates(
    state: State, warehouse: DuckDBWarehouse, *, as_of: datetime
) -> dict[tuple[str, int], GateCounts]:
    """Count everybody at every gate.

    Args:
        state: Holds the log of arms and the ghost-send log.
        warehouse: Holds ``profiles`` of the first act; the logs are loaded beside it.
        as_of: Aware; people assigned later, and decisions of later runs, are not seen.

    Returns:
        (campaign, epoch) -> counts, the global holdout among them.
    """
    _load_log(state, warehouse, as_of=as_of)
    counts: dict[tuple[str, int], dict[str, dict[str, dict[str, int]]]] = {}
    for campaign, epoch, version, arm, *numbers in warehouse.connection.execute(
        f"""
        WITH decided AS (
            SELECT campaign, epoch, profile_id,
                bool_or(decision = 'yes') AS would_send,
                bool_or(decision = 'yes' OR reason = '{OVER_BUDGET}') AS eligible
            FROM gate_sends GROUP BY ALL
        ),
        logged AS (SELECT DISTINCT run_id FROM gate_sends)
        SELECT a.campaign, a.epoch, a.config_version, a.arm, count(*),
            count(*) FILTER (l.run_id IS NOT NULL AND d.eligible),
            count(*) FILTER (l.run_id IS NOT NULL AND d.would_send),
            count(*) FILTER (p.profile_id IS NOT NULL)
        FROM gate_people a
        LEFT JOIN logged l ON l.run_id = a.run_id
        LEFT JOIN decided d ON d.campaign = a.campaign AND d.epoch = a.epoch
            AND d.profile_id = a.profile_id
        LEFT JOIN (SELECT DISTINCT profile_id FROM profiles) p ON p.profile_id = a.profile_id
        GROUP BY ALL ORDER BY ALL
        """
    ).fetchall():
        gates = counts.setdefault((campaign, epoch), {gate: {} for gate in GATES})
        for gate, n in zip(GATES, numbers, strict=True):
            if n:
                gates[gate].setdefault(version, {})[arm] = n
    return {key: GateCounts(**gates) for key, gates in counts.items()}


def contamination(
    config: Config, state: State, warehouse: DuckDBWarehouse, *, as_of: datetime
) -> dict[tuple[str, int], Contamination]:
    """Count whom each experiment lost, and how.

    Args:
        config: Names campaigns, their lists, and the global holdout.
        state: Holds the log of arms, merges and ledgers.
        warehouse: Holds ``clean_events`` of the first act, if the shop has events.
        as_of: Aware; people assigned later, and events of later, are not seen.

    Returns:
        (campaign, epoch) -> counts.
    """
    _load_log(state, warehouse, as_of=as_of)
    _load_evidence(config, state, warehouse, as_of=as_of)
    return {
        (row[0], row[1]): Contamination(*row[2:])
        for row in warehouse.connection.execute(
            f"""
            WITH people AS (
                SELECT campaign, epoch, profile_id, arm IN {HELD_OUT} AS is_held, n_arms > 1 AS two
                FROM gate_people
            ),
            judged AS (
                SELECT p.*,
                    coalesce(bool_or(e.kind = 'listed'), FALSE) AS listed,
                    coalesce(bool_or(e.kind = 'foreign'), FALSE) AS "foreign",
                    coalesce(bool_or(e.kind = 'mailed'), FALSE) AS mailed
                FROM people p LEFT JOIN gate_evidence e ON p.is_held AND e.campaign = p.campaign
                    AND e.epoch = p.epoch AND e.profile_id = p.profile_id
                GROUP BY ALL
            )
            SELECT campaign, epoch, count(*), count(*) FILTER (is_held), count(*) FILTER (two),
                count(*) FILTER (listed), count(*) FILTER ("foreign"), count(*) FILTER (mailed),
                count(*) FILTER (listed OR "foreign" OR mailed),
                count(*) FILTER (two OR listed OR "foreign" OR mailed)
            FROM judged GROUP BY 1, 2 ORDER BY 1, 2
            """
        ).fetchall()
    }


def _load_log(state: State, warehouse: DuckDBWarehouse, *, as_of: datetime) -> None:
    """Make ``gate_people``, a row for each campaign, epoch and present person, and ``gate_sends``.

    ``n_arms`` of ``gate_people`` is in how many arms the person was before any merge.
    """
    present = "LEFT JOIN profile_merges m ON m.from_profile_id = x.profile_id"
    who = "coalesce(m.into_profile_id, x.profile_id) AS profile_id"
    for name, rows in state.arrow(
        {
            "gate_assignments": f"SELECT x.campaign, x.epoch, {who}, x.arm, x.first_eligible_at,"
            f" x.config_version, x.run_id, x.profile_id AS logged_as FROM assignments x {present}",
            "gate_decisions": f"SELECT x.campaign, x.epoch, {who}, x.decision, x.reason, x.run_id,"
            ' coalesce(r.as_of, x."at") AS as_of'
            f" FROM would_send x LEFT JOIN runs r ON r.run_id = x.run_id {present}",
        }
    ).items():
        warehouse.load(name, rows)
    con = warehouse.connection
    con.execute(
        """
        CREATE OR REPLACE TABLE gate_people AS
        SELECT CAST(campaign AS TEXT) AS campaign, CAST(epoch AS INTEGER) AS epoch,
            CAST(profile_id AS TEXT) AS profile_id,
            arg_min(CAST(arm AS TEXT), (first_eligible_at, logged_as)) AS arm,
            arg_min(CAST(config_version AS TEXT), (first_eligible_at, logged_as))
                AS config_version,
            arg_min(CAST(run_id AS TEXT), (first_eligible_at, logged_as)) AS run_id,
            CAST(replace(min(CAST(first_eligible_at AS TEXT)), 'Z', '') AS TIMESTAMP)
                AS first_eligible_at,
            count(DISTINCT arm) AS n_arms
        FROM gate_assignments
        WHERE CAST(replace(CAST(first_eligible_at AS TEXT), 'Z', '') AS TIMESTAMP) <= $as_of
        GROUP BY ALL
        """,
        {"as_of": _naive(as_of)},
    )
    con.execute(
        """
        CREATE OR REPLACE TABLE gate_sends AS
        SELECT CAST(campaign AS TEXT) AS campaign, CAST(epoch AS INTEGER) AS epoch,
            CAST(profile_id AS TEXT) AS profile_id, CAST(decision AS TEXT) AS decision,
            CAST(reason AS TEXT) AS reason, CAST(run_id AS TEXT) AS run_id
        FROM gate_decisions
        WHERE CAST(replace(CAST(as_of AS TEXT), 'Z', '') AS TIMESTAMP) <= $as_of
        """,
        {"as_of": _naive(as_of)},
    )


def _load_evidence(
    config: Config, state: State, warehouse: DuckDBWarehouse, *, as_of: datetime
) -> None:
    """Make ``gate_evidence(kind, campaign, epoch, profile_id)``: whom the vendor reached."""
    held_out = ", ".join(f"'{arm}'" for arm in HELD_OUT)
    lists = f"audiences a ON a.destination = x.destination AND a.arm NOT IN ({held_out})"
    merged = "LEFT JOIN profile_merges m ON m.from_profile_id"
    record = "records r ON r.destination = x.destination AND r"
    for name, rows in state.arrow(
        {
            "gate_listed": "SELECT DISTINCT 'listed' AS kind, a.campaign,"
            " coalesce(m.into_profile_id, x.profile_id) AS profile_id FROM memberships x"
            f" JOIN {lists} AND a.audience_id = x.audience_id {merged} = x.profile_id"
            " WHERE x.presence <> 'no'",
            # A member is known by the vendor's record id, or by the address where it has none.
            "gate_foreign": " UNION ".join(
                "SELECT 'foreign' AS kind, a.campaign,"
                " coalesce(m.into_profile_id, r.profile_id) AS profile_id FROM foreign_members x"
                f" JOIN {lists} AND a.audience_id = x.audience_id"
                f" JOIN {record}.{key} = x.member {merged} = r.profile_id"
                for key in ("record_id", "match_value")
            ),
            "gate_list_names": "SELECT DISTINCT campaign, name FROM audiences"
            f" WHERE arm NOT IN ({held_out})",
        }
    ).items():
        warehouse.load(name, rows)
    con = warehouse.connection
    _load_scopes(config, warehouse)
    con.execute(
        """
        CREATE OR REPLACE TABLE gate_evidence AS
        SELECT DISTINCT CAST(x.kind AS TEXT) AS kind, s.experiment AS campaign, n.epoch,
            CAST(x.profile_id AS TEXT) AS profile_id
        FROM (FROM gate_listed UNION ALL FROM gate_foreign) x
        JOIN gate_scopes s ON s.campaign = CAST(x.campaign AS TEXT)
        JOIN (SELECT campaign, max(epoch) AS epoch FROM gate_people GROUP BY 1) n
            ON n.campaign = s.experiment
        WHERE s.until IS NULL OR s.until > $as_of
        """,
        {"as_of": _naive(as_of)},
    )
    if {"campaign", "meaning"} <= set(warehouse.columns(EVENTS)):
        con.execute(
            f"""
            INSERT INTO gate_evidence
            WITH names AS (
                SELECT DISTINCT campaign, lower(campaign) AS name FROM gate_scopes
                UNION
                SELECT CAST(campaign AS TEXT), lower(CAST(name AS TEXT)) FROM gate_list_names
            ),
            -- What happened after a new draw belongs to the next epoch.
            spans AS (
                SELECT campaign, epoch, profile_id, first_eligible_at,
                    lead(first_eligible_at) OVER (PARTITION BY campaign, profile_id ORDER BY epoch)
                        AS ends_at
                FROM gate_people
            )
            SELECT DISTINCT 'mailed', p.campaign, p.epoch, p.profile_id
            FROM {EVENTS} e
            JOIN names n ON n.name = lower(e.campaign)
            JOIN gate_scopes s ON s.campaign = n.campaign
            JOIN spans p ON p.campaign = s.experiment AND p.profile_id = e.profile_id
                AND e.occurred_at >= p.first_eligible_at
                AND (p.ends_at IS NULL OR e.occurred_at < p.ends_at)
            WHERE e.meaning IN {SENT} AND e.occurred_at < $as_of
              AND (s.until IS NULL OR e.occurred_at < s.until)
            """,
            {"as_of": _naive(as_of)},
        )


def _load_scopes(config: Config, warehouse: DuckDBWarehouse) -> None:
    """Make ``gate_scopes(experiment, campaign, until)``: whose sends spoil whose holdout.

    A campaign spoils its own, and the global holdout unless it is exempt.
    """
    rows: list[tuple[str, str, datetime | None]] = [(name, name, None) for name in config.campaigns]
    held = config.holdouts.global_
    if held is not None:
        exempt: Collection[str] = held.exempt_campaigns
        rows += [(held.name, name, None) for name in config.campaigns if name not in exempt]
    con = warehouse.connection
    con.execute(
        "CREATE OR REPLACE TABLE gate_scopes(experiment TEXT, campaign TEXT, until TIMESTAMP)"
    )
    if rows:
        con.executemany("INSERT INTO gate_scopes VALUES (?, ?, ?)", rows)


def _naive(moment: datetime) -> datetime:
    """An instant as the engine's UTC timestamps are."""
    return moment.astimezone(UTC).replace(tzinfo=None)
