"""Physical tables to logical ones, typed by the contract, and not one row lost in silence.

The order is fixed, and each row has exactly one fate: equal rows are reduced to one, rows outside
the filter are no part of the table, rows that a quarantine rule or an unreadable value condemns are
set aside with the reason, lines are folded into their group, the rest is kept.
:attr:`TableReport.n_accounted` adds the fates up again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from connector.errors import SchemaError, SourceError
from connector.ports import Warehouse
from connector.sources.conversion import always_readable, convert, in_utc, present
from connector.sources.expressions import PhysicalTable
from connector.sources.spec import Dedupe, TableReport, TableSpec
from connector.tables import TABLES, TIMESTAMP, Table
from connector.warehouse.dialect import Expression
from connector.warehouse.render import literal, quote

FILTERED = ":filtered"
"""Mark of rows outside the filter; the colon keeps it apart from every reason."""

DENIES_ON_DOUBT = {"consents": frozenset({"at"})}
"""Columns whose unreadable values become NULL while the row stays: losing a withdrawal for the sake
of its date would let
an older consent stand."""

FRESHNESS_DEFAULT = ("updated_at", "ordered_at", "occurred_at", "opened_at", "at", "created_at")
"""Logical columns that tell a table's age when the configuration names none."""


@dataclass(frozen=True, slots=True)
class _Mapped:
    """One logical column: its SQL over the physical table, and the type it shall have."""

    name: str
    sql: str
    target: str | None


def map_table(warehouse: Warehouse, spec: TableSpec, *, timezone: str) -> TableReport:
    """Make ``in_<table>`` and ``quarantined_in_<table>``.

    Args:
        warehouse: Where the physical table is readable.
        spec: The mapping.
        timezone: Zone of times without one, such as ``Europe/Berlin``.

    Raises:
        SourceError: There is no such relation.
        SchemaError: A required column is not mapped, an expression names a missing column, or a
            type cannot fit.
    """
    columns = warehouse.columns(spec.relation)
    if not columns:
        raise SourceError(
            f"The table {spec.name} comes from {spec.relation!r}, which does not exist.",
            hint="Check `from` and the source's path.",
        )
    physical = PhysicalTable(spec.relation, columns)
    contract = TABLES.get(spec.name, Table(spec.name, (), ()))
    mapped = _mapped(spec, contract, physical)

    base = physical.sql
    (n_source,) = warehouse.rows(f"SELECT count(*) AS n FROM {base} AS src")[0]
    if spec.dedupe is Dedupe.EXACT:
        names = ", ".join(f"src.{quote(name)}" for name in physical.columns)
        base = f"distinct_{spec.name}"
        warehouse.create_table_as(base, f"SELECT DISTINCT {names} FROM {physical.sql} AS src")

    lines = f"lines_{spec.name}"
    names = ", ".join(f"src.{quote(name)} AS {quote(name)}" for name in physical.columns)
    warehouse.create_view_as(
        lines, f"SELECT {names}, {_left_out(spec, physical)} AS ll_left_out FROM {base} AS src"
    )
    staged = _stage(warehouse, spec, contract, physical, mapped, lines, timezone)

    picks = ", ".join(f"s.{quote(m.name)} AS {quote(m.name)}" for m in mapped)
    warehouse.create_view_as(
        f"in_{spec.name}", f"SELECT {picks} FROM {staged} AS s WHERE s.ll_left_out IS NULL"
    )
    return _report(warehouse, spec, physical, lines, staged, n_source, base, timezone)


