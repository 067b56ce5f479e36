"""What a person does most: one row for each thing that somebody did, ranked.

The preferred channel, the favourite category, the usual hour, the commonest path are one question
with different columns: count rows for each person and thing, then rank the things of a person. The
one with most rows wins, then the latest, then the first in order, so that the answer never depends
on the order of a table. COUNT(DISTINCT) is the dearest of aggregates; counting first and counting
the counts afterwards gives the same numbers for less.
"""

from __future__ import annotations

from dataclasses import replace

from connector.features.pack import FeatureColumn, Level, LevelColumns, Rows

SHARE, BITS = "share from 0 to 1", "nats"


def needing(column: FeatureColumn, *needs: str) -> FeatureColumn:
    """The column, which there is only where those columns of logical tables are mapped."""
    return replace(column, needs=needs)


def counted(
    name: str, rows: Rows | Level, thing: str, *, time: str, where: str, others: str = ""
) -> Level:
    """One row a person and thing: ``profile_id, thing, n, last_at`` and the others.

    Args:
        name: Of the relation.
        rows: What is counted.
        thing: SQL of the thing, over ``r``.
        time: SQL of the row's time, over ``r``.
        where: Condition over ``r``.
        others: Further aggregates over ``r``, each with its name.
    """
    more = f", {others}" if others else ""
    return Level(
        name,
        f"SELECT r.profile_id AS profile_id, {thing} AS thing, count(*) AS n, max({time}) AS"
        f" last_at{more} FROM r WHERE {where} GROUP BY r.profile_id, {thing}",
        (("r", rows),),
    )


def ranked(name: str, counts: Level, *, order: str, keep: str = "") -> Level:
    """The rows of another level with ``place``: 1 is a person's first in the given order.

    Args:
        name: Of the relation.
        counts: Has ``profile_id`` and ``thing``.
        order: SQL of the order, over ``c``; ties go to the first thing.
        keep: Further columns of the level, over ``c``.
    """
    more = f", {keep}" if keep else ""
    return Level(
        name,
        "SELECT c.profile_id AS profile_id, c.thing AS thing, c.n AS n, c.last_at AS last_at"
        f"{more}, row_number() OVER (PARTITION BY c.profile_id ORDER BY {order}, c.thing ASC) AS"
        " place FROM c",
        (("c", counts),),
    )


def most_often(counts: Level) -> Level:
    """The things of a person, the commonest first."""
    return ranked(f"{counts.name}_most", counts, order="c.n DESC, c.last_at DESC")


def favourite(name: str, meaning: str, *, unit: str, kind: str = "VARCHAR") -> FeatureColumn:
    """The first thing of a ranked level, which has that SQL type."""
    return FeatureColumn(name, "max_if(thing, place = 1)", unit, meaning, type=kind, empty="NULL")


def favourite_share(name: str, meaning: str) -> FeatureColumn:
    """The share of rows that the commonest thing has."""
    return FeatureColumn(name, "max(n) / sum(n)", SHARE, meaning, type="DOUBLE", empty="NULL")


def entropy(name: str, meaning: str) -> FeatureColumn:
    """Shannon's entropy of how rows are spread over things; 0 where there is one thing only."""
    return FeatureColumn(
        name,
        "ln(sum(n)) - sum(n * ln(n)) / sum(n)",
        BITS,
        f"{meaning}: 0 for one alone, ln(k) for k in equal parts",
        type="DOUBLE",
        empty="NULL",
    )


def preferred_hour(name: str, rows: Rows, *, zone: str, where: str, meaning: str) -> LevelColumns:
    """The hour of the day, in the project's time zone, at which somebody does something most."""
    local = f"r.{rows.time}" if zone == "UTC" else f"to_local(r.{rows.time}, '{zone}')"
    counts = counted(f"level_{name}", rows, f"hour_of({local})", time=f"r.{rows.time}", where=where)
    column = favourite(name, f"{meaning} (0 to 23, {zone})", unit="hour of the day", kind="BIGINT")
    return LevelColumns(most_often(counts), (column,))
