"""The SQL of one row per person assigned: outcome, what goes with it, week, and classes.

One statement serves every metric of a window length. The tables that the metrics speak of are each
read once: rows are joined to the people in whose windows they lie, weighed by what they add
to each sum, and added up by person. Where a covariate is wanted, the join reaches back before the
assignment and every sum is made twice, of the rows after it and of those before.

Somebody with no row in a table did nothing, which is zero. Somebody with a row that has no value
for an expression (an order without a margin) is *unknown*: NULL, never zero. Before the assignment
the difference does not matter, since any function of that time is a valid covariate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from sqlglot import exp

from connector.domain import Arm
from connector.errors import ConfigError
from connector.lift.inputs import (
    CLASSES,
    LOOK,
    ORDERS_ONLY,
    SCORES,
    WITHDRAWALS,
    Inputs,
    columns_of,
    companion,
    has_idle,
    idle,
)
from connector.lift.metrics import (
    ASSIGNMENTS,
    EVENTS,
    ITEMS,
    ORDERS,
    PERSON,
    UNSUBSCRIBE,
    MetricKind,
    MetricSpec,
    PersonColumn,
    Source,
)
from connector.lift.windows import closing_sql, names_sql, window_end_sql
from connector.warehouse.dialect import Expression
from connector.warehouse.grammar import Liftline
from connector.warehouse.render import literal, quote

AFTER, BEFORE = "a", "b"
"""Prefixes of a person's sums: over the window, and over the time before the assignment."""

RELATIONS: Mapping[Source, tuple[str, str]] = MappingProxyType(
    {
        Source.ORDERS: (ORDERS, "ordered_at"),
        Source.ORDER_ITEMS: (ITEMS, "ordered_at"),
        Source.EVENTS: (EVENTS, "occurred_at"),
    }
)
"""Source -> its relation and the time of a row."""

_PIECES = "CASE WHEN is_return THEN -abs(quantity) ELSE quantity END"
"""Pieces of a line; those that come back are taken off."""


def units_sql(
    metrics: Sequence[MetricSpec],
    *,
    order_columns: Mapping[str, str],
    as_of: datetime,
    campaigns: Sequence[str],
    inputs: Inputs = ORDERS_ONLY,
) -> str:
    """SQL of one row per person assigned whose window has closed, buyers or not.

    Args:
        metrics: At least one; all of the same window length.
        order_columns: Column -> SQL type of :data:`ORDERS`.
        as_of: Aware; the instant of the analysis. Only what happened before it exists.
        campaigns: Which campaigns to read; at least one.
        inputs: What else there is.

    Returns:
        House-dialect SQL with the columns ``campaign, epoch, arm, profile_id, look``, the
        dimensions, one DOUBLE per metric by its name, its companion, and what somebody idle comes
        to (:func:`connector.lift.inputs.idle`) where that is not zero. A metric is NULL where a row
        of that person in the window has no value for it, so that nobody counts as zero because
        something is not known.

    Raises:
        ConfigError: The metrics differ in their windows, an expression is not allowed, or a table
            that it speaks of is not there.
    """
    lengths = {metric.window_days for metric in metrics}
    if len(lengths) != 1:
        raise ConfigError(f"Metrics of one relation need one window length, not {sorted(lengths)}.")
    return _Statement(order_columns, as_of, inputs, lengths.pop()).sql(metrics, campaigns)


