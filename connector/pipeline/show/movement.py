"""Who moves: segments, groups, clusters and topics against the last applied run, and refits.

Two different things are told apart. People *change*: they buy, or stop, and come to be in another
segment or group than at the last applied run. A refit *moves* people although they did nothing: the
same data is given to the model that the last run used, and the two answers are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from connector.config import Config
from connector.errors import LiftlineError
from connector.models import store
from connector.pipeline import specs
from connector.pipeline.scoring.grid import RFM
from connector.pipeline.scoring.kinds import kind_of
from connector.pipeline.understand.act import Understanding
from connector.ports import Warehouse
from connector.state.journal import Journal
from connector.warehouse.render import literal, quote

NAMES: Mapping[str, str] = {"cluster": "name", "lda": "top_name"}
"""Type of a model -> its column with the name of that."""

COMPARED: Mapping[str, str] = {**specs.LABELS, "clv": "tier"}
"""Type of a model -> the column by which a refit is compared with the model before."""

SEGMENTS = "segments"
"""What moves between segments are of."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One segment against the last applied run.

    Attributes:
        segment: Its name.
        people: Members now.
        joins: Members who were none.
        leaves: Those who were members and are none.
        is_new: Whether nobody was known of it before, so that everybody joins.
    """

    segment: str
    people: int
    joins: int
    leaves: int
    is_new: bool

    @property
    def volatility(self) -> float | None:
        """Share of those who were or are members for whom that changed (0-1)."""
        everybody = self.people + self.leaves
        return None if self.is_new or not everybody else (self.joins + self.leaves) / everybody

    def to_json(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "segment": self.segment,
            "people": self.people,
            "joins": self.joins,
            "leaves": self.leaves,
            "is_new": self.is_new,
            "volatility": self.volatility,
        }


@dataclass(frozen=True, slots=True)
class Move:
    """People who are elsewhere than before.

    Attributes:
        of: ``segments``, or a model's name.
        before: Segment, group or name of a cluster or topic; empty for none.
        after: Likewise.
        people: How many.
    """

    of: str
    before: str
    after: str
    people: int

    def to_json(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {"of": self.of, "before": self.before, "after": self.after, "people": self.people}


def flows(config: Config, warehouse: Warehouse) -> tuple[Flow, ...]:
    """Every segment of the file against the last applied run."""
    rows = warehouse.rows(
        "SELECT coalesce(m.segment, k.segment) AS segment, count(m.profile_id) AS people,"
        " sum(CASE WHEN k.profile_id IS NULL THEN 1 ELSE 0 END) AS joins,"
        " sum(CASE WHEN m.profile_id IS NULL THEN 1 ELSE 0 END) AS leaves"
        " FROM segment_members AS m FULL JOIN"
        " (SELECT segment, profile_id FROM known_segments WHERE is_member = 1) AS k"
        " ON k.segment = m.segment AND k.profile_id = m.profile_id GROUP BY 1"
    )
    known = {
        str(name)
        for (name,) in warehouse.rows("SELECT DISTINCT segment AS segment FROM known_segments")
    }
    found = {str(name): (int(n), int(j), int(left)) for name, n, j, left in rows}
    return tuple(
        Flow(name, *found.get(name, (0, 0, 0)), is_new=name not in known)
        for name in config.segments
    )


def moves(config: Config, warehouse: Warehouse) -> tuple[Move, ...]:
    """Who is elsewhere than at the last applied run, most people first."""
    return (*_segment_moves(warehouse), *_label_moves(config, warehouse))


def _segment_moves(warehouse: Warehouse) -> Iterator[Move]:
    """From each segment that people left to each that they joined instead; or to none."""
    rows = warehouse.rows(
        "SELECT l.segment AS a, coalesce(j.segment, '') AS b, count(*) AS n FROM ("
        " SELECT k.segment AS segment, k.profile_id AS profile_id FROM known_segments AS k"
        " LEFT JOIN segment_members AS m ON m.segment = k.segment AND m.profile_id = k.profile_id"
        " WHERE k.is_member = 1 AND m.profile_id IS NULL) AS l LEFT JOIN ("
        " SELECT m.segment AS segment, m.profile_id AS profile_id FROM segment_members AS m"
        " LEFT JOIN (SELECT segment, profile_id FROM known_segments WHERE is_member = 1) AS k"
        " ON k.segment = m.segment AND k.profile_id = m.profile_id"
        " WHERE k.profile_id IS NULL) AS j ON j.profile_id = l.profile_id"
        " GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
    )
    for before, after, n in rows:
        yield Move(SEGMENTS, str(before), str(after), int(n))


def _label_moves(config: Config, warehouse: Warehouse) -> Iterator[Move]:
    for model, column in specs.label_columns(config).items():
        names = _names(config, warehouse, model)
        rows = warehouse.rows(
            f"SELECT k.label AS a, s.{quote(column)} AS b, count(*) AS n FROM scored AS s JOIN"
            " (SELECT profile_id, min(label) AS label FROM known_labels"
            f" WHERE model = {literal(model)} GROUP BY profile_id) AS k"
            f" ON k.profile_id = s.profile_id WHERE s.{quote(column)} <> k.label"
            " GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
        )
        for before, after, n in rows:
            yield Move(
                model,
                names.get(str(before), str(before)),
                names.get(str(after), str(after)),
                int(n),
            )


def _names(config: Config, warehouse: Warehouse, model: str) -> dict[str, str]:
    """Id of a cluster or topic -> what it is called; RFM groups are names already."""
    kinds = {name: settings.type for name, settings in config.models.named()}
    kind = kinds.get(model, RFM)
    if kind not in NAMES:
        return {}
    label, name = quote(f"{model}.{specs.LABELS[kind]}"), quote(f"{model}.{NAMES[kind]}")
    return {
        str(key): str(words)
        for key, words in warehouse.rows(
            f"SELECT {label} AS a, min({name}) AS b FROM scored WHERE {label} IS NOT NULL GROUP BY"
            " 1"
        )
    }


def refits(found: Understanding, journal: Journal) -> tuple[Move, ...]:
    """Whom new models move: the same people, by the model that the last run used and by this one.

    Only of models that were fitted just now and say where people belong (clusters, topics, tiers).
    RFM tells it of itself.
    """
    return tuple(
        move
        for name, settings in found.context.config.models.named()
        if name in found.scores.fresh and settings.type in COMPARED
        for move in _refit(found, journal, name)
    )


def _refit(found: Understanding, journal: Journal, name: str) -> Iterator[Move]:
    stored = journal.model(name, applied=True)
    if stored is None:
        return
    settings = dict(found.context.config.models.named())[name]
    kind, relation = kind_of(settings), f"{name}_scores_before"
    try:
        before = kind.refresh(found.context, name, settings, store.loads(stored[1]))
        kind.score(found.context, name, settings, before, relation)
    except LiftlineError:
        # It cannot be read or applied any more, so nobody can say whom its successor moves.
        return
    warehouse = found.context.warehouse
    now, column = f"{name}_scores", f"{name}.{COMPARED[settings.type]}"
    if any(column not in warehouse.columns(one) for one in (relation, now)):
        # The tier is among the outputs only where the file asks for it.
        return
    label = quote(column)
    shown = quote(f"{name}.{NAMES[settings.type]}") if settings.type in NAMES else label
    rows = warehouse.rows(
        f"SELECT b.{shown} AS a, n.{shown} AS b, count(*) AS n FROM {quote(relation)} AS b"
        f" JOIN {quote(now)} AS n ON n.profile_id = b.profile_id WHERE b.{label} <> n.{label}"
        " GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
    )
    for one, other, n in rows:
        yield Move(name, str(one), str(other), int(n))