def _mapped(spec: TableSpec, contract: Table, physical: PhysicalTable) -> list[_Mapped]:
    """Every column of the output: contracted ones first (NULL when not mapped), then others."""
    missing = [name for name in contract.required if name not in spec.columns]
    if missing:
        raise SchemaError(
            f"The table {spec.name} needs the column(s) {', '.join(missing)}.",
            hint=f"Map them under tables.{spec.name}.columns; {spec.relation} has: "
            f"{', '.join(physical.columns)}.",
        )
    groups = {name for text in spec.group_by for name in _group(spec, physical, text).columns}
    bound = {}
    for name, text in spec.columns.items():
        subject = f"tables.{spec.name}.columns.{name}"
        expression = physical.bind(text, subject=subject, grouped=bool(spec.group_by))
        if spec.group_by and not expression.bare_columns <= groups:
            raise SchemaError(
                f"{subject}: {text!r} has many values in one group of {', '.join(spec.group_by)}.",
                hint="Write an aggregate such as max(...), or add it to group_by.",
            )
        bound[name] = expression.sql()
    out = [
        _Mapped(c.name, bound.get(c.name, f"CAST(NULL AS {c.type})"), c.type)
        for c in contract.columns
    ]
    out += [
        _Mapped(name, sql, None) for name, sql in bound.items() if contract.column(name) is None
    ]
    return out


def _group(spec: TableSpec, physical: PhysicalTable, text: str) -> Expression:
    """One expression of ``group_by``."""
    return physical.bind(text, subject=f"tables.{spec.name}.group_by")


def _left_out(spec: TableSpec, physical: PhysicalTable) -> str:
    """Why a physical row is left out, as SQL; NULL when it is not."""
    cases = []
    if spec.filter:
        keep = physical.bind(spec.filter, subject=f"tables.{spec.name}.filter").sql()
        cases.append(f"WHEN NOT coalesce({keep}, FALSE) THEN {literal(FILTERED)}")
    for reason, text in spec.quarantine.items():
        subject = f"tables.{spec.name}.quarantine.{reason}"
        rule = physical.bind(text, subject=subject).sql()
        cases.append(f"WHEN {rule} THEN {literal(reason)}")
    return f"CASE {' '.join(cases)} END" if cases else "CAST(NULL AS VARCHAR)"


def _stage(
    warehouse: Warehouse,
    spec: TableSpec,
    contract: Table,
    physical: PhysicalTable,
    mapped: list[_Mapped],
    lines: str,
    timezone: str,
) -> str:
    """Map, group and type into a table that holds the fate of each row."""
    raw, staged = f"raw_{spec.name}", f"staged_{spec.name}"
    picks = ", ".join(f"{m.sql} AS {quote(m.name)}" for m in mapped)
    if spec.group_by:
        groups = [_group(spec, physical, text).sql() for text in spec.group_by]
        warehouse.create_view_as(
            raw,
            f"SELECT {picks}, CAST(NULL AS VARCHAR) AS ll_left_out, count(*) AS ll_n_lines"
            f" FROM {lines} WHERE ll_left_out IS NULL GROUP BY {', '.join(groups)}",
        )
    else:
        warehouse.create_view_as(raw, f"SELECT {picks}, ll_left_out, 1 AS ll_n_lines FROM {lines}")
    # DuckDB describes a view's column in its source's capitals where the alias differs by those
    # only.
    types = {name.lower(): kind for name, kind in warehouse.columns(raw).items()}

    typed, unreadable = [], []
    for m in mapped:
        value, source_type = f"r.{quote(m.name)}", types[m.name.lower()]
        if m.target is None:
            typed.append(f"{in_utc(value, source_type, timezone)} AS {quote(m.name)}")
            continue
        if m.name not in spec.columns:
            typed.append(f"{value} AS {quote(m.name)}")
            continue
        converted = convert(f"{spec.name}.{m.name}", value, source_type, m.target, timezone)
        typed.append(f"{converted} AS {quote(m.name)}")
        kept_in_doubt = m.name in DENIES_ON_DOUBT.get(spec.name, ())
        if not kept_in_doubt and not always_readable(source_type, m.target):
            given = present(value, source_type)
            reason = literal(f"unreadable_{m.name}")
            unreadable.append(f"WHEN {given} IS NOT NULL AND {converted} IS NULL THEN {reason}")
    key = (contract.key or contract.required or tuple(spec.columns))[0]
    left_out = f"CASE WHEN r.ll_left_out IS NOT NULL THEN r.ll_left_out {' '.join(unreadable)} END"
    warehouse.create_table_as(
        staged,
        f"SELECT {', '.join(typed)}, {left_out} AS ll_left_out, r.ll_n_lines AS ll_n_lines,"
        f" as_text(r.{quote(key)}) AS ll_key FROM {raw} AS r",
    )
    return staged


