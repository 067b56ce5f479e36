"""What is measured about one person: the metrics of a file, checked before anything runs.

The rules, the same for every metric and arm:

* **Intention to treat.** Everybody assigned counts, in the arm first given, whatever was delivered,
  opened or bought afterwards; somebody who bought nothing counts as zero.
* **One clock.** A person's window is ``[first_eligible_at, first_eligible_at + window)``, for all
  arms alike.
* **Closed windows only.** A person whose window has not ended by ``as_of`` is *open*: left out of
  the moments and counted. Counting open people with what they have bought so far would mix windows
  of different lengths (every arm is diluted, a late joiner most), and the number would creep up
  from day to day without anybody buying more. Whether a window is closed depends on the instant of
  assignment alone, never on the arm or on behaviour, so leaving open people out cannot bias the
  comparison.

A metric is only a rule over what happened, so one that is written today is measured for every
campaign that ever ran. People with windows of one length share a relation, so that one scan serves
all metrics of that length; :mod:`connector.lift.units` writes its SQL.

What people did is known as *columns of a person*, each a sum over the rows of one table in the
window (:data:`PERSON_COLUMNS`). Two of them are the campaign's own: ``contact_cost``, spent on
everybody treated, and ``offer_cost``, spent on each order of a treated person that used the offer.
An order used the offer when it was placed in the window and carried a discount: no table of a shop
says so more directly, and other discounts in those weeks make the campaign look dearer, never
cheaper. Where the discount is already off the order's net revenue, the cost of a redemption is what
comes on top of it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlglot import exp

from connector.errors import ConfigError
from connector.tables import MONEY
from connector.warehouse.dialect import Expression, parse_condition, parse_expression
from connector.warehouse.grammar import Liftline
from connector.warehouse.macros import Kind

ASSIGNMENTS = "assignments"
"""Relation of everybody who has an arm: ``campaign, epoch, config_version, profile_id, arm,
first_eligible_at``."""

ORDERS = "clean_orders"
"""Relation of orders and returns: ``profile_id, ordered_at, is_return`` and the money columns."""

ITEMS = "clean_items"
"""Relation of lines of orders: ``order_id, profile_id, ordered_at, is_return, quantity, ...``."""

EVENTS = "clean_events"
"""Relation of what people did: ``profile_id, occurred_at, meaning, ...``."""


class Source(enum.StrEnum):
    """The table whose rows are counted or summed."""

    ORDERS = "orders"
    ORDER_ITEMS = "order_items"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class PersonColumn:
    """A sum over the rows of one table in a person's window.

    Attributes:
        type: SQL type, for the check of expressions.
        source: Table whose rows are summed; None: the campaign gives it at assignment.
        row: What one row adds, over the columns of the source.
        reads: Columns of the source that ``row`` names.
    """

    type: str
    source: Source | None
    row: str
    reads: tuple[str, ...] = ()


def _money(name: str) -> PersonColumn:
    return PersonColumn(MONEY, Source.ORDERS, name, (name,))


def _happened(meaning: str) -> PersonColumn:
    row = f"CASE WHEN meaning = '{meaning}' THEN 1 ELSE 0 END"
    return PersonColumn("BIGINT", Source.EVENTS, row, ("meaning",))


UNSUBSCRIBE = "email_unsubscribe"
"""Meaning of an event by which a person wants no more e-mail; so does a withdrawn consent."""

REDEEMED = "NOT is_return AND discount > 0"
"""When an order counts as one that used the offer."""

PERSON: Mapping[str, PersonColumn] = MappingProxyType(
    {
        "orders": PersonColumn("BIGINT", Source.ORDERS, "CASE WHEN is_return THEN 0 ELSE 1 END"),
        "returns": PersonColumn("BIGINT", Source.ORDERS, "CASE WHEN is_return THEN 1 ELSE 0 END"),
        **{
            name: _money(name)
            for name in ("net_revenue", "gross", "margin", "discount", "refund", "shipping")
        },
        "item_cost": _money("item_cost"),
        "offer_cost": _money("offer_cost"),
        "contact_cost": PersonColumn(MONEY, None, "contact_cost"),
        "redemptions": PersonColumn(
            "BIGINT", Source.ORDERS, f"CASE WHEN {REDEEMED} THEN 1 ELSE 0 END", ("discount",)
        ),
        "items": PersonColumn("DOUBLE", Source.ORDER_ITEMS, "quantity", ("quantity",)),
        "email_sends": _happened("email_sent"),
        "email_deliveries": _happened("email_delivered"),
        "email_opens": _happened("email_open"),
        "email_clicks": _happened("email_click"),
        "email_bounces": _happened("email_bounce"),
        "unsubscribes": _happened(UNSUBSCRIBE),
        "unsubscribed": PersonColumn("BOOLEAN", Source.EVENTS, "", ("meaning",)),
    }
)
"""What is known of a person at the end of the window."""

PERSON_COLUMNS: Mapping[str, str] = MappingProxyType({k: c.type for k, c in PERSON.items()})
"""What a share's condition and the two sides of a ratio may speak of, with types."""

