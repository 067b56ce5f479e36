"""RFM: recency, frequency and money, scored by stored cut points, named by a map of groups.

Fitting looks at everybody with an order inside the window and keeps only the cut points, so that a
person's score does not move because somebody else's did; it moves when the person buys, when time
passes, or at a refit. Before a refit is put to use, :func:`migration` shows who would change groups
and where to.

People without an order in the window have no scores: they are ``lapsed`` when they ever bought
before, else ``prospects``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connector.domain import Finding, Level
from connector.errors import ModelError
from connector.models.cuts import QUINTILES, Cuts, CutSpec, fit_cuts
from connector.models.groups import DEFAULT_GROUPS, UNNAMED, Cell, Group, check_groups
from connector.ports import Warehouse

KIND = "rfm"
"""The model's type, as in the configuration and in the store."""

FEW_PEOPLE = 100
"""Below so many people quantiles wobble from one fit to the next; a finding says so."""


@dataclass(frozen=True, slots=True)
class RfmSpec:
    """What the configuration says about one RFM model.

    Attributes:
        name: Prefix of the output columns: ``rfm`` gives ``rfm.r``, ``rfm.group``, ...
        window_days: Orders older than so many days do not count.
        recency, frequency, monetary: How each dimension is cut.
        groups: The map of names; first match wins.
        no_orders: Group of people who never bought.
        lapsed: Group of people whose last order is older than the window.
    """

    name: str = "rfm"
    window_days: int = 730
    recency: CutSpec = QUINTILES
    frequency: CutSpec = QUINTILES
    monetary: CutSpec = QUINTILES
    groups: tuple[Group, ...] = DEFAULT_GROUPS
    no_orders: str = "prospects"
    lapsed: str = "lapsed"

    @property
    def bins(self) -> Cell:
        """Number of scores of each dimension."""
        return (self.recency.bins, self.frequency.bins, self.monetary.bins)

    @property
    def group_names(self) -> tuple[str, ...]:
        """Every value that the group column may take, in the map's order."""
        names = [group.name for group in self.groups]
        return tuple(dict.fromkeys([*names, self.lapsed, self.no_orders, UNNAMED]))

    def check(self) -> list[Finding]:
        """Lint the map of groups."""
        return check_groups(self.groups, self.bins, subject=f"models.{self.name}.groups")


@dataclass(frozen=True, slots=True)
class RfmCard:
    """What a person must know about a fitted model.

    Attributes:
        as_of: The instant that it was fitted as of, aware UTC.
        window_days: Orders of so many days before ``as_of`` were looked at.
        n_people: People with an order in the window: the cut points are theirs.
        n_lapsed: People whose last order was before the window.
        n_prospects: People who never ordered.
    """

    as_of: datetime
    window_days: int
    n_people: int
    n_lapsed: int
    n_prospects: int


