"""All packs by name, and which of their features a run computes.

A pack is on when its tables are mapped, and a feature when its columns are: a promotion share of a
shop that never told its discounts would be a column of zeros that looks like knowledge. What is off
is told as a notice, not as an error.

Of what is on, a run computes what something asks for by name. A pack that the configuration names
is computed whole, but for features that take a step of their own (a
:class:`~connector.features.pack.Level`): sorting ten million orders for gaps that nobody reads
would double the run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from connector.features.browse import HALF_LIFE_DAYS, browse_pack
from connector.features.categories import category_pack
from connector.features.demographics import demographics_pack
from connector.features.email import email_pack
from connector.features.habits import channel_pack, convenience_pack, habits_pack
from connector.features.orders import orders_pack, rfm_pack
from connector.features.pack import FeatureMeta, FeaturePack, Level, words
from connector.features.relations import loyalty_pack, social_pack, support_pack


@dataclass(frozen=True, slots=True)
class Settings:
    """What packs are told.

    Attributes:
        timezone: Zone that weekends and hours are meant in.
        rfm_window_days: Window of the RFM model.
        rfm_value: What its monetary dimension adds up.
        half_life_days: After so many days an interest is worth half.
        category_level: Column of products that is the category: ``category`` or ``subcategory``.
    """

    timezone: str = "UTC"
    rfm_window_days: int = 730
    rfm_value: str = "net_revenue"
    half_life_days: float = HALF_LIFE_DAYS
    category_level: str = "category"


PACKS: Mapping[str, Callable[[Settings], tuple[FeaturePack, ...]]] = {
    "rfm": lambda s: (rfm_pack(s.rfm_window_days, s.rfm_value),),
    "orders": lambda s: (orders_pack(), habits_pack(s.timezone)),
    "category_share": lambda s: (category_pack(s.category_level),),
    "channel_mix": lambda s: (channel_pack(s.timezone),),
    "convenience": lambda _: (convenience_pack(),),
    "browse": lambda s: (
        browse_pack(s.timezone, half_life_days=s.half_life_days, level=s.category_level),
    ),
    "email_engagement": lambda s: (email_pack(s.timezone),),
    "support": lambda _: (support_pack(),),
    "social": lambda _: (social_pack(),),
    "loyalty": lambda _: (loyalty_pack(),),
    "demographics": lambda _: (demographics_pack(),),
}
"""Every pack by the name that a configuration calls it."""

DEFAULT_PACKS = tuple(name for name in PACKS if name != "demographics")
"""What a configuration that names no packs gets, as far as its tables reach."""

ALWAYS = ("rfm", "orders")
"""Packs that are on whatever a configuration names."""
BASE = (rfm_pack(), orders_pack())
"""Features that every run computes: the RFM model and the reports read them."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that is off.

    Attributes:
        pack: The pack's name.
        missing: Tables (``events``) or columns (``orders.discount``) that are not mapped.
        features: The features that there are not for that reason.
    """

    pack: str
    missing: tuple[str, ...]
    features: tuple[str, ...]

    def __str__(self) -> str:
        what = " and ".join(f"tables.{name.replace('.', '.columns.')}" for name in self.missing)
        verb = "are" if len(self.missing) > 1 else "is"
        some = ", ".join(self.features[:6])
        more = f" and {len(self.features) - 6} more" if len(self.features) > 6 else ""
        return f"pack {self.pack}: {what} {verb} not mapped, so there is no {some}{more}"


def packs_of(names: Iterable[str], settings: Settings) -> list[FeaturePack]:
    """The packs of those names, each once, in the order of the catalogue."""
    wanted = {*ALWAYS, *names}
    return [pack for name, make in PACKS.items() if name in wanted for pack in make(settings)]


def catalogue(settings: Settings | None = None) -> tuple[FeatureMeta, ...]:
    """Every feature that there is, with unit and meaning: for documents and did-you-mean."""
    packs = packs_of(PACKS, settings or Settings())
    return tuple(meta for pack in packs for meta in pack.metas)


def available(
    packs: Sequence[FeaturePack], mapped: Collection[str]
) -> tuple[list[FeaturePack], list[Notice]]:
    """The packs and features whose tables and columns are mapped.

    Args:
        packs: Any packs.
        mapped: Names of logical tables (``events``) and of their columns (``orders.discount``).

    Returns:
        What is left of the packs, and a notice for each thing that is off.
    """
    lacking: dict[str, tuple[str, tuple[str, ...]]] = {}
    for pack in packs:
        tables = tuple(need for need in pack.needs if need not in mapped)
        for column in pack.all_columns:
            needs: tuple[str, ...] = getattr(column, "needs", ())
            missing = tables or tuple(need for need in needs if need not in mapped)
            if missing:
                lacking[column.name] = (pack.name, missing)
    for _ in packs:
        # What is derived from a feature that is off is off as well, and so on.
        for pack in packs:
            for derived in pack.derived:
                cause = next((n for n in words(derived.expression) if n in lacking), None)
                if cause is not None and derived.name not in lacking:
                    lacking[derived.name] = (pack.name, lacking[cause][1])
    kept = [pack.keeping(frozenset(pack.names) - frozenset(lacking)) for pack in packs]
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, reason in lacking.items():
        grouped.setdefault(reason, []).append(name)
    notices = [Notice(pack, missing, tuple(names)) for (pack, missing), names in grouped.items()]
    return [pack for pack in kept if pack.names], notices


def asked_for(
    packs: Sequence[FeaturePack], asked: Collection[str], *, named: Collection[str] = ()
) -> list[FeaturePack]:
    """What a run computes of the packs.

    Args:
        packs: Any packs.
        asked: Names that something reads; names that are no features are passed over.
        named: Packs that the configuration names: all of their features but those of levels are
            computed, asked for or not.

    Returns:
        The features asked for, all that they read, the plain ones of the packs named, and those of
        :data:`BASE`.
    """
    derived = {column.name: column for pack in packs for column in pack.derived}
    dear = {c.name for pack in packs for part in pack.levels for c in part.columns}
    for _ in derived:
        # What reads a level costs that level, whatever pack it is in.
        dear |= {name for name, column in derived.items() if words(column.expression) & dear}
    plain = {name for pack in packs if pack.name in named for name in pack.names} - dear
    base = {name for pack in BASE for name in pack.names}
    needed = set(asked) | plain | base
    queue = [name for name in needed if name in derived]
    while queue:
        new = words(derived[queue.pop()].expression) - needed
        needed |= new
        queue += [name for name in new if name in derived]
    kept = [pack.keeping(frozenset(pack.names) & needed) for pack in packs]
    return [pack for pack in kept if pack.names]


def reading(packs: Sequence[FeaturePack], table: str, columns: Collection[str]) -> frozenset[str]:
    """Features that read certain columns of a relation, directly or through other features.

    Columns that change in place (a refund that is booked later) let a training set see the future;
    what reads them is kept out of training.

    Args:
        packs: Any packs.
        table: Relation, such as ``clean_orders``.
        columns: Its columns.
    """
    wanted = frozenset(columns)
    found: set[str] = set()
    for pack in packs:
        read = [*pack.columns] if pack.table == table else []
        read += [c for part in pack.levels if _reads(part.level, table) for c in part.columns]
        found |= {c.name for c in read if words(f"{c.expression} {c.where}") & wanted}
    derived = [column for pack in packs for column in pack.derived]
    for _ in derived:
        found |= {column.name for column in derived if words(column.expression) & found}
    return frozenset(found)


def _reads(level: Level, table: str) -> bool:
    """Whether a level reads a table, itself or through another level."""
    return any(
        _reads(origin, table) if isinstance(origin, Level) else origin.table == table
        for _, origin in level.reads
    )
