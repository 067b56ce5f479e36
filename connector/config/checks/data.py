"""Checks of what is read: sources, tables, consent, exclusion lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connector.config.checks.draft import Draft
from connector.config.data import DATABASES, Freshness
from connector.config.problems import KeyPath, Problem, nearest, shown
from connector.config.values import duration_text
from connector.tables import CONSENTS, TABLES
from connector.tables import Table as Contract


def tables_lead_to_sources(draft: Draft) -> Iterator[Problem]:
    """``from`` names a source, and a table in it where the source is a database."""
    config = draft.config
    places: list[tuple[KeyPath, str]] = []
    if "tables" not in draft.broken:
        places += [
            (("tables", name, "from"), table.source) for name, table in config.tables.items()
        ]
    if config.consent is not None:
        places.append((("consent", "from"), config.consent.source))
    places += [
        (("exclusion_lists", draft.place("exclusion_lists", n), "from"), one.source)
        for n, one in enumerate(config.exclusion_lists)
        if one.source is not None
    ]
    for path, text in places:
        name, dot, table = text.partition(".")
        if name not in draft.names("sources"):
            yield from draft.unknown(path, "source", name, draft.names("sources"))
        elif name in config.sources:
            kind = config.sources[name].type
            if kind in DATABASES and not (dot and table):
                yield draft.problem(
                    path, f"found {shown(text)}", allowed=f"a table of the source, {name}.<table>"
                )
            elif kind not in DATABASES and dot:
                yield draft.problem(
                    path, f"found {shown(text)}", allowed=f"{name} ({kind} files are one table)"
                )


def columns_are_mapped(draft: Draft) -> Iterator[Problem]:
    """Every required logical column is mapped; tests name mapped columns."""
    config = draft.config
    mapped: list[tuple[KeyPath, Contract, Mapping[str, str]]] = []
    if "tables" not in draft.broken:
        mapped += [(("tables", n), TABLES[n], t.columns) for n, t in config.tables.items()]
    if config.consent is not None:
        mapped.append((("consent",), CONSENTS, config.consent.columns))
    for path, contract, columns in mapped:
        known = [column.name for column in contract.columns]
        for name in contract.required:
            if name in columns:
                continue
            meant = [key for key in columns if key not in known and nearest(key, [name]) == name]
            yield draft.problem(
                (*path, "columns"),
                f"the column {name} is not mapped ({_meaning(contract, name)})",
                hint=f"Did you mean '{name}' where it says '{meant[0]}'?" if meant else "",
            )
    if "tables" not in draft.broken:
        yield from _tests(draft)


def _meaning(contract: Contract, name: str) -> str:
    column = contract.column(name)
    return column.meaning if column is not None else ""


def _tests(draft: Draft) -> Iterator[Problem]:
    configured = dict(draft.config.tables.items())
    for name, table in configured.items():
        known = dict.fromkeys([*table.columns, *TABLES[name].required])
        for i, one in enumerate(table.tests):
            path: KeyPath = ("tables", name, "tests", i)
            if len(one.kinds) != 1:
                found = f"found {' and '.join(one.kinds) or 'no test'}"
                yield draft.problem(path, found, allowed="one test in each {...}")
                continue
            path = (*path, one.kind)
            yield from draft.unknown(path, "mapped column", one.test.column, tuple(known))
            if one.relationship is not None:
                yield from draft.unknown(
                    (*path, "to"), "configured table", one.relationship.to, tuple(configured)
                )


def limits_grow(draft: Draft) -> Iterator[Problem]:
    """A source is stale enough to warn before it is stale enough to stop."""
    config = draft.config
    limits: list[tuple[KeyPath, Freshness | None]] = []
    if "tables" not in draft.broken:
        limits += [(("tables", name), table.freshness) for name, table in config.tables.items()]
    if config.consent is not None:
        limits.append((("consent",), config.consent.freshness))
    for path, freshness in limits:
        if freshness is None:
            continue
        path = (*path, "freshness")
        if freshness.warn_after is None and freshness.error_after is None:
            yield draft.problem(path, "no limit", allowed="warn_after, error_after, or both")
        elif (
            freshness.warn_after
            and freshness.error_after
            and freshness.warn_after > freshness.error_after
        ):
            yield draft.problem(
                path,
                f"warns after {duration_text(freshness.warn_after)}, but stops after"
                f" {duration_text(freshness.error_after)} already",
                allowed="warn_after up to error_after",
            )


def consent_can_be_given(draft: Draft) -> Iterator[Problem]:
    """A destination's purpose is read from the consent block, whose words are unambiguous."""
    consent = draft.config.consent
    for name, destination in draft.config.destinations.items():
        if destination.requires is None or "consent" in draft.broken:
            continue
        purpose = destination.requires.purpose
        path: KeyPath = ("destinations", name, "requires")
        if consent is None:
            yield draft.problem(
                path,
                "needs consent, and the file has no consent block: nobody could be sent",
                hint="Add `consent:`, or write none_internal if the data stays inside.",
            )
        elif consent.purposes is not None and purpose not in consent.purposes:
            yield from draft.unknown(
                (*path, "purpose"), "purpose of consent.purposes", purpose, consent.purposes
            )
    if consent is not None:
        granted = {word.strip().lower() for word in consent.granted}
        both = [word for word in consent.withdrawn if word.strip().lower() in granted]
        for word in both:
            message = f"the word {shown(word)} means granted and withdrawn"
            yield draft.problem(("consent", "withdrawn"), message)


def exclusion_lists_are_whole(draft: Draft) -> Iterator[Problem]:
    """Each list has one origin, its own name, and campaigns that exist."""
    seen: set[str] = set()
    for n, one in enumerate(draft.config.exclusion_lists):
        i = draft.place("exclusion_lists", n)
        path: KeyPath = ("exclusion_lists", i)
        if (one.source is None) == (one.where is None):
            yield draft.problem(
                path, f"the list {one.name} has {_both(one.source)}", allowed="one of from, where"
            )
        yield from draft.twice((*path, "name"), "list", one.name, seen)
        for k, name in enumerate(one.applies_to or ()):
            where = (*path, "applies_to", k)
            yield from draft.unknown(where, "campaign", name, draft.names("campaigns"))


def _both(first: object) -> str:
    return "neither from nor where" if first is None else "both from and where"
