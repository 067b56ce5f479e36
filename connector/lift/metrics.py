"""What is measured about one person, and the SQL that measures it for everybody assigned.

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

People with windows of one length share a relation, so that one scan serves all metrics of that
length.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from connector.errors import ConfigError
from connector.tables import MONEY
from connector.warehouse.dialect import Expression, parse_condition, parse_expression
from connector.warehouse.macros import Kind
from connector.warehouse.render import literal, quote

ASSIGNMENTS = "assignments"
"""Relation of everybody who has an arm: ``campaign, epoch, config_version, profile_id, arm,
first_eligible_at``."""

ORDERS = "clean_orders"
"""Relation of orders and returns: ``profile_id, ordered_at, is_return`` and the money columns."""

PERSON_COLUMNS: Mapping[str, str] = {
    "orders": "BIGINT",
    "returns": "BIGINT",
    "net_revenue": MONEY,
    "gross": MONEY,
    "margin": MONEY,
}
"""What a share's condition may speak of, with types: one person's sums over the window."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class MetricKind(enum.StrEnum):
    """How a person's orders become one number."""

    SUM = "sum"
    """Sum of an expression over the orders and returns in the window: money per person."""
    COUNT = "count"
    """Number of orders in the window; returns are no orders."""
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
        kind: How orders become a number.
        expression: House-dialect SQL. For SUM a number over the columns of :data:`ORDERS`
            (``net_revenue``); for COUNT always ``orders``; for SHARE a condition over
            :data:`PERSON_COLUMNS` (``orders >= 1``).
        window_days: Length of the window, whole days of 24 hours, at least 1.
    """

    name: str
    kind: MetricKind
    expression: str
    window_days: int

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
        if self.kind is MetricKind.COUNT and self.expression.strip() != "orders":
            raise ConfigError(
                f"metrics.{self.name}.count: only `orders` can be counted, "
                f"not {self.expression!r}.",
                hint='For anything else use a sum, or a share such as "net_revenue >= 50".',
            )
        if self.kind is MetricKind.SHARE:
            self.person_condition()

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

    def order_value(self, order_columns: Mapping[str, str]) -> Expression:
        """The summed expression of a SUM, checked.

        Args:
            order_columns: Column -> SQL type of :data:`ORDERS`.

        Raises:
            ConfigError: It is no number over these columns.
        """
        value = parse_expression(self.expression, columns=order_columns, what=self.what)
        if value.kind not in (Kind.NUMBER, Kind.ANY) or not value.columns:
            raise ConfigError(
                f"{self.what}: a sum needs a number of each order, not {self.expression!r}."
            )
        return value


def units_relation(window_days: int) -> str:
    """Name of the relation that holds the outcomes of one window length."""
    return f"lift_units_{window_days}d"


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


def units_sql(
    metrics: Sequence[MetricSpec],
    *,
    order_columns: Mapping[str, str],
    as_of: datetime,
    campaigns: Sequence[str],
) -> str:
    """SQL of one row per person assigned whose window has closed, buyers or not.

    Args:
        metrics: At least one; all of the same window length.
        order_columns: Column -> SQL type of :data:`ORDERS`.
        as_of: Aware; the instant of the analysis. Only what happened before it exists.
        campaigns: Which campaigns to read; at least one.

    Returns:
        House-dialect SQL with the columns ``campaign, epoch, arm, profile_id`` and one DOUBLE per
        metric, by its name: NULL where an order of that person in the window has no value for the
        expression, so that nobody counts as zero because something is not known.

    Raises:
        ConfigError: The metrics differ in their windows, or an expression is not allowed.
    """
    lengths = {metric.window_days for metric in metrics}
    if len(lengths) != 1:
        raise ConfigError(f"Metrics of one relation need one window length, not {sorted(lengths)}.")
    ends = _window_end(lengths.pop())
    sums = [m for m in metrics if m.kind is MetricKind.SUM]
    shares = {m.name: m.person_condition() for m in metrics if m.kind is MetricKind.SHARE}
    money = sorted({c for s in shares.values() for c in s.columns} - {"orders", "returns"})
    summed = [*(f"value_{i}" for i in range(len(sums))), *money]

    order_values = [
        "CASE WHEN is_return THEN 0 ELSE 1 END AS is_order",
        "CASE WHEN is_return THEN 1 ELSE 0 END AS is_returned",
        *(f"{m.order_value(order_columns).sql()} AS value_{i}" for i, m in enumerate(sums)),
        *money,
    ]
    totals = [
        "sum(o.is_order) AS orders",
        "sum(o.is_returned) AS returns",
        *(_total_sql(column) for column in summed),
    ]
    person = [
        "COALESCE(b.orders, 0) AS orders",
        "COALESCE(b.returns, 0) AS returns",
        # No row in "bought" means nothing bought; a row may still have a total that is not known.
        *(f"CASE WHEN b.orders IS NULL THEN 0 ELSE b.{c} END AS {c}" for c in summed),
    ]
    outcomes = []
    for metric in metrics:
        if metric.kind is MetricKind.SUM:
            value = f"value_{sums.index(metric)}"
        elif metric.kind is MetricKind.COUNT:
            value = "orders"
        else:
            condition = shares[metric.name].sql()
            value = f"CASE WHEN {condition} THEN 1 WHEN NOT ({condition}) THEN 0 END"
        outcomes.append(f"CAST({value} AS DOUBLE) AS {quote(metric.name)}")
    return (
        f"WITH people AS (SELECT campaign, epoch, arm, profile_id, first_eligible_at, "
        f"{ends} AS window_ends_at FROM {ASSIGNMENTS} "
        f"WHERE campaign IN ({_names(campaigns)}) AND {ends} <= {literal(as_of)}), "
        f"happened AS (SELECT profile_id, ordered_at, {', '.join(order_values)} FROM {ORDERS} "
        f"WHERE ordered_at < {literal(as_of)}), "
        f"bought AS (SELECT p.campaign, p.epoch, p.profile_id, {', '.join(totals)} "
        "FROM people AS p JOIN happened AS o ON o.profile_id = p.profile_id "
        "AND o.ordered_at >= p.first_eligible_at AND o.ordered_at < p.window_ends_at "
        "GROUP BY p.campaign, p.epoch, p.profile_id), "
        f"person AS (SELECT p.campaign, p.epoch, p.arm, p.profile_id, {', '.join(person)} "
        "FROM people AS p LEFT JOIN bought AS b ON b.campaign = p.campaign "
        "AND b.epoch = p.epoch AND b.profile_id = p.profile_id) "
        f"SELECT campaign, epoch, arm, profile_id, {', '.join(outcomes)} FROM person"
    )


def people_sql(windows: Sequence[int], *, as_of: datetime, campaigns: Sequence[str]) -> str:
    """SQL that counts the people assigned by ``as_of``, and of them those with closed windows.

    Args:
        windows: Window lengths in days.
        as_of: Aware; the instant of the analysis.
        campaigns: Which campaigns to read; at least one.

    Returns:
        House-dialect SQL with one row per campaign, epoch, configuration version and arm:
        ``campaign, epoch, config_version, arm, n`` and one count of closed windows for each length,
        in the order given.
    """
    closed = "".join(
        f", sum(CASE WHEN {_window_end(days)} <= {literal(as_of)} THEN 1 ELSE 0 END) AS closed_{i}"
        for i, days in enumerate(windows)
    )
    return (
        f"SELECT campaign, epoch, config_version, arm, count(*) AS n{closed} FROM {ASSIGNMENTS} "
        f"WHERE campaign IN ({_names(campaigns)}) AND first_eligible_at <= {literal(as_of)} "
        "GROUP BY campaign, epoch, config_version, arm"
    )


def repeated_people_sql(campaigns: Sequence[str]) -> str:
    """SQL that counts who is assigned more than once in a campaign and epoch: must be nobody."""
    return (
        "SELECT count(*) FROM (SELECT campaign, epoch, profile_id FROM "
        f"{ASSIGNMENTS} WHERE campaign IN ({_names(campaigns)}) "
        "GROUP BY campaign, epoch, profile_id HAVING count(*) > 1) AS repeated"
    )


def _total_sql(column: str) -> str:
    """A person's sum; NULL as soon as one order has no value, for then it is not known."""
    return f"CASE WHEN count(o.{column}) = count(*) THEN sum(o.{column}) END AS {column}"


def _window_end(days: int) -> str:
    """When a person's window ends."""
    return f"add_days(first_eligible_at, {days})"


def _names(campaigns: Sequence[str]) -> str:
    """Campaign names as a list of literals."""
    return ", ".join(literal(campaign) for campaign in sorted(set(campaigns)))