NEEDS_CONTACT = frozenset(
    {"email_sends", "email_deliveries", "email_opens", "email_clicks", "email_bounces"}
    | {"unsubscribes", "unsubscribed"}
)
"""Columns that mean nothing for people who are sent nothing: who gets no e-mail cannot click."""

_ABOUT_EMAIL = re.compile(r"'email_\w+'")
"""A meaning of events that only people have who are written to."""

CAMPAIGN_COSTS = ("offer_cost", "contact_cost")
"""Columns that the campaign's strategy gives."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class MetricKind(enum.StrEnum):
    """How a person's rows become one number."""

    SUM = "sum"
    """Sum of an expression over a table's rows in the window: money per person."""
    COUNT = "count"
    """Number of rows in the window; of orders without the returns."""
    SHARE = "share"
    """1 when a condition on the person's sums holds at the end of the window, else 0."""
    RATIO = "ratio"
    """One of the person's sums over another, both added up over the arm first."""
    DELTA = "delta"
    """Change of a published score from the beginning of the window to its end."""


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One outcome per person.

    Attributes:
        name: Unique in a project; letters, digits and underscores.
        kind: How rows become a number.
        expression: House-dialect SQL. For SUM a number over the columns of ``source``
            (``net_revenue``); for COUNT the table, or a counting column of a person
            (``email_clicks``); for SHARE a condition, for RATIO a number over
            :data:`PERSON_COLUMNS`; for DELTA the score's column (``clv_365d.expected``).
        window_days: Length of the window, whole days of 24 hours, at least 1.
        denominator: Of a RATIO, over :data:`PERSON_COLUMNS`.
        source: Table of a SUM, or of a COUNT of rows.
        where: Condition on the rows of a SUM or a COUNT; empty: all.
        winsorise: Share of the non-zero units below the cap (0.999), for a labelled sensitivity;
            None: no such.
        max_increase: Limit of a guardrail on the absolute scale (0.003 = 0.3 percentage points).
    """

    name: str
    kind: MetricKind
    expression: str
    window_days: int
    denominator: str = ""
    source: Source = Source.ORDERS
    where: str = ""
    winsorise: float | None = None
    max_increase: float | None = None

    def __post_init__(self) -> None:
        """Refuse a metric that cannot be measured.

        Raises:
            ConfigError: The name, window or expression is impossible.
        """
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"metrics.{self.name}: a metric's name holds letters, digits and underscores only."
            )
        if self.window_days < 1:
            raise ConfigError(
                f"metrics.{self.name}.window: a window is at least 1 day, not {self.window_days}."
            )
        if self.winsorise is not None and not 0 < self.winsorise < 1:
            raise ConfigError(
                f"metrics.{self.name}.winsorise: a share between 0 and 1, not {self.winsorise}."
            )
        if self.max_increase is not None and not self.max_increase > 0:
            raise ConfigError(
                f"metrics.{self.name}.guardrail: a limit is positive, not {self.max_increase}."
            )
        if bool(self.denominator) != (self.kind is MetricKind.RATIO):
            raise ConfigError(f"metrics.{self.name}: a ratio, and nothing else, has two sides.")
        if self.where and self.kind not in (MetricKind.SUM, MetricKind.COUNT):
            raise ConfigError(f"metrics.{self.name}.where: only rows of a sum or a count have one.")
        if self.kind is MetricKind.COUNT:
            self._check_count()
        elif self.kind is MetricKind.SHARE:
            self.person_condition()
        elif self.kind is MetricKind.RATIO:
            self.sides()

    def _check_count(self) -> None:
        counted = self.expression.strip()
        tables = [source.value for source in Source]
        if counted in tables:
            if counted != self.source.value:
                raise ConfigError(f"{self.what}: counts rows of {counted}, not of {self.source}.")
            return
        column = PERSON.get(counted)
        if column is None or column.type != "BIGINT" or self.where:
            countable = [*tables, *(name for name, c in PERSON.items() if c.type == "BIGINT")]
            raise ConfigError(
                f"{self.what}: {self.expression!r} cannot be counted.",
                hint=f"Countable are {', '.join(dict.fromkeys(countable))}. For anything else use "
                'a sum, or a share such as "net_revenue >= 50".',
            )

    @property
    def what(self) -> str:
        """Where it stands in the configuration, for messages."""
        return f"metrics.{self.name}.{self.kind}"

    def person_condition(self) -> Expression:
        """The condition of a SHARE, checked.

        Raises:
            ConfigError: It is no condition over :data:`PERSON_COLUMNS`.
        """
        return parse_condition(self.expression, columns=PERSON_COLUMNS, what=self.what)

    def sides(self) -> tuple[Expression, Expression]:
        """Numerator and denominator of a RATIO, checked.

        Raises:
            ConfigError: One is no number over :data:`PERSON_COLUMNS`.
        """
        top, bottom = (
            parse_expression(text, columns=PERSON_COLUMNS, what=self.what)
            for text in (self.expression, self.denominator)
        )
        for side in (top, bottom):
            if side.kind not in (Kind.NUMBER, Kind.ANY) or not side.columns:
                raise ConfigError(
                    f"{self.what}: each side is a number of a person, not {side.text!r}."
                )
        return top, bottom

    def row_value(self, columns: Mapping[str, str]) -> RowValue:
        """The summed expression of a SUM, checked, and what is added once for each person.

        ``contact_cost`` is spent once on a person and not once on an order, so the terms that name
        it are taken out of the sum over rows.

        Args:
            columns: Column -> SQL type of the source.

        Raises:
            ConfigError: It is no number over these columns, or mixes ``contact_cost`` with columns
                of rows in one term.
        """
        known = {**columns, "contact_cost": MONEY}
        value = parse_expression(self.expression, columns=known, what=self.what)
        if value.kind not in (Kind.NUMBER, Kind.ANY) or not value.columns:
            raise ConfigError(
                f"{self.what}: a sum needs a number of each order, not {self.expression!r}."
                if self.source is Source.ORDERS
                else f"{self.what}: a sum needs a number of each row, not {self.expression!r}."
            )
        if "contact_cost" not in value.columns:
            return RowValue(value.sql(), "", value.columns)
        rows: list[str] = []
        once: list[str] = []
        for sign, term in _terms(value.tree):
            names = {column.name for column in term.find_all(exp.Column)}
            if names - {"contact_cost"} and "contact_cost" in names:
                raise ConfigError(
                    f"{self.what}: contact_cost is spent once on a person, so it cannot be "
                    "multiplied with what an order is worth.",
                    hint='Take it off at the end: "net_revenue - contact_cost".',
                )
            (once if "contact_cost" in names else rows).append(f"{sign} ({_sql(term)})")
        return RowValue(" ".join(rows) or "0", " ".join(once), value.columns - {"contact_cost"})

    def order_value(self, order_columns: Mapping[str, str]) -> Expression:
        """The summed expression over orders, checked, as one expression.

        Args:
            order_columns: Column -> SQL type of :data:`ORDERS`.

        Raises:
            ConfigError: It is no number over these columns.
        """
        self.row_value(order_columns)
        return parse_expression(
            self.expression, columns={**order_columns, "contact_cost": MONEY}, what=self.what
        )

    def row_condition(self, columns: Mapping[str, str]) -> Expression | None:
        """``where``, checked; None where every row counts.

        Raises:
            ConfigError: It is no condition over these columns.
        """
        if not self.where:
            return None
        return parse_condition(self.where, columns=columns, what=f"metrics.{self.name}.where")

    @property
    def person_columns(self) -> frozenset[str]:
        """Columns of a person that it reads; a SUM over rows reads others besides."""
        if self.kind is MetricKind.SHARE:
            return self.person_condition().columns
        if self.kind is MetricKind.RATIO:
            top, bottom = self.sides()
            return top.columns | bottom.columns
        if self.kind is MetricKind.COUNT and self.expression.strip() in PERSON and not self.where:
            return frozenset({self.expression.strip()})
        return frozenset()

    @property
    def needs_contact(self) -> bool:
        """Whether it means nothing for people who are sent nothing.

        Of rows of events it is what their condition, or what is summed, says of e-mail.
        """
        told = f"{self.expression} {self.where}" if self.source is Source.EVENTS else ""
        return bool(self.person_columns & NEEDS_CONTACT or _ABOUT_EMAIL.search(told))

    @property
    def campaign_costs(self) -> frozenset[str]:
        """Which costs of the campaign it takes off."""
        if self.kind is MetricKind.SUM:
            return frozenset(re.findall(r"\b(?:offer_cost|contact_cost)\b", self.expression))
        return self.person_columns & frozenset(CAMPAIGN_COSTS)

    @property
    def has_covariate(self) -> bool:
        """Whether the same metric of the time before can sharpen it."""
        return self.kind in (MetricKind.SUM, MetricKind.COUNT)


@dataclass(frozen=True, slots=True)
class RowValue:
    """A summed expression in two parts.

    Attributes:
        row: What every row adds; SQL over the source's columns.
        once: What is added once for each person, with its sign; empty: nothing.
        columns: Columns of the source that ``row`` names.
    """

    row: str
    once: str
    columns: frozenset[str]


def by_window(metrics: Iterable[MetricSpec]) -> dict[int, tuple[MetricSpec, ...]]:
    """Metrics by window length, each name once.

    Raises:
        ConfigError: Two metrics share a name and differ.
    """
    known: dict[str, MetricSpec] = {}
    for metric in metrics:
        if known.setdefault(metric.name, metric) != metric:
            raise ConfigError(f"metrics.{metric.name}: there are two metrics of this name.")
    lengths = sorted({metric.window_days for metric in known.values()})
    return {
        days: tuple(metric for metric in known.values() if metric.window_days == days)
        for days in lengths
    }


def _terms(tree: exp.Expr, sign: str = "+") -> list[tuple[str, exp.Expr]]:
    """The terms of a sum with their signs."""
    if isinstance(tree, exp.Paren):
        return _terms(tree.this, sign)
    if isinstance(tree, exp.Neg):
        return _terms(tree.this, "-" if sign == "+" else "+")
    if isinstance(tree, exp.Add):
        return _terms(tree.left, sign) + _terms(tree.right, sign)
    if isinstance(tree, exp.Sub):
        return _terms(tree.left, sign) + _terms(tree.right, "-" if sign == "+" else "+")
    return [(sign, tree)]


def _sql(tree: exp.Expr) -> str:
    return tree.sql(dialect=Liftline, comments=False)
