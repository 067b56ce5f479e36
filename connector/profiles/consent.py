"""Consent: what each person last said for each purpose and channel, and nothing means no.

The latest record before ``as_of`` wins; of two at the same moment the withdrawal wins. A withdrawal
counts whatever its time: it may bear a clock that goes ahead, or the run a past ``as_of``, and it
is today that people are written to. Doubt always denies:

* A status that is neither a word for yes nor a word for no (a vendor renamed ``subscribed``) is set
  aside and reported, and where it is the newest record the person has *no record*: the older yes
  does not stand, and because it is not an explicit withdrawal either, the guards still hold the
  removal of everybody at once.
* A withdrawal without a time counts as the newest. One without a purpose or channel counts for all
  of them.
* A yes without a time, purpose or channel is no yes.

One address speaks for a person: the primary one of the profile (see
:mod:`connector.profiles.people`).

Rows that vanish may bring an older withdrawal to light: whoever said no in March and yes in May
has said no when May is lost. So what is read here keeps its time (``at``), and while the table is
in doubt (:func:`check_consent`) only withdrawals that are new pass the guards
(:mod:`connector.audiences.reach`). None of the older ones is written to in any case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from connector.domain import Finding, Level
from connector.numbers import percent
from connector.ports import Warehouse
from connector.profiles.quarantine import quarantine_sql
from connector.profiles.spec import ConsentSpec, PersonKey, StepReport
from connector.warehouse.render import literal

TABLE = "consents"
SUBJECT = "consent"
"""What findings about the whole table are about."""
QUARANTINE = "quarantined_consents"
NOT_QUARANTINED = ("after_as_of", "other_purpose")
"""Reasons that are no fault of a record."""
_MOST_STATUSES = 12
"""A column with more different words is none of statuses."""
_LONGEST_WORD = 20
_WORDS_SHOWN = 3
_ENDLESS = "TIMESTAMP '9999-12-31 00:00:00'"


@dataclass(frozen=True, slots=True)
class ConsentReport:
    """What the consent table says.

    Attributes:
        records: The fate of every record; those with an unknown status are kept, because they deny.
        n_granted: Standing yeses (person, purpose, channel).
        n_withdrawn: Standing withdrawals.
        n_unknown: Where the newest record has a status that nobody explained.
        unknown_words: The most frequent of these statuses, where they may be shown.
    """

    records: StepReport
    n_granted: int
    n_withdrawn: int
    n_unknown: int
    unknown_words: tuple[str, ...] = ()

    @property
    def quarantine_relation(self) -> str:
        """Relation of the records set aside; empty without a consent table."""
        return self.records.quarantine_relation

    def lines(self) -> list[tuple[str, str, int]]:
        """The report as rows (table, measure, n), for the run's quality summary."""
        return [
            *self.records.lines(),
            (TABLE, "standing_granted", self.n_granted),
            (TABLE, "standing_withdrawn", self.n_withdrawn),
            (TABLE, "standing_unknown", self.n_unknown),
        ]


def resolve_consent(
    warehouse: Warehouse, spec: ConsentSpec, *, as_of: datetime, consents: str = "in_consents"
) -> ConsentReport:
    """Make ``consent_standing(person, purpose, channel, status, at)``.

    Its rows are granted or withdrawn; what cannot be understood has no row.

    Args:
        warehouse: Where the mapped consents lie; without such a relation nobody has consented.
        spec: How they are read.
        as_of: A yes at or after it is not known yet.
        consents: The mapped relation.
    """
    if not warehouse.columns(consents):
        warehouse.create_table_as(
            "consent_standing",
            "SELECT CAST(NULL AS VARCHAR) AS person, CAST(NULL AS VARCHAR) AS purpose, CAST(NULL"
            " AS VARCHAR) AS channel,"
            " CAST(NULL AS VARCHAR) AS status, CAST(NULL AS TIMESTAMP) AS at WHERE FALSE",
        )
        return ConsentReport(StepReport(TABLE, 0, 0, {}), 0, 0, 0)
    warehouse.create_table_as("consent_judged", _judged(spec, as_of, consents))
    warehouse.create_table_as("consent_newest", _newest())
    warehouse.create_view_as(
        "consent_standing",
        "SELECT n.person AS person, n.purpose AS purpose, n.channel AS channel, n.status AS"
        " status, n.at AS at"
        " FROM consent_newest AS n WHERE n.status <> 'unknown'",
    )
    faults = ", ".join(map(literal, NOT_QUARANTINED))
    warehouse.create_view_as(
        QUARANTINE,
        quarantine_sql(
            TABLE,
            relation="consent_judged",
            key="x.person",
            reason="coalesce(x.reason, 'unknown_status')",
            where=f"x.reason NOT IN ({faults}) OR (x.reason IS NULL AND x.status = 'unknown')",
        ),
    )
    return _report(warehouse)


