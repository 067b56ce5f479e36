"""Clean events, tickets, social interactions and loyalty bookings: what people did, and when.

All four are cleaned alike. A row is kept when it can be true, is its key's only one, and belongs to
somebody with a profile; every other row has a reason, and the faulty ones are set aside and
counted. An event without a customer is the owner's of its device where ``links`` tells who that is
(:mod:`connector.profiles.devices`); else it belongs to nobody.

An event's name becomes its *meaning* once, here: shops and mailing systems spell the same thing in
their own ways, and the list of words for each meaning is data that a configuration may replace.
Features speak of meanings only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connector.ports import Warehouse
from connector.profiles.duplicates import deduplicate
from connector.profiles.products import load_categories
from connector.profiles.quarantine import quarantine_sql
from connector.profiles.spec import Duplicates, StepReport
from connector.tables import (
    EVENT_MEANINGS,
    EVENTS,
    LOYALTY,
    ON_SITE,
    SOCIAL,
    TICKETS,
    Table,
)
from connector.warehouse.render import literal, quote

NOT_QUARANTINED = (
    "after_as_of",
    "exact_duplicate",
    "key_duplicate",
    "test_account",
    "customer_after_as_of",
    "anonymous",
)
"""Reasons that are no fault of a row."""

KNOWN_AT = "ll_known_at"
"""Column of clean events: since when it is known whose they are."""

FIRST_EVENT = datetime(1995, 1, 1, tzinfo=UTC)
"""Before it there were no shops on the web; 1970 is how a broken clock says nothing."""
LONGEST_S = 24 * 3600
"""No page is read longer than a day; such a duration is a forgotten tab or a broken clock."""


@dataclass(frozen=True, slots=True)
class EventsSpec:
    """How events are read.

    Attributes:
        words: Meaning -> names of events, in any letter case.
        aliases: Spelling of a category -> the category that is meant.
        from_properties: Columns that no mapping gives and that are looked up, by their own names,
            in the JSON object of ``properties``.
        session_gap_minutes: Visits of events without a session end after so long without one.
        links: Relation ``anonymous_id, profile_id, linked_at`` of devices whose owner is known
            (since when), one row a device; empty: an event without a customer is nobody's.
    """

    words: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EVENT_MEANINGS)
    aliases: Mapping[str, str] = field(default_factory=dict)
    from_properties: tuple[str, ...] = ()
    session_gap_minutes: int = 30
    links: str = ""


READABLE = ("product_id", "category", "duration_s", "session_id", "campaign", "channel")
"""Columns of events that may be looked up in ``properties``."""


def clean_events(
    warehouse: Warehouse, spec: EventsSpec, *, as_of: datetime, events: str = "in_events"
) -> StepReport:
    """Make ``clean_events``: what people with a profile did before ``as_of``.

    Columns: ``event_id, profile_id, event, meaning, occurred_at, session_id, product_id, category,
    subcategory, duration_s, channel, campaign, value, properties``, those that the mapping adds,
    and ``ll_known_at``. ``meaning`` is NULL for a name that no list holds. A visit without an id
    gets one. ``ll_known_at`` is since when it is known whose event it is: later than the event
    where it took place before its device was first seen with a customer.

    Args:
        warehouse: Where the events, ``profile_customers``, ``test_customers`` and
            ``customers_later`` lie, and ``clean_products``, where there are products.
        spec: How they are read.
        as_of: Nothing at or after it is seen.
        events: The mapped events; empty relations result where there are none.
    """
    if not warehouse.columns(events):
        _nothing(warehouse, EVENTS)
        events = "no_events"
    columns = list(warehouse.columns(events))
    read = [name for name in spec.from_properties if name in READABLE]
    picks = [
        f"{_from_json(name) if name in read else f'e.{quote(name)}'} AS {quote(name)}"
        for name in columns
    ]
    _load_meanings(warehouse, spec, events)
    warehouse.create_view_as(
        "events_read",
        f"SELECT {', '.join(picks)}, w.meaning AS meaning FROM {events} AS e"
        " LEFT JOIN event_meanings AS w ON w.raw = e.event",
    )
    report = _clean(
        warehouse,
        EVENTS,
        "events_read",
        as_of=as_of,
        links=spec.links,
        impossible=(
            ("impossible_time", f"x.occurred_at < {literal(FIRST_EVENT)}"),
            ("negative_duration", "x.duration_s < 0"),
            ("impossible_duration", f"x.duration_s > {LONGEST_S}"),
        ),
    )
    load_categories(
        warehouse,
        "events_kept",
        ("category",),
        aliases=spec.aliases,
        output="event_categories",
    )
    own = {"session_id", "category", "subcategory"}
    kept = [name for name in warehouse.columns("events_kept") if name not in own]
    listed = ", ".join(f"x.{quote(name)} AS {quote(name)}" for name in kept)
    sessions, join = _sessions(warehouse, spec)
    known_at = "" if spec.links else f", x.occurred_at AS {KNOWN_AT}"
    warehouse.create_table_as(
        "clean_events",
        f"SELECT {listed}, {sessions} AS session_id, coalesce(c.category, p.category) AS category"
        f", p.subcategory AS subcategory{known_at} FROM events_kept AS x"
        " LEFT JOIN event_categories AS c ON c.raw = x.category"
        f" LEFT JOIN {_products(warehouse)} AS p ON p.product_id = x.product_id{join}",
    )
    return report


def clean_tickets(
    warehouse: Warehouse, *, as_of: datetime, tickets: str = "in_tickets"
) -> StepReport:
    """Make ``clean_tickets``: requests opened before ``as_of``, as they stood then.

    A ticket that was closed later is still open, and nobody had judged it yet.
    """
    if not warehouse.columns(tickets):
        _nothing(warehouse, TICKETS)
        tickets = "no_tickets"
    report = _clean(
        warehouse,
        TICKETS,
        tickets,
        as_of=as_of,
        impossible=(("closed_before_opened", "x.closed_at < x.opened_at"),),
    )
    closed = f"x.closed_at < {literal(as_of)}"
    kept = [
        f"CASE WHEN {closed} THEN x.{quote(name)} END AS {quote(name)}"
        if name in ("closed_at", "satisfaction")
        else f"x.{quote(name)} AS {quote(name)}"
        for name in warehouse.columns("tickets_kept")
    ]
    warehouse.create_table_as("clean_tickets", f"SELECT {', '.join(kept)} FROM tickets_kept AS x")
    return report


def clean_social(warehouse: Warehouse, *, as_of: datetime, social: str = "in_social") -> StepReport:
    """Make ``clean_social``: interactions before ``as_of``; networks and actions in small letters.

    A sentiment outside -1 to 1 sets the row aside.
    """
    if not warehouse.columns(social):
        _nothing(warehouse, SOCIAL)
        social = "no_social"
    report = _clean(
        warehouse,
        SOCIAL,
        social,
        as_of=as_of,
        impossible=(("impossible_sentiment", "x.sentiment < -1 OR x.sentiment > 1"),),
    )
    kept = [
        f"lower(trim(x.{quote(name)})) AS {quote(name)}"
        if name in ("network", "action")
        else f"x.{quote(name)} AS {quote(name)}"
        for name in warehouse.columns("social_kept")
    ]
    warehouse.create_table_as("clean_social", f"SELECT {', '.join(kept)} FROM social_kept AS x")
    return report


def clean_loyalty(
    warehouse: Warehouse, *, as_of: datetime, loyalty: str = "in_loyalty"
) -> StepReport:
    """Make ``clean_loyalty``: bookings before ``as_of``."""
    if not warehouse.columns(loyalty):
        _nothing(warehouse, LOYALTY)
        loyalty = "no_loyalty"
    report = _clean(warehouse, LOYALTY, loyalty, as_of=as_of)
    warehouse.create_table_as("clean_loyalty", "SELECT x.* FROM loyalty_kept AS x")
    return report


# ---------------------------------------------------------------------- steps
def _nothing(warehouse: Warehouse, table: Table) -> None:
    """An empty relation in the shape of a table that nobody maps."""
    columns = [f"CAST(NULL AS {c.type}) AS {c.name}" for c in table.columns]
    warehouse.create_table_as(f"no_{table.name}", f"SELECT {', '.join(columns)} WHERE FALSE")


def _clean(
    warehouse: Warehouse,
    table: Table,
    rows: str,
    *,
    as_of: datetime,
    impossible: tuple[tuple[str, str], ...] = (),
    links: str = "",
) -> StepReport:
    """Make ``<table>_kept``: the rows that can be true, one for each key, with their profile.

    Args:
        warehouse: Where they lie.
        table: The contract; its key and its one required time are used.
        rows: Relation with the contract's columns, and maybe others.
        as_of: Nothing at or after it is seen.
        impossible: Reason and condition over ``x`` of rows that cannot be true.
        links: As in :class:`EventsSpec`.
    """
    name, key = table.name, table.key[0]
    time = next(c.name for c in table.columns if c.required and c.type == "TIMESTAMP")
    seen, judged = f"{name}_seen", f"{name}_judged"
    columns = list(warehouse.columns(rows))
    listed = ", ".join(f"x.{quote(column)} AS {quote(column)}" for column in columns)
    warehouse.create_view_as(
        seen,
        f"SELECT {listed}, CASE WHEN x.{key} IS NULL THEN 'missing_{key}' WHEN x.{time} IS NULL"
        f" THEN 'missing_{time}' WHEN x.{time} >= {literal(as_of)} THEN 'after_as_of' END AS"
        f" ll_reason FROM {rows} AS x",
    )
    warehouse.create_view_as(
        f"{name}_visible", f"SELECT {listed} FROM {seen} AS x WHERE x.ll_reason IS NULL"
    )
    removed = deduplicate(
        warehouse,
        relation=f"{name}_visible",
        key=key,
        output=f"{name}_unique",
        policy=Duplicates.KEEP_LATEST,
        as_of=as_of,
        table=name,
    )
    others = [column for column in columns if column not in ("customer_id", "anonymous_id")]
    owner, owner_at, join, nobody = "m.profile_id", "", "", ""
    if "anonymous_id" in columns:
        nobody = " WHEN x.customer_id IS NULL AND x.anonymous_id IS NOT NULL THEN 'anonymous'"
    if links:
        owner = "coalesce(m.profile_id, d.profile_id)"
        owner_at = f", greatest(x.{time}, coalesce(d.linked_at, x.{time})) AS {KNOWN_AT}"
        join = (
            f" LEFT JOIN {links} AS d ON d.anonymous_id = x.anonymous_id AND x.customer_id IS NULL"
        )
        nobody = f" WHEN {owner} IS NOT NULL THEN NULL{nobody}"
    cases = "".join(f" WHEN {text} THEN {literal(reason)}" for reason, text in impossible)
    warehouse.create_table_as(
        judged,
        f"SELECT {', '.join(f'x.{quote(c)} AS {quote(c)}' for c in others)}"
        f", {owner} AS profile_id{owner_at}, CASE{cases}{nobody}"
        " WHEN x.customer_id IS NULL THEN 'missing_customer'"
        " WHEN t.customer_id IS NOT NULL THEN 'test_account'"
        " WHEN m.customer_id IS NULL AND l.customer_id IS NOT NULL THEN 'customer_after_as_of'"
        " WHEN m.customer_id IS NULL THEN 'unknown_customer' END AS ll_reason"
        f" FROM {name}_unique AS x"
        " LEFT JOIN profile_customers AS m ON m.customer_id = x.customer_id"
        " LEFT JOIN test_customers AS t ON t.customer_id = x.customer_id"
        f" LEFT JOIN customers_later AS l ON l.customer_id = x.customer_id{join}",
    )
    known = (KNOWN_AT,) if links else ()
    kept = ", ".join(f"x.{quote(c)} AS {quote(c)}" for c in (*others, "profile_id", *known))
    warehouse.create_view_as(
        f"{name}_kept", f"SELECT {kept} FROM {judged} AS x WHERE x.ll_reason IS NULL"
    )
    return _report(warehouse, name, key, rows, {**removed.counts})


def _report(
    warehouse: Warehouse, name: str, key: str, rows: str, removed: Mapping[str, int]
) -> StepReport:
    """Write the quarantine and count the fates."""
    faultless = ", ".join(map(literal, NOT_QUARANTINED))
    relation = f"quarantined_{name}"
    parts, fates, n_kept = [], dict(removed), 0
    for step in (f"{name}_seen", f"{name}_judged"):
        parts.append(
            quarantine_sql(
                name,
                relation=step,
                key=f"x.{key}",
                reason="x.ll_reason",
                where=f"x.ll_reason NOT IN ({faultless})",
            )
        )
        for reason, n in warehouse.rows(
            f"SELECT x.ll_reason AS reason, count(*) AS n FROM {step} AS x GROUP BY x.ll_reason"
        ):
            if reason is not None:
                fates[str(reason)] = int(n)
            elif step.endswith("_judged"):
                n_kept = int(n)
    warehouse.create_view_as(relation, " UNION ALL ".join(parts))
    (n_in,) = warehouse.rows(f"SELECT count(*) AS n FROM {rows} AS x")[0]
    return StepReport(name, int(n_in), n_kept, fates, {}, relation)


def _from_json(name: str) -> str:
    """A column that is looked up in ``properties``."""
    found = f"json_text(e.properties, {literal(name)})"
    return f"as_number({found})" if name == "duration_s" else found


def _load_meanings(warehouse: Warehouse, spec: EventsSpec, events: str) -> None:
    """Make ``event_meanings(raw, meaning)``: every name of an event as it is spelled."""
    import pyarrow as pa

    known = {
        word.strip().casefold(): meaning for meaning, words in spec.words.items() for word in words
    }
    names = [
        name
        for (name,) in warehouse.rows(
            f"SELECT DISTINCT e.event AS event FROM {events} AS e WHERE e.event IS NOT NULL"
        )
    ]
    found = [known.get(name.strip().casefold()) for name in names]
    warehouse.load(
        "event_meanings",
        pa.table({"raw": pa.array(names, pa.string()), "meaning": pa.array(found, pa.string())}),
    )


def _products(warehouse: Warehouse) -> str:
    """The products with their categories; an empty relation where there are none."""
    if warehouse.columns("clean_products"):
        return "clean_products"
    text = "CAST(NULL AS VARCHAR)"
    warehouse.create_table_as(
        "no_products",
        f"SELECT {text} AS product_id, {text} AS category, {text} AS subcategory WHERE FALSE",
    )
    return "no_products"


def _sessions(warehouse: Warehouse, spec: EventsSpec) -> tuple[str, str]:
    """SQL of an event's visit, and the join that it needs.

    Only what happens on the site without an id is put in order, since that sorts the events.
    """
    on_site = ", ".join(map(literal, ON_SITE))
    lost = f"x.session_id IS NULL AND x.meaning IN ({on_site})"
    (n,) = warehouse.rows(f"SELECT count(*) AS n FROM events_kept AS x WHERE {lost}")[0]
    if not n:
        return "x.session_id", ""
    gap = spec.session_gap_minutes * 60
    warehouse.create_table_as(
        "event_visits",
        "SELECT w.event_id AS event_id, w.profile_id || '#' || as_text(sum(w.starts) OVER"
        " (PARTITION BY w.profile_id ORDER BY w.occurred_at ASC, w.event_id ASC ROWS BETWEEN"
        " UNBOUNDED PRECEDING AND CURRENT ROW)) AS session_id FROM ("
        "SELECT x.event_id AS event_id, x.profile_id AS profile_id, x.occurred_at AS occurred_at"
        ", CASE WHEN seconds_between(lag(x.occurred_at) OVER (PARTITION BY x.profile_id ORDER BY"
        f" x.occurred_at ASC, x.event_id ASC), x.occurred_at) <= {gap} THEN 0 ELSE 1 END AS starts"
        f" FROM events_kept AS x WHERE {lost}) AS w",
    )
    return (
        "coalesce(x.session_id, v.session_id)",
        " LEFT JOIN event_visits AS v ON v.event_id = x.event_id",
    )
