"""Which features a run computes, the tables that they need, and whom they stand in for.

The configuration names packs, or merely uses a feature in a segment, a property or a model. What is
used is found by its name among all texts of the file: a name that is no feature costs nothing, and
nobody has to list twice what is written down already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from connector.config import Config
from connector.domain import Finding, Level
from connector.errors import ConfigError
from connector.features.catalogue import (
    DEFAULT_PACKS,
    Notice,
    Settings,
    asked_for,
    available,
    packs_of,
    reading,
)
from connector.features.custom import FEATURES, RELATIONS, CustomFeature, custom_pack, replacing
from connector.features.demographics import embeddings_pack
from connector.features.inputs import InputRules
from connector.features.pack import FeatureMeta, FeaturePack, words
from connector.pipeline import specs
from connector.ports import Warehouse
from connector.profiles import devices, events, orders, products
from connector.profiles.quality import Reports
from connector.profiles.spec import MarginFrom
from connector.tables import EVENT_MEANINGS
from connector.warehouse.render import quote

CUSTOM, EMBEDDINGS = "custom", "embeddings"
BEHAVIOUR: Mapping[str, Callable[..., Reports]] = {
    "tickets": events.clean_tickets,
    "social": events.clean_social,
    "loyalty": events.clean_loyalty,
}
"""Logical table -> the step that cleans it."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The features of one run.

    Attributes:
        packs: What is computed.
        findings: What is off, where the file names it.
        history_days: How far back rows are read; None: as far as they go.
    """

    packs: tuple[FeaturePack, ...]
    findings: tuple[Finding, ...]
    history_days: int | None = None

    @property
    def metas(self) -> tuple[FeatureMeta, ...]:
        """What each feature means."""
        return tuple(meta for pack in self.packs for meta in pack.metas)


def clean_behaviour(config: Config, warehouse: Warehouse, *, as_of: datetime) -> list[Reports]:
    """Make the clean relations of products, order lines and whatever else the file maps."""
    tables = dict(config.tables.items())
    steps: list[Reports] = [
        products.clean_products(warehouse, aliases=config.features.categories),
        orders.clean_items(warehouse),
    ]
    if "events" in tables:
        steps.append(events.clean_events(warehouse, events_spec(config), as_of=as_of))
    steps += [clean(warehouse, as_of=as_of) for name, clean in BEHAVIOUR.items() if name in tables]
    return steps


def events_spec(config: Config) -> events.EventsSpec:
    """How events are read."""
    table = config.tables.events
    given = dict(table.columns) if table is not None else {}
    looked_up = [name for name in events.READABLE if name not in given]
    return events.EventsSpec(
        words={**EVENT_MEANINGS, **{k: tuple(v) for k, v in config.features.words.items()}},
        aliases=dict(config.features.categories),
        from_properties=tuple(looked_up) if "properties" in given else (),
        links=devices.LINKS if specs.stitches_devices(config) else "",
    )


def choose_features(config: Config, warehouse: Warehouse) -> Chosen:
    """The packs that a run computes, custom features among them.

    Args:
        config: The configuration.
        warehouse: Holds the clean relations.

    Raises:
        ConfigError: A custom feature cannot be read; its line is named.
    """
    features = config.features
    rfm = config.models.rfm
    settings = Settings(
        timezone=config.project.timezone,
        rfm_window_days=rfm.window.days,
        rfm_value=rfm.monetary.value,
        half_life_days=features.interest_half_life.days,
        category_level=features.category_level,
    )
    named = features.packs if features.packs is not None else ()
    packs = packs_of(features.packs if features.packs is not None else DEFAULT_PACKS, settings)
    if features.embeddings:
        packs.append(embeddings_pack(dict(features.embeddings)))
    kept, notices = available(packs, mapped(config))
    kept = replacing(kept, [one.name for one in features.custom])
    kept += _custom(config, warehouse, kept)
    asked = _asked(config)
    # A model that names no inputs reads what there is.
    greedy = any(not getattr(one, FEATURES, ("none",)) for _, one in config.models.named())
    computed = {*named, CUSTOM, EMBEDDINGS, *((pack.name for pack in kept) if greedy else ())}
    findings = [_off(config, notice) for notice in notices if _matters(notice, named, asked)]
    return Chosen(
        tuple(asked_for(kept, asked, named=computed)),
        tuple(findings),
        features.history.days if features.history is not None else None,
    )


def mapped(config: Config) -> frozenset[str]:
    """Every logical table and column that the file maps, such as ``orders.discount``."""
    found: set[str] = set()
    for name, table in config.tables.items():
        found |= {name, *(f"{name}.{column}" for column in table.columns)}
    found |= {f"events.{name}" for name in events_spec(config).from_properties}
    return frozenset(found)


def input_rules(config: Config, packs: Sequence[FeaturePack]) -> InputRules:
    """Which features may be inputs of a model.

    Args:
        config: The configuration.
        packs: What is computed.
    """
    shut = {meta.name for pack in packs for meta in pack.metas if meta.describe_only}
    shut -= set(config.features.allow)
    return InputRules(
        deny=frozenset(config.features.deny),
        report_only=frozenset(config.features.report_only) | shut,
        mutable=changing(config, packs),
    )


def changing(config: Config, packs: Sequence[FeaturePack]) -> frozenset[str]:
    """Features that read a column which the file declares mutable, directly or through others.

    What an order is worth reads the columns of its formula; whether a row is a return does not
    change in place, or it would be another row.
    """
    # What is known of a person has no date, so it is the same as of every instant.
    undated = {f"customers.{column}" for column in config.tables.customers.mutable}
    attributes = [column for pack in packs for column in pack.attributes]
    found = {column.name for column in attributes if undated.intersection(column.needs)}
    from_items = specs.margin_of(config) is MarginFrom.ITEMS
    lines = config.tables.order_items
    if from_items and lines is not None and {"quantity", "unit_cost"} & set(lines.mutable):
        found |= reading(packs, RELATIONS["orders"][0], {"margin", "item_cost"})
    for name, table in config.tables.items():
        if name not in RELATIONS or not table.mutable:
            continue
        columns = set(table.mutable)
        if name == "orders" and words(specs.orders_spec(config).net_revenue) & columns:
            columns.add("net_revenue")
        if name == "orders" and from_items and "net_revenue" in columns:
            columns.add("margin")
        found |= reading(packs, RELATIONS[name][0], columns)
    return frozenset(found)


def mutable_findings(config: Config) -> list[Finding]:
    """What declaring a column mutable cannot mend."""
    orders = config.tables.orders
    if orders.cancelled is None or not words(orders.cancelled) & set(orders.mutable):
        return []
    return [
        Finding(
            Level.NOTE,
            "tables.orders.cancelled",
            f"{config.locate('tables.orders.cancelled')}: orders are cancelled by a column that"
            " changes in place, so past instants lack orders that were cancelled later.",
            "Harmless where cancelling takes days; else give cancellations rows and dates.",
        )
    ]


def _asked(config: Config) -> frozenset[str]:
    """Every name that occurs in the file's texts."""
    return words(config.model_dump_json(exclude={"sources", "tables", "consent"}))