@dataclass(slots=True)
class _Statement:
    """One statement while it is put together.

    Attributes:
        sums: Source -> name of a sum -> what one row adds.
        reads: Source -> columns of its rows that are needed.
    """

    order_columns: Mapping[str, str]
    as_of: datetime
    inputs: Inputs
    window_days: int
    sums: dict[Source, dict[str, str]] = field(default_factory=dict)
    reads: dict[Source, set[str]] = field(default_factory=dict)
    scores: list[str] = field(default_factory=list)

    def sql(self, metrics: Sequence[MetricSpec], campaigns: Sequence[str]) -> str:
        """The whole statement."""
        outcomes = [column for metric in metrics for column in self._outcome(metric)]
        steps = [f"people AS ({self._people(campaigns)})"]
        joins, sums = [], []
        for source, wanted in self.sums.items():
            steps += self._gathered(source, wanted)
            joins.append(f"LEFT JOIN {source}_sum AS {source} ON {_same(source)}")
            # No row in the sums means that nothing happened; a row may still have an unknown sum.
            nothing = f"{source}.profile_id IS NULL"
            sums += [
                f"CASE WHEN {nothing} THEN 0 ELSE {source}.{when}_{name} END AS {when}_{name}"
                for when in self._times
                for name in wanted
            ]
        if self.scores:
            steps += self._scored()
            joins.append(f"LEFT JOIN score_sum AS scores ON {_same('scores')}")
            sums += [f"scores.d{i} AS d{i}" for i in range(len(self.scores))]
        columns = ["campaign", "epoch", "arm", "profile_id", LOOK]
        columns += [quote(dimension) for dimension in self.inputs.dimensions]
        picked = ", ".join(f"p.{column} AS {column}" for column in [*columns, "contact_cost"])
        person = ", ".join([picked, *sums])
        steps.append(f"person AS (SELECT {person} FROM people AS p {' '.join(joins)})")
        return f"WITH {', '.join(steps)} SELECT {', '.join([*columns, *outcomes])} FROM person"

    @property
    def _times(self) -> tuple[str, ...]:
        return (AFTER, BEFORE) if self.inputs.covariate_days else (AFTER,)

    @property
    def _takes_withdrawals(self) -> bool:
        """Whether withdrawn consents are counted among the events."""
        return self.inputs.has_withdrawals and "unsubscribes" in self.sums.get(Source.EVENTS, {})

    # -------------------------------------------------------------- metrics
    def _outcome(self, metric: MetricSpec) -> list[str]:
        """The columns of one metric, and the sums that they need."""
        made = self._values(metric)
        names = [metric.name, companion(metric.name)]
        pairs = list(zip(names, made, strict=False))
        if has_idle(metric):
            columns = columns_of(metric.source, self.order_columns, self.inputs)
            pairs.append((idle(metric.name), f"0 {metric.row_value(columns).once}"))
        return [f"CAST({value} AS DOUBLE) AS {quote(name)}" for name, value in pairs]

    def _values(self, metric: MetricSpec) -> list[str]:
        if metric.kind is MetricKind.DELTA:
            if not self.inputs.has_scores:
                raise ConfigError(f"{metric.what}: no run has published {metric.expression!r}.")
            if metric.expression not in self.scores:
                self.scores.append(metric.expression)
            return [f"d{self.scores.index(metric.expression)}"]
        for name in sorted(metric.person_columns):
            self._need_person(name, metric)
        if metric.kind is MetricKind.SHARE:
            holds = _over(metric.person_condition(), AFTER)
            return [f"CASE WHEN {holds} THEN 1 WHEN NOT ({holds}) THEN 0 END"]
        if metric.kind is MetricKind.RATIO:
            top, bottom = (_over(side, AFTER) for side in metric.sides())
            # Both or neither: a person of whom one side is unknown is unknown.
            return [
                f"CASE WHEN {bottom} IS NOT NULL THEN {top} END",
                f"CASE WHEN {top} IS NOT NULL THEN {bottom} END",
            ]
        if metric.kind is MetricKind.COUNT and metric.person_columns:
            name = metric.expression.strip()
            return [f"{when}_{name}" for when in self._times]
        return self._summed(metric)

    def _summed(self, metric: MetricSpec) -> list[str]:
        """A SUM of rows, or a COUNT of them."""
        source = metric.source
        columns = columns_of(source, self.order_columns, self.inputs)
        if not columns:
            raise ConfigError(
                f"{metric.what}: the file maps no table {source}.", hint=f"Add tables.{source}."
            )
        condition = metric.row_condition(columns)
        once = ""
        if metric.kind is MetricKind.SUM:
            value = metric.row_value(columns)
            row, once, reads = value.row, value.once, set(value.columns)
        else:
            row, reads = "1", set()
        if metric.kind is MetricKind.COUNT and source is not Source.EVENTS:
            row = "CASE WHEN is_return THEN 0 ELSE 1 END"
        if condition is not None:
            row = f"CASE WHEN {condition.sql()} THEN {row} ELSE 0 END"
            reads |= condition.columns
        name = f"m_{metric.name}"
        self._need(source, name, row, reads, metric)
        # Nothing was spent on anybody before the assignment.
        values = {AFTER: f"{AFTER}_{name} {once}".strip(), BEFORE: f"{BEFORE}_{name}"}
        return [values[when] for when in self._times]

    def _need_person(self, name: str, metric: MetricSpec) -> None:
        column = PERSON[name]
        if column.source is None:
            return
        if name == "unsubscribed":
            name, column = "unsubscribes", PERSON["unsubscribes"]
        assert column.source is not None  # noqa: S101 - both have one
        self._need(column.source, name, column.row, column.reads, metric)

    def _need(
        self, source: Source, name: str, row: str, reads: Iterable[str], metric: MetricSpec
    ) -> None:
        known = columns_of(source, self.order_columns, self.inputs)
        missing = sorted(set(reads) - set(known))
        if source is Source.EVENTS and self.inputs.has_withdrawals and name == "unsubscribes":
            missing = []
        if missing:
            raise ConfigError(
                f"{metric.what}: nothing that the file maps tells {missing[0]!r}.",
                hint=_where_from(missing[0], source),
            )
        self.sums.setdefault(source, {})[name] = row
        self.reads.setdefault(source, set()).update(reads)

    # -------------------------------------------------------------- steps
    def _people(self, campaigns: Sequence[str]) -> str:
        """Everybody whose window has closed, with the costs of the campaign and the classes."""
        ends, inputs = window_end_sql(self.window_days, "p."), self.inputs
        columns = ["campaign", "epoch", "arm", "profile_id", "first_eligible_at"]
        picked = [f"p.{column} AS {column}" for column in columns]
        picked += [f"{ends} AS window_ends_at", f"week_start({ends}) AS {LOOK}"]
        if inputs.covariate_days:
            back = f"add_days(p.first_eligible_at, {-inputs.covariate_days})"
            picked.append(f"{back} AS begins_at")
        else:
            picked.append("p.first_eligible_at AS begins_at")
        for name, cost in (
            ("contact_cost", {c: one.contact for c, one in inputs.costs.items()}),
            ("redemption_cost", {c: one.redemption for c, one in inputs.costs.items()}),
        ):
            picked.append(f"{_by_campaign(cost)} AS {name}")
        join = ""
        if inputs.dimensions:
            picked += [f"c.{quote(name)} AS {quote(name)}" for name in inputs.dimensions]
            join = (
                f" LEFT JOIN {CLASSES} AS c ON c.campaign = p.campaign AND c.epoch = p.epoch"
                " AND c.profile_id = p.profile_id"
            )
        return (
            f"SELECT {', '.join(picked)} FROM {ASSIGNMENTS} AS p{join} "
            f"WHERE p.campaign IN ({names_sql(campaigns)}) "
            f"AND {ends} <= {closing_sql(self.as_of, inputs.closing(self.window_days), 'p.')}"
        )

    def _gathered(self, source: Source, wanted: Mapping[str, str]) -> list[str]:
        """Rows of a source, joined to windows, weighed, and added up by person."""
        rows, met, weighed = f"{source}_rows", f"{source}_met", f"{source}_weighed"
        reads = sorted(self.reads[source] - {"offer_cost"})
        steps = [f"{rows} AS ({self._rows(source, reads)})"]
        columns = ["is_return", *reads] if source is not Source.EVENTS else reads
        picked = [f"r.{quote(c)} AS {quote(c)}" for c in dict.fromkeys(columns)]
        if "offer_cost" in self.reads[source]:
            # Before the assignment nobody used the offer: a price on the past of treated people
            # alone would make the covariates of the two arms differ.
            redeemed = "NOT r.is_return AND r.ll_discount > 0 AND r.ll_at >= p.first_eligible_at"
            picked.append(f"CASE WHEN {redeemed} THEN p.redemption_cost ELSE 0 END AS offer_cost")
        if source is Source.EVENTS and self._takes_withdrawals:
            # A withdrawn consent is no event but for one count.
            picked.append("r.ll_withdrawn AS ll_withdrawn")
            wanted = {
                name: row
                if name == "unsubscribes"
                else f"CASE WHEN ll_withdrawn = 1 THEN 0 ELSE {row} END"
                for name, row in wanted.items()
            }
        steps.append(
            f"{met} AS (SELECT p.campaign AS campaign, p.epoch AS epoch, p.profile_id AS profile_id"
            ", CASE WHEN r.ll_at >= p.first_eligible_at THEN 1 ELSE 0 END AS ll_after"
            f"{''.join(', ' + one for one in picked)} FROM people AS p JOIN {rows} AS r"
            " ON r.profile_id = p.profile_id AND r.ll_at >= p.begins_at"
            " AND r.ll_at < p.window_ends_at)"
        )
        values = ", ".join(f"{row} AS {name}" for name, row in wanted.items())
        steps.append(
            f"{weighed} AS (SELECT campaign, epoch, profile_id, ll_after, {values} FROM {met})"
        )
        sums = ", ".join(self._sum(name, when) for when in self._times for name in wanted)
        steps.append(
            f"{source}_sum AS (SELECT campaign, epoch, profile_id, {sums} FROM {weighed}"
            " GROUP BY campaign, epoch, profile_id)"
        )
        return steps

    def _sum(self, name: str, when: str) -> str:
        """A person's sum; after the assignment NULL as soon as one row has no value."""
        if when == BEFORE:
            return f"coalesce(sum(CASE WHEN ll_after = 0 THEN {name} END), 0) AS {BEFORE}_{name}"
        if not self.inputs.covariate_days:
            return f"CASE WHEN count({name}) = count(*) THEN sum({name}) END AS {AFTER}_{name}"
        unknown = f"sum(CASE WHEN ll_after = 1 AND {name} IS NULL THEN 1 ELSE 0 END)"
        total = f"coalesce(sum(CASE WHEN ll_after = 1 THEN {name} END), 0)"
        return f"CASE WHEN {unknown} = 0 THEN {total} END AS {AFTER}_{name}"

    def _rows(self, source: Source, reads: Sequence[str]) -> str:
        """The rows of a source before the instant, with the columns that are needed."""
        relation, time = RELATIONS[source]
        before = f"o.{time} < {literal(self.as_of)}"
        if source is Source.EVENTS:
            return self._event_rows(reads, relation, time, before)
        picked = ["o.profile_id AS profile_id", f"o.{time} AS ll_at"]
        columns = ["is_return", *(c for c in reads if c != "is_return")]
        join = ""
        if source is Source.ORDER_ITEMS:
            picked += [
                f"{_PIECES.replace('quantity', 'o.quantity').replace('is_return', 'o.is_return')}"
                " AS quantity"
                if column == "quantity"
                else f"o.{quote(column)} AS {quote(column)}"
                for column in columns
            ]
            return f"SELECT {', '.join(picked)} FROM {relation} AS o WHERE {before}"
        if "item_cost" in reads:
            join = (
                f" LEFT JOIN (SELECT order_id, CASE WHEN count(unit_cost) = count(*) THEN"
                f" sum(unit_cost * {_PIECES}) END AS item_cost FROM {ITEMS} GROUP BY order_id) AS k"
                " ON k.order_id = o.order_id"
            )
        for column in columns:
            if column == "item_cost":
                picked.append("k.item_cost AS item_cost")
            else:
                picked.append(f"o.{quote(column)} AS {quote(column)}")
        if "offer_cost" in self.reads[source]:
            told = "o.discount" if "discount" in self.order_columns else "0"
            picked.append(f"{told} AS ll_discount")
        return f"SELECT {', '.join(picked)} FROM {relation} AS o{join} WHERE {before}"

    def _event_rows(self, reads: Sequence[str], relation: str, time: str, before: str) -> str:
        """Events that count, and withdrawn consents as what they are: unsubscribing."""
        counted = self.sums[Source.EVENTS]
        parts = []
        if self.inputs.events:
            picked = "".join(f", o.{quote(c)} AS {quote(c)}" for c in reads)
            meanings = [_meaning(PERSON[name]) for name in counted if name in PERSON]
            only = ""
            if len(meanings) == len(counted):
                # Of a long table of page views, none is needed here.
                only = f" AND o.meaning IN ({', '.join(map(literal, meanings))})"
            parts.append(
                f"SELECT o.profile_id AS profile_id, o.{time} AS ll_at, 0 AS ll_withdrawn{picked}"
                f" FROM {relation} AS o WHERE {before}{only}"
            )
        if self._takes_withdrawals:
            empty = "".join(
                f", {literal(UNSUBSCRIBE)} AS meaning"
                if c == "meaning"
                else f", CAST(NULL AS {self.inputs.events[c]}) AS {quote(c)}"
                for c in reads
            )
            parts.append(
                f"SELECT w.profile_id AS profile_id, w.at AS ll_at, 1 AS ll_withdrawn{empty}"
                f" FROM {WITHDRAWALS} AS w WHERE w.at < {literal(self.as_of)}"
            )
        return " UNION ALL ".join(parts)

    def _scored(self) -> list[str]:
        """A score's change: its last value in the window less the last one before it."""
        names = ", ".join(map(literal, self.scores))
        changes = ", ".join(
            f"max(CASE WHEN s.score = {literal(score)} AND s.early = 0 THEN s.value END)"
            f" - max(CASE WHEN s.score = {literal(score)} AND s.early = 1 THEN s.value END)"
            f" AS d{i}"
            for i, score in enumerate(self.scores)
        )
        early = "CASE WHEN v.at <= p.first_eligible_at THEN 1 ELSE 0 END"
        return [
            "score_met AS (SELECT p.campaign AS campaign, p.epoch AS epoch, p.profile_id AS"
            f" profile_id, v.score AS score, v.value AS value, {early} AS early, row_number() OVER"
            f" (PARTITION BY p.campaign, p.epoch, p.profile_id, v.score, {early}"
            " ORDER BY v.at DESC) AS ll_rank"
            f" FROM people AS p JOIN {SCORES} AS v ON v.profile_id = p.profile_id"
            f" AND v.at <= p.window_ends_at AND v.score IN ({names}))",
            f"score_sum AS (SELECT s.campaign AS campaign, s.epoch AS epoch, s.profile_id AS"
            f" profile_id, {changes} FROM score_met AS s WHERE s.ll_rank = 1"
            " GROUP BY s.campaign, s.epoch, s.profile_id)",
        ]