def check_consent(
    report: ConsentReport, *, previous_rows: int | None, max_drop_share: float
) -> list[Finding]:
    """Tell a consent table that broke from people who withdrew.

    Args:
        report: What was resolved.
        previous_rows: Records of the last runs; None: there were none.
        max_drop_share: Share of records (0 to 1) that may vanish or be unusable, and of standing
            answers that may be unreadable.
    """
    n_in, subject = report.records.n_in, SUBJECT
    if n_in == 0:
        return [
            Finding(
                Level.ERROR,
                subject,
                "There is not one consent record, so nobody may be reached.",
                "Check the source: an empty consent table is a failure, not everybody's"
                " withdrawal.",
            )
        ]
    findings = []
    drop = (previous_rows - n_in) / previous_rows if previous_rows else 0.0
    if drop > max_drop_share:
        findings.append(
            Finding(
                Level.ERROR,
                subject,
                f"{n_in:,} consent records, {percent(drop)} fewer than the {previous_rows:,} of the"
                " last runs"
                f" ({percent(max_drop_share)} are allowed).",
                "Repair the source: people who withdraw leave a record, they do not take records"
                " away.",
            )
        )
    faults = {
        reason: n
        for reason, n in sorted(report.records.left_out.items())
        if reason not in NOT_QUARANTINED
    }
    if sum(faults.values()) > max_drop_share * n_in:
        told = ", ".join(f"{n:,} {reason.replace('_', ' ')}" for reason, n in faults.items())
        findings.append(
            Finding(
                Level.ERROR,
                subject,
                f"{sum(faults.values()):,} of {n_in:,} consent records cannot be used: {told}.",
                "Look at the columns of `consent`; what cannot be read is no consent.",
            )
        )
    n_standing = report.n_granted + report.n_withdrawn + report.n_unknown
    if report.n_unknown:
        share = report.n_unknown / n_standing
        named = ", ".join(f"'{word}'" for word in report.unknown_words)
        findings.append(
            Finding(
                Level.ERROR if share > max_drop_share else Level.WARNING,
                subject,
                f"{report.n_unknown:,} of {n_standing:,} answers ({percent(share)}) have a status"
                " that is neither a word for granted nor for withdrawn"
                f"{f' (such as {named})' if named else ''}; they count as no.",
                "Add the word to consent.granted or consent.withdrawn.",
            )
        )
    return findings or [Finding(Level.OK, subject, f"{n_in:,} consent records.")]


def grant_permissions(warehouse: Warehouse, spec: ConsentSpec) -> int:
    """Make ``permissions(profile_id, purpose, channel, status, at)``; no row means no.

    And ``withdrawn_addresses(email, purpose, channel, at)``: a no holds for the address that it
    was said with, even where the profile has another one by now, or is gone.

    Args:
        warehouse: Where ``consent_standing``, ``profiles`` and ``profile_customers`` lie.
        spec: How persons are identified.

    Returns:
        Number of granted rows.
    """
    columns = "s.purpose AS purpose, s.channel AS channel, s.status AS status, s.at AS at"
    if spec.key is PersonKey.EMAIL:
        sql = (
            f"SELECT p.profile_id AS profile_id, {columns} FROM consent_standing AS s"
            " JOIN profiles AS p ON p.email = s.person"
        )
    else:
        sql = (
            "SELECT x.profile_id AS profile_id, x.purpose AS purpose, x.channel AS channel,"
            " x.status AS status, x.at AS at"
            f" FROM (SELECT c.profile_id AS profile_id, {columns}, row_number() OVER"
            " (PARTITION BY c.profile_id, s.purpose, s.channel"
            f" ORDER BY coalesce(s.at, {_ENDLESS}) DESC NULLS LAST, s.status DESC NULLS LAST) AS"
            " ll_rank"
            " FROM consent_newest AS s JOIN profile_customers AS c ON c.customer_id = s.person)"
            " AS x"
            " WHERE x.ll_rank = 1 AND x.status <> 'unknown'"
        )
    warehouse.create_table_as("permissions", sql)
    condition = "s.status = 'withdrawn'" if spec.key is PersonKey.EMAIL else "FALSE"
    warehouse.create_view_as(
        "withdrawn_addresses",
        "SELECT s.person AS email, s.purpose AS purpose, s.channel AS channel, s.at AS at"
        f" FROM consent_standing AS s WHERE {condition}",
    )
    (n_granted,) = warehouse.rows(
        "SELECT count(*) AS n FROM permissions AS p WHERE p.status = 'granted'"
    )[0]
    return int(n_granted)