def _custom(
    config: Config, warehouse: Warehouse, packs: Sequence[FeaturePack]
) -> list[FeaturePack]:
    """The custom features, each checked against what it may read."""
    made: list[FeaturePack] = []
    ours = {meta.name: meta.type for pack in packs for meta in pack.metas}
    # The kind of a feature that another custom one makes shows only when that has been read.
    theirs = dict.fromkeys((one.name for one in config.features.custom), "")
    for i, one in enumerate(config.features.custom):
        feature = CustomFeature(
            one.name,
            one.sql,
            one.source,
            window_days=one.window.days if one.window is not None else None,
            where=one.where or "",
            unit=one.unit or "",
            meaning=one.description or one.sql,
            empty=one.empty,
            what=one.name,
        )
        columns = (
            {**ours, **theirs}
            if one.source == FEATURES
            else warehouse.columns(RELATIONS[one.source][0])
        )
        try:
            made.append(custom_pack(feature, columns))
        except ConfigError as problem:
            path = f"features.custom.{i}.sql"
            raise config.config_error(path, problem.message, problem.hint) from problem
    return made


def _matters(notice: Notice, named: Sequence[str], asked: frozenset[str]) -> bool:
    """Whether the file speaks of something that is off."""
    return notice.pack in named or bool(asked.intersection(notice.features))


