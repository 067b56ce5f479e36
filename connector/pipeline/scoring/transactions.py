"""Orders as a value model reads them: a person, a day in the shop's zone and an amount.

A row is a return where it takes revenue away, whatever its margin: an order sold at a loss is a
purchase still.

**Unknown margins.** An order whose margin is not known (:mod:`connector.profiles.orders`) earns
what the others earn of a unit of revenue; leaving it out would lose a purchase, and zero would call
it worthless. That is a guess about a few orders. Where it would be one about many
(:data:`MOST_UNKNOWN`), or no margin can be known at all, there is no model on margin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from connector.config.models import ClvModel as Settings
from connector.errors import InsufficientDataError
from connector.models.clv.transactions import Transactions
from connector.numbers import percent
from connector.pipeline import specs
from connector.pipeline.scoring.context import ScoringContext
from connector.warehouse.render import literal

EPOCH = date(1970, 1, 1)

MOST_UNKNOWN = 0.2
"""Share of orders whose margin may be unknown; more, and the model would be mostly a guess."""


@dataclass(frozen=True, slots=True)
class Margins:
    """How far the margins of orders are known.

    Attributes:
        n_orders: Orders and returns.
        n_unknown: Those of unknown margin.
        share: Margin of a unit of revenue, among the known.
    """

    n_orders: int
    n_unknown: int
    share: float

    @property
    def note(self) -> str:
        """What a person should know; empty where all is known."""
        if not self.n_unknown:
            return ""
        return (
            f"The margin of {self.n_unknown:,} of {self.n_orders:,} orders and returns is unknown;"
            f" they are taken to earn {percent(self.share)} of their revenue, as the others do."
        )


def read_transactions(context: ScoringContext, name: str, settings: Settings) -> Transactions:
    """Orders and returns before the instant as rows of a person, a local day and an amount.

    Raises:
        InsufficientDataError: There is no order, or the margin is asked for and not known.
    """
    zone = literal(context.config.project.timezone)
    amount = "CAST(o.net_revenue AS DOUBLE)"
    if settings.value == "margin":
        share = margins(context, name).share
        amount = f"CAST(coalesce(o.margin, o.net_revenue * {literal(share)}) AS DOUBLE)"
    reader = context.warehouse.batches(
        "SELECT o.profile_id AS profile_id,"
        f" days_between(TIMESTAMP '1970-01-01 00:00:00', to_local(o.ordered_at, {zone})) AS day,"
        f" {amount} AS amount, o.net_revenue < 0 AS is_return"
        f" FROM clean_orders AS o WHERE o.ordered_at < {literal(context.as_of)}"
    )
    rows = pa.Table.from_batches(list(reader), reader.schema).sort_by(
        [(column, "ascending") for column in ("profile_id", "day", "amount", "is_return")]
    )
    if rows.num_rows == 0:
        raise InsufficientDataError(
            f"The model {name} has no orders to learn from.", hint="Check tables.orders."
        )
    return Transactions.of(
        rows["profile_id"].to_numpy(),
        rows["day"].to_numpy(),
        rows["amount"].to_numpy(),
        rows["is_return"].to_numpy(),
    )


def margins(context: ScoringContext, name: str) -> Margins:
    """How far the margins of the orders before the instant are known.

    Raises:
        InsufficientDataError: They cannot be known, or too few are.
    """
    where = context.config.locate(f"models.{name}.value")
    if specs.margin_of(context.config) is None:
        raise InsufficientDataError(
            f"{where}: the margin of an order is not known, for the file maps neither"
            " orders.margin nor order_items.unit_cost.",
            hint="Map one of them, or value net_revenue.",
        )
    ((n, known, revenue, margin),) = context.warehouse.rows(
        "SELECT count(*) AS n, count(o.margin) AS known,"
        " sum(CASE WHEN o.margin IS NOT NULL THEN o.net_revenue END) AS revenue,"
        f" sum(o.margin) AS margin FROM clean_orders AS o WHERE o.ordered_at < "
        f"{literal(context.as_of)}"
    )
    found = Margins(int(n), int(n) - int(known), float(margin or 0) / float(revenue or 1))
    if found.n_unknown > MOST_UNKNOWN * found.n_orders:
        raise InsufficientDataError(
            f"{where}: the margin of {found.n_unknown:,} of {found.n_orders:,} orders and returns"
            f" is unknown; at most {percent(MOST_UNKNOWN)} may be.",
            hint="Give every order line a unit_cost, or value net_revenue.",
        )
    return found


def observed_to(context: ScoringContext) -> int:
    """The last whole day before the instant, in the project's time zone."""
    today = context.as_of.astimezone(context.config.project.zone).date()
    return (today - EPOCH).days - 1