def _judged(spec: ConsentSpec, as_of: datetime, consents: str) -> str:
    """Every record with its status in our words and, where it cannot be used, the reason."""
    person = "normalise_email(c.person)" if spec.key is PersonKey.EMAIL else "c.person"
    bad_person = "r.person IS NULL"
    if spec.key is PersonKey.EMAIL:
        bad_person += " OR NOT coalesce(is_email(r.person), FALSE)"
    granted, withdrawn = (
        ", ".join(literal(word.strip().lower()) for word in words) or "NULL"
        for words in (spec.granted, spec.withdrawn)
    )
    word = "lower(trim(c.status))"
    purposes = ", ".join(literal(purpose.strip().lower()) for purpose in spec.purposes)
    other = f"r.purpose NOT IN ({purposes})" if purposes else "FALSE"
    later_no = " AND r.status <> 'withdrawn'" if spec.hears_later_no else ""
    return (
        "SELECT r.person AS person, r.purpose AS purpose, r.channel AS channel, r.status AS"
        " status, r.at AS at, CASE WHEN r.status = 'unknown' THEN r.word END AS word, CASE"
        f" WHEN r.at >= {literal(as_of)}{later_no} THEN 'after_as_of'"
        f" WHEN {bad_person} THEN 'unreadable_person'"
        f" WHEN {other} THEN 'other_purpose'"
        " WHEN r.status = 'granted' AND r.at IS NULL THEN 'missing_at'"
        " WHEN r.status = 'granted' AND r.purpose IS NULL THEN 'missing_purpose'"
        " WHEN r.status = 'granted' AND r.channel IS NULL THEN 'missing_channel' END AS reason"
        f" FROM (SELECT {person} AS person, lower(trim(c.purpose)) AS purpose,"
        " lower(trim(c.channel)) AS channel"
        f", CASE WHEN {word} IN ({withdrawn}) THEN 'withdrawn' WHEN {word} IN ({granted}) THEN"
        " 'granted'"
        f" ELSE 'unknown' END AS status, {word} AS word, c.at AS at FROM {consents} AS c) AS r"
    )


def _newest() -> str:
    """The newest answer by person, purpose and channel; a no without either speaks for all."""
    whole = "j.reason IS NULL AND j.purpose IS NOT NULL AND j.channel IS NOT NULL"
    blank = "j.reason IS NULL AND (j.purpose IS NULL OR j.channel IS NULL)"
    return (
        "SELECT y.person AS person, y.purpose AS purpose, y.channel AS channel, y.status AS"
        " status, y.at AS at FROM ("
        "SELECT x.person AS person, x.purpose AS purpose, x.channel AS channel, x.status AS"
        " status, x.at AS at"
        ", row_number() OVER (PARTITION BY x.person, x.purpose, x.channel ORDER BY"
        f" coalesce(x.at, {_ENDLESS}) DESC NULLS LAST, x.status DESC NULLS LAST) AS ll_rank FROM ("
        "SELECT j.person AS person, j.purpose AS purpose, j.channel AS channel, j.status AS"
        " status, j.at AS at"
        f" FROM consent_judged AS j WHERE {whole} UNION ALL"
        " SELECT j.person AS person, p.purpose AS purpose, p.channel AS channel, j.status AS"
        " status, j.at AS at"
        " FROM consent_judged AS j JOIN (SELECT DISTINCT j.person AS person, j.purpose AS"
        " purpose, j.channel AS channel"
        f" FROM consent_judged AS j WHERE {whole}) AS p ON p.person = j.person"
        " AND (j.purpose IS NULL OR j.purpose = p.purpose) AND (j.channel IS NULL OR j.channel ="
        " p.channel)"
        f" WHERE {blank}) AS x) AS y WHERE y.ll_rank = 1"
    )


def _report(warehouse: Warehouse) -> ConsentReport:
    """Count records and standing answers."""
    rows = warehouse.rows(
        "SELECT j.reason AS reason, j.status AS status, count(*) AS n FROM consent_judged AS j"
        " GROUP BY j.reason, j.status"
    )
    left_out: dict[str, int] = {}
    n_kept = n_unknown = 0
    for reason, status, n in rows:
        if reason is not None:
            left_out[reason] = left_out.get(reason, 0) + n
        else:
            n_kept += n
            n_unknown += n if status == "unknown" else 0
    standing = {
        str(status): int(n)
        for status, n in warehouse.rows(
            "SELECT n.status AS status, count(*) AS n FROM consent_newest AS n GROUP BY n.status"
        )
    }
    return ConsentReport(
        records=StepReport(
            table=TABLE,
            n_in=n_kept + sum(left_out.values()),
            n_kept=n_kept,
            left_out=left_out,
            emptied={"unknown_status": n_unknown} if n_unknown else {},
            quarantine_relation=QUARANTINE,
        ),
        n_granted=standing.get("granted", 0),
        n_withdrawn=standing.get("withdrawn", 0),
        n_unknown=standing.get("unknown", 0),
        unknown_words=_unknown_words(warehouse) if n_unknown else (),
    )


def _unknown_words(warehouse: Warehouse) -> tuple[str, ...]:
    """Statuses that nobody explained, the most frequent first, where they may be shown.

    Words of letters only: a wrong column may hold addresses or numbers. And none at all where there
    are more of them than any shop has statuses: such a column may hold names.
    """
    rows = warehouse.rows(
        "SELECT j.word AS word, count(*) AS n FROM consent_judged AS j"
        " WHERE j.reason IS NULL AND j.status = 'unknown' AND j.word IS NOT NULL"
        f" GROUP BY j.word ORDER BY n DESC, word LIMIT {_MOST_STATUSES + 1}"
    )
    if len(rows) > _MOST_STATUSES:
        return ()
    plain = (str(word) for word, _ in rows)
    return tuple(w for w in plain if w.isalpha() and len(w) <= _LONGEST_WORD)[:_WORDS_SHOWN]