@dataclass(frozen=True, slots=True)
class RfmModel:
    """Fitted cut points with the map of groups; immutable, and compared by value.

    Attributes:
        name: Prefix of the output columns.
        recency, frequency, monetary: The cut points; recency in days, monetary in the shop's
            currency.
        groups: The map of names; first match wins.
        no_orders, lapsed: Groups of the people without scores.
        card: Where the cut points come from.
    """

    name: str
    recency: Cuts
    frequency: Cuts
    monetary: Cuts
    groups: tuple[Group, ...]
    no_orders: str
    lapsed: str
    card: RfmCard
    kind: str = field(default=KIND, init=False)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def bins(self) -> Cell:
        """Number of scores of each dimension."""
        return (self.recency.bins, self.frequency.bins, self.monetary.bins)

    @property
    def columns(self) -> tuple[str, str, str, str, str]:
        """Names of the output: three scores, the cell as text such as ``545``, the group."""
        r, f, m, cell, group = (f"{self.name}.{part}" for part in ("r", "f", "m", "cell", "group"))
        return r, f, m, cell, group

    def predict_sql(self, features: str = "features") -> str:
        """SELECT of ``profile_id`` and the output columns, one row for each row of the features."""
        scored = "CASE WHEN x.frequency > 0 AND x.recency_days IS NOT NULL THEN {} END"
        inner = (
            "SELECT x.profile_id AS profile_id, x.lifetime_orders AS lifetime_orders"
            f", {scored.format(self.recency.score_sql('x.recency_days'))} AS r"
            f", {scored.format(self.frequency.score_sql('x.frequency'))} AS f"
            f", {scored.format(self.monetary.score_sql('coalesce(x.monetary, 0)'))} AS m"
            f" FROM {features} AS x"
        )
        names = " ".join(
            f"WHEN s.r BETWEEN {g.r.low} AND {g.r.high} AND s.f BETWEEN {g.f.low} AND {g.f.high}"
            f" AND s.m BETWEEN {g.m.low} AND {g.m.high} THEN {_text(g.name)}"
            for g in self.groups
        )
        r, f, m, cell, group = (f'"{column}"' for column in self.columns)
        return (
            f"SELECT s.profile_id AS profile_id, s.r AS {r}, s.f AS {f}, s.m AS {m}"
            f", as_text(s.r) || as_text(s.f) || as_text(s.m) AS {cell}"
            ", CASE WHEN s.r IS NULL AND coalesce(s.lifetime_orders, 0) > 0 THEN"
            f" {_text(self.lapsed)}"
            f" WHEN s.r IS NULL THEN {_text(self.no_orders)} {names} ELSE {_text(UNNAMED)} END AS"
            f" {group}"
            f" FROM ({inner}) AS s"
        )

    def findings(self) -> list[Finding]:
        """What a person should look at before the model is used."""
        subject = f"models.{self.name}"
        found = check_groups(self.groups, self.bins, subject=f"{subject}.groups")
        for word, cuts in (
            ("recency", self.recency),
            ("frequency", self.frequency),
            ("monetary", self.monetary),
        ):
            if cuts.empty_bins:
                scores = ", ".join(map(str, cuts.empty_bins))
                found.append(
                    Finding(
                        Level.NOTE,
                        f"{subject}.{word}",
                        f"Nobody has the score {scores}: too many people share one value, or an"
                        " edge is out of reach.",
                        "Give fixed edges, or fewer bins.",
                    )
                )
        if self.card.n_people < FEW_PEOPLE:
            found.append(
                Finding(
                    Level.WARNING,
                    subject,
                    f"Only {self.card.n_people} people ordered within {self.card.window_days}"
                    " days.",
                    "Fixed edges are steadier than quantiles for so few.",
                )
            )
        return found

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "recency": self.recency.to_dict(),
            "frequency": self.frequency.to_dict(),
            "monetary": self.monetary.to_dict(),
            "groups": [group.to_dict() for group in self.groups],
            "no_orders": self.no_orders,
            "lapsed": self.lapsed,
            "card": {
                "as_of": self.card.as_of.isoformat(),
                "window_days": self.card.window_days,
                "n_people": self.card.n_people,
                "n_lapsed": self.card.n_lapsed,
                "n_prospects": self.card.n_prospects,
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> RfmModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            card, groups = data["card"], data["groups"]
            cuts = [data["recency"], data["frequency"], data["monetary"]]
            if not isinstance(card, dict) or not isinstance(groups, list):
                raise TypeError
            recency, frequency, monetary = (Cuts.from_dict(c) for c in cuts if isinstance(c, dict))
            return cls(
                name=str(data["name"]),
                recency=recency,
                frequency=frequency,
                monetary=monetary,
                groups=tuple(Group.from_dict(group) for group in groups),
                no_orders=str(data["no_orders"]),
                lapsed=str(data["lapsed"]),
                card=RfmCard(
                    as_of=datetime.fromisoformat(str(card["as_of"])),
                    window_days=int(card["window_days"]),
                    n_people=int(card["n_people"]),
                    n_lapsed=int(card["n_lapsed"]),
                    n_prospects=int(card["n_prospects"]),
                ),
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as problem:
            raise ModelError(
                "A stored RFM model cannot be read.", hint="Fit the model again."
            ) from problem


def fit(
    warehouse: Warehouse, spec: RfmSpec, *, as_of: datetime, features: str = "features"
) -> RfmModel:
    """Find the cut points among the people with an order in the window.

    Args:
        warehouse: Where the features lie.
        spec: What the configuration says; its ``window_days`` must be the one that the features
            were built with.
        as_of: The instant of the features, aware.
        features: Relation with ``recency_days``, ``frequency``, ``monetary`` and
            ``lifetime_orders``.

    Raises:
        InsufficientDataError: Quantiles are asked for and nobody ordered in the window.
    """
    population = (
        "SELECT x.recency_days AS recency_days, x.frequency AS frequency, coalesce(x.monetary, 0)"
        " AS monetary"
        f" FROM {features} AS x WHERE x.frequency > 0 AND x.recency_days IS NOT NULL"
    )
    n_people, n_lapsed, n_all = warehouse.rows(
        "SELECT count(CASE WHEN x.frequency > 0 AND x.recency_days IS NOT NULL THEN 1 END) AS"
        " n_people"
        ", count(CASE WHEN x.recency_days IS NULL AND x.lifetime_orders > 0 THEN 1 END) AS n_lapsed"
        f", count(*) AS n_all FROM {features} AS x"
    )[0]
    recency, frequency, monetary = (
        fit_cuts(warehouse, cut, population=population, value=value, reverse=reverse)
        for cut, value, reverse in (
            (spec.recency, "recency_days", True),
            (spec.frequency, "frequency", False),
            (spec.monetary, "monetary", False),
        )
    )
    return RfmModel(
        name=spec.name,
        recency=recency,
        frequency=frequency,
        monetary=monetary,
        groups=spec.groups,
        no_orders=spec.no_orders,
        lapsed=spec.lapsed,
        card=RfmCard(
            as_of=as_of.astimezone(UTC),
            window_days=spec.window_days,
            n_people=n_people,
            n_lapsed=n_lapsed,
            n_prospects=n_all - n_people - n_lapsed,
        ),
    )


def predict(
    warehouse: Warehouse,
    model: RfmModel,
    *,
    features: str = "features",
    output: str = "rfm_scores",
) -> None:
    """Score everybody in the features relation into the relation ``output``, one row a profile."""
    warehouse.create_table_as(output, model.predict_sql(features))


@dataclass(frozen=True, slots=True)
class Migration:
    """How many people are in one group under the old model and in another under the new one."""

    before: str
    after: str
    n_people: int


def migration(
    warehouse: Warehouse, before: RfmModel, after: RfmModel, *, features: str = "features"
) -> tuple[Migration, ...]:
    """Cross-tabulate the same people under two models, for the plan of a refit.

    Returns:
        One entry for each pair of groups that anybody is in, sorted by the two names; they add up
        to all people.
    """
    old, new = f'"{before.columns[4]}"', f'"{after.columns[4]}"'
    rows = warehouse.rows(
        f"SELECT a.{old} AS old_group, b.{new} AS new_group, count(*) AS n"
        f" FROM ({before.predict_sql(features)}) AS a JOIN ({after.predict_sql(features)}) AS b"
        f" ON a.profile_id = b.profile_id GROUP BY a.{old}, b.{new}"
    )
    return tuple(sorted((Migration(*row) for row in rows), key=lambda m: (m.before, m.after)))


def group_sizes(
    warehouse: Warehouse, model: RfmModel, *, scores: str = "rfm_scores"
) -> Mapping[str, int]:
    """People in each group of a scored relation, groups without anybody included as 0."""
    group = f'"{model.columns[4]}"'
    rows = warehouse.rows(
        f"SELECT s.{group} AS g, count(*) AS n FROM {scores} AS s GROUP BY s.{group}"
    )
    found = {str(name): int(n) for name, n in rows}
    names = [g.name for g in model.groups] + [model.lapsed, model.no_orders]
    return {name: found.get(name, 0) for name in dict.fromkeys([*names, *sorted(found)])}


def _text(value: str) -> str:
    """An SQL string literal."""
    return "'" + value.replace("'", "''") + "'"
