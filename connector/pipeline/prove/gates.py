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

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from connector.audiences.rationing import OVER_BUDGET
from connector.domain import Arm
from connector.errors import LedgerError
from connector.features.email import TABLE as EVENTS
from connector.lift.health import Contamination, Gate, Intake
from connector.pipeline import specs

if TYPE_CHECKING:
    from connector.config import Config
    from connector.state.database import State
    from connector.warehouse.duckdb import DuckDBWarehouse

HELD_OUT = (Arm.NO_CONTACT.value, Arm.BUSINESS_AS_USUAL.value)
"""Arms that get nothing of the campaign."""
SENT = ("email_sent", "email_delivered")
"""Meanings of events that say that a campaign reached somebody."""

Counts = Mapping[str, Mapping[str, int]]
"""Configuration version -> arm -> people; an arm without anybody is missing."""


@dataclass(frozen=True, slots=True)
class GateCounts:
    """People of one campaign and epoch at each gate, under the version that assigned them.

    Attributes:
        counts: Every gate, in the order in which people pass.
    """

    counts: Mapping[Gate, Counts]

    def intakes(self, shares: Mapping[str, Mapping[Arm, float]]) -> dict[Gate, list[Intake]]:
        """The same, beside what was intended, as :func:`connector.lift.health.gate_ratios` takes.

        Args:
            shares: Configuration version -> arm -> share that it drew with.

        Raises:
            LedgerError: People were assigned by a version whose shares are not known.
        """
        for version in self.counts[Gate.ASSIGNED]:
            if version not in shares:
                raise LedgerError(
                    "no intended shares are known for the people assigned under configuration"
                    f" version {version}."
                )
        return {
            gate: [
                Intake(shares[version], {Arm(arm): n for arm, n in arms.items()})
                for version, arms in versions.items()
            ]
            for gate, versions in self.counts.items()
        }


@dataclass(frozen=True, slots=True)
class ArmContamination:
    """People of one arm who are not what it says.

    Attributes:
        n_people: Everybody assigned to it.
        n_two_arms: People who merged and were assigned to different arms before.
        n_listed: People on one of the campaign's treatment lists, by our ledger; holdouts only,
            like the next three.
        n_foreign: People on such a list whom somebody else put there.
        n_mailed: People to whom an e-mail of the campaign was sent, by the shop's events.
        n_reached: People in at least one of the last three.
        n_contaminated: People in two arms or reached, each once.
    """

    n_people: int
    n_two_arms: int
    n_listed: int
    n_foreign: int
    n_mailed: int
    n_reached: int
    n_contaminated: int


@dataclass(frozen=True, slots=True)
class ContaminationCounts:
    """People of one campaign and epoch whose arm does not say what they got.

    Attributes:
        arms: Arm -> its people; an arm without anybody is missing.
    """

    arms: Mapping[str, ArmContamination]

    @property
    def n_people(self) -> int:
        """Everybody assigned."""
        return sum(arm.n_people for arm in self.arms.values())

    @property
    def n_contaminated(self) -> int:
        """People in two arms, and holdouts reached, each once."""
        return sum(arm.n_contaminated for arm in self.arms.values())

    @property
    def share(self) -> float:
        """Contaminated people of everybody assigned, 0 to 1."""
        return self.n_contaminated / self.n_people if self.n_people else 0.0

    def compared(self, treatment: str, holdout: str) -> Contamination:
        """What concerns the comparison of two arms, as the rule takes it."""
        none = ArmContamination(0, 0, 0, 0, 0, 0, 0)
        treated, held = self.arms.get(treatment, none), self.arms.get(holdout, none)
        return Contamination(
            n_people=treated.n_people + held.n_people,
            n_in_two_arms=treated.n_two_arms + held.n_two_arms,
            n_holdout=held.n_people,
            n_holdout_reached=held.n_reached,
        )


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
    counts: dict[tuple[str, int], dict[Gate, dict[str, dict[str, int]]]] = {}
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
        gates = counts.setdefault((campaign, epoch), {gate: {} for gate in Gate})
        for gate, n in zip(Gate, numbers, strict=True):
            if n:
                gates[gate].setdefault(version, {})[arm] = n
    return {key: GateCounts(gates) for key, gates in counts.items()}


def contamination(
    config: Config, state: State, warehouse: DuckDBWarehouse, *, as_of: datetime
) -> dict[tuple[str, int], ContaminationCounts]:
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
    found: dict[tuple[str, int], dict[str, ArmContamination]] = {}
    for campaign, epoch, arm, *numbers in warehouse.connection.execute(
        f"""
        WITH judged AS (
            SELECT p.campaign, p.epoch, p.profile_id, p.arm, p.n_arms > 1 AS two,
                coalesce(bool_or(e.kind = 'listed'), FALSE) AS listed,
                coalesce(bool_or(e.kind = 'foreign'), FALSE) AS "foreign",
                coalesce(bool_or(e.kind = 'mailed'), FALSE) AS mailed
            FROM gate_people p LEFT JOIN gate_evidence e ON p.arm IN {HELD_OUT}
                AND e.campaign = p.campaign AND e.epoch = p.epoch AND e.profile_id = p.profile_id
            GROUP BY ALL
        )
        SELECT campaign, epoch, arm, count(*), count(*) FILTER (two),
            count(*) FILTER (listed), count(*) FILTER ("foreign"), count(*) FILTER (mailed),
            count(*) FILTER (listed OR "foreign" OR mailed),
            count(*) FILTER (two OR listed OR "foreign" OR mailed)
        FROM judged GROUP BY ALL ORDER BY ALL
        """
    ).fetchall():
        found.setdefault((campaign, epoch), {})[arm] = ArmContamination(*numbers)
    return {key: ContaminationCounts(arms) for key, arms in found.items()}


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
    for held in config.holdouts.global_:
        exempt = specs.exempt_campaigns(config, held)
        # Afterwards its people are released, and may be reached.
        until = None
        if held.end is not None:
            midnight = datetime.combine(held.end + timedelta(days=1), time(), config.project.zone)
            until = _naive(midnight)
        rows += [(held.name, name, until) for name in config.campaigns if name not in exempt]
    con = warehouse.connection
    con.execute(
        "CREATE OR REPLACE TABLE gate_scopes(experiment TEXT, campaign TEXT, until TIMESTAMP)"
    )
    if rows:
        con.executemany("INSERT INTO gate_scopes VALUES (?, ?, ?)", rows)


def _naive(moment: datetime) -> datetime:
    """An instant as the engine's UTC timestamps are."""
    return moment.astimezone(UTC).replace(tzinfo=None)