def _off(config: Config, notice: Notice) -> Finding:
    return Finding(
        Level.NOTE,
        "features.packs",
        f"{config.locate('features')}: {notice}",
        "Map it, or leave out what needs it.",
    )


# ---------------------------------------------------------------------- proxies
PROXY_PEOPLE = 20_000
"""So many people, picked by their ids, are enough to see an association that matters."""


def outcomes(meanings: Mapping[str, FeatureMeta], labels: Mapping[str, Sequence[str]]) -> list[str]:
    """Score columns that may stand in for an attribute: labels and numbers, not reasons."""
    numbers = ("DOUBLE", "BIGINT", "INTEGER", "DECIMAL")
    return [
        name
        for name, meta in meanings.items()
        if name in labels or meta.type.upper().startswith(numbers)
    ]


DESCRIBES = ("birth_year", "country", "city")
"""Attributes of a person that a segment or score is compared with where the file names none."""


def proxy_findings(
    config: Config, warehouse: Warehouse, scores: Sequence[str], segments: Sequence[str]
) -> list[Finding]:
    """Warnings for segments and scores that stand in for an attribute that may not form them.

    Args:
        config: Its ``deny`` and ``report_only`` name the attributes; a file without
            ``report_only`` means :data:`DESCRIBES`. Those that the customers' table maps are
            looked at.
        warehouse: Holds ``scored``, ``profiles``, ``clean_customers`` and ``segment_members``.
        scores: Columns of ``scored``: labels and scores of models.
        segments: Names of segments.
    """
    known = warehouse.columns("clean_customers")
    told = "report_only" in config.features.model_fields_set
    describes = config.features.report_only if told else DESCRIBES
    shut = dict.fromkeys((*config.features.deny, *describes))
    for name in config.features.allow:
        shut.pop(name, None)
    attributes = [name for name in shut if name in known]
    if not attributes or not (scores or segments):
        return []
    # Only now: a file without such attributes needs neither pandas nor scipy here.
    import pandas as pd

    from connector.features.proxies import proxies

    (n,) = warehouse.rows("SELECT count(*) AS n FROM scored AS s")[0]
    some = min(2**32, 2**32 * PROXY_PEOPLE // max(int(n), 1))
    picked = f"hash_bucket(s.profile_id) < {some}"
    picks = [f"s.{quote(name)} AS {quote(name)}" for name in scores]
    picks += [f"c.{quote(name)} AS {quote(f'attribute {name}')}" for name in attributes]
    rows = warehouse.batches(
        f"SELECT s.profile_id AS profile_id, {', '.join(picks)} FROM scored AS s"
        " JOIN profiles AS p ON p.profile_id = s.profile_id"
        f" JOIN clean_customers AS c ON c.customer_id = p.customer_id WHERE {picked}"
    )
    people = rows.read_all().to_pandas().set_index("profile_id")
    frame: pd.DataFrame = people[[*scores]].convert_dtypes()
    members = warehouse.rows(
        f"SELECT s.segment AS segment, s.profile_id AS profile_id FROM segment_members AS s"
        f" WHERE {picked}"
    )
    for segment in segments:
        inside = {profile for name, profile in members if name == segment}
        frame[f"segments.{segment}"] = people.index.isin(inside)
    held = people[[f"attribute {name}" for name in attributes]].convert_dtypes()
    return proxies(frame, held.rename(columns=lambda name: name.removeprefix("attribute ")))