def _over(expression: Expression, when: str) -> str:
    """An expression over a person's columns, written over the sums of one time."""
    tree = expression.tree
    for column in list(tree.find_all(exp.Column)):
        name = column.name
        if name == "contact_cost":
            continue
        if name == "unsubscribed":
            made: exp.Expr = exp.Paren(
                this=exp.GT(
                    this=exp.column(f"{when}_unsubscribes"), expression=exp.Literal.number(0)
                )
            )
        else:
            made = exp.column(f"{when}_{name}")
        if column is tree:
            tree = made
        else:
            column.replace(made)
    return f"({tree.sql(dialect=Liftline, comments=False)})"


def _meaning(column: PersonColumn) -> str:
    """The meaning of the events that a column counts."""
    return column.row.split("'")[1]


def _same(alias: str) -> str:
    return (
        f"{alias}.campaign = p.campaign AND {alias}.epoch = p.epoch"
        f" AND {alias}.profile_id = p.profile_id"
    )


def _where_from(column: str, source: Source) -> str:
    if column == "item_cost":
        return "Map tables.order_items with unit_cost."
    if source is Source.EVENTS:
        return "Map tables.events."
    return f"Map {column} in tables.{source}.columns."


def _by_campaign(costs: Mapping[str, float]) -> str:
    """A cost of treated people, by campaign."""
    cases = "".join(
        f" WHEN p.campaign = {literal(name)} THEN {cost!r}"
        for name, cost in sorted(costs.items())
        if cost
    )
    if not cases:
        return "CAST(0 AS DOUBLE)"
    treated = f"p.arm = {literal(Arm.TREATMENT.value)}"
    return f"CAST(CASE WHEN NOT ({treated}) THEN 0{cases} ELSE 0 END AS DOUBLE)"