def _report(
    warehouse: Warehouse,
    spec: TableSpec,
    physical: PhysicalTable,
    lines: str,
    staged: str,
    n_source: int,
    base: str,
    timezone: str,
) -> TableReport:
    """Write the quarantine and count the fates."""
    aside = [
        "SELECT s.ll_key AS k, s.ll_left_out AS reason, s.ll_n_lines AS n"
        f" FROM {staged} AS s WHERE s.ll_left_out IS NOT NULL"
    ]
    if spec.group_by:
        shown = f"as_text({_group(spec, physical, spec.group_by[0]).sql()})"
        aside.append(
            f"SELECT {shown} AS k, ll_left_out AS reason, 1 AS n FROM {lines} WHERE ll_left_out"
            " IS NOT NULL"
        )
    fates = f"left_out_{spec.name}"
    warehouse.create_table_as(
        fates,
        "SELECT u.k AS k, u.reason AS reason, CAST(sum(u.n) AS BIGINT) AS n FROM ("
        + " UNION ALL ".join(aside)
        + ") AS u GROUP BY u.k, u.reason",
    )
    safe = "CASE WHEN f.k LIKE '%@%' THEN 'md5:' || substr(md5_hex(f.k), 1, 20) ELSE f.k END"
    warehouse.create_view_as(
        f"quarantined_in_{spec.name}",
        f"SELECT {literal(spec.name)} AS table_name, {safe} AS row_key, f.reason AS reason, f.n"
        " AS n"
        f" FROM {fates} AS f WHERE f.reason <> {literal(FILTERED)}",
    )
    by_reason = {
        str(reason): int(n)
        for reason, n in warehouse.rows(
            f"SELECT f.reason AS reason, sum(f.n) AS n FROM {fates} AS f GROUP BY f.reason"
        )
    }
    n_kept, n_lines = warehouse.rows(
        f"SELECT count(*) AS n, coalesce(sum(s.ll_n_lines), 0) AS n_lines FROM {staged} AS s"
        " WHERE s.ll_left_out IS NULL"
    )[0]
    n_filtered = by_reason.pop(FILTERED, 0)
    n_distinct = n_source
    if spec.dedupe is Dedupe.EXACT:
        (n_distinct,) = warehouse.rows(f"SELECT count(*) AS n FROM {base} AS d")[0]
    return TableReport(
        table=spec.name,
        n_source=int(n_source),
        n_duplicates=int(n_source) - int(n_distinct),
        n_filtered=n_filtered,
        n_quarantined=dict(sorted(by_reason.items())),
        n_kept=int(n_kept),
        n_folded=int(n_lines) - int(n_kept),
        freshest=_freshest(warehouse, spec, physical, timezone),
    )


def _freshest(
    warehouse: Warehouse, spec: TableSpec, physical: PhysicalTable, timezone: str
) -> datetime | None:
    """The newest time of the freshness column, which may be a logical or a physical one."""
    name = spec.freshness.column if spec.freshness else ""
    if not name:
        name = next((c for c in FRESHNESS_DEFAULT if c in spec.columns), "")
    if not name:
        return None
    if name in spec.columns:
        value, relation = quote(name), f"in_{spec.name}"
        source_type = warehouse.columns(relation)[name]
        if source_type != TIMESTAMP:
            value = convert(f"{spec.name}.{name}", value, source_type, TIMESTAMP, "UTC")
    else:
        bound = physical.bind(name, subject=f"tables.{spec.name}.freshness.column")
        source_type = physical.columns.get(physical.find(name) or "", "")
        value = convert(f"{spec.name}.{name}", bound.sql(), source_type, TIMESTAMP, timezone)
        relation = physical.sql
    (newest,) = warehouse.rows(f"SELECT max({value}) AS newest FROM {relation}")[0]
    return newest.replace(tzinfo=UTC) if isinstance(newest, datetime) else None
