"""Checks of who is who: every kind of key can be found in the tables, and is meant where named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connector.config.checks.draft import Draft
from connector.config.problems import KeyPath, Problem
from connector.profiles.spec import CUSTOMER, DEVICE, EMAIL, PHONE

_MEET: Mapping[str, tuple[str, ...]] = {
    "customers": (CUSTOMER, EMAIL, PHONE),
    "events": (CUSTOMER, DEVICE),
}
"""Table -> the kinds of keys that its rows bring together."""


def keys_are_mapped(draft: Draft) -> Iterator[Problem]:
    """Every kind of key is a column of a table, and the customer id is among them."""
    ids = draft.config.identity.ids
    path: KeyPath = ("identity", "ids")
    if CUSTOMER not in ids:
        yield draft.problem(
            path, f"{CUSTOMER} is missing", hint="It is what the other keys belong to."
        )
    for twice in sorted({kind for kind in ids if ids.count(kind) > 1}):
        yield draft.problem(path, f"the key {twice} is given twice")
    if "tables" in draft.broken:
        return
    tables = dict(draft.config.tables.items())
    wanted = {PHONE: ("customers", (PHONE,)), DEVICE: ("events", (CUSTOMER, DEVICE))}
    for kind, (table, columns) in wanted.items():
        missing = [c for c in columns if table not in tables or c not in tables[table].columns]
        if kind in ids and missing:
            yield draft.problem(
                path,
                f"{kind} needs the column(s) {', '.join(missing)} of {table}, which are not mapped",
                hint=f"Map them under tables.{table}.columns, or take {kind} out.",
            )


def edges_meet(draft: Draft) -> Iterator[Problem]:
    """Edges name keys that stand in their table, and leave no kind out."""
    identity = draft.config.identity
    if identity.edges is None:
        return
    path: KeyPath = ("identity", "edges")
    for n, edge in enumerate(identity.edges):
        for k, kind in enumerate(edge.ids):
            where = (*path, n, "ids", k)
            yield from draft.unknown(where, f"key of {edge.source}", kind, _MEET[edge.source])
            if kind in _MEET[edge.source]:
                yield from draft.unknown(where, "key of identity.ids", kind, identity.ids)
        if CUSTOMER not in edge.ids:
            yield draft.problem((*path, n, "ids"), f"{CUSTOMER} is missing")
    met = {kind for edge in identity.edges for kind in edge.ids}
    for kind in identity.ids:
        if kind not in met and kind != CUSTOMER:
            yield draft.problem(path, f"no edge holds {kind}, which identity.ids names")


def limits_are_of_known_keys(draft: Draft) -> Iterator[Problem]:
    """Limits and patterns are of kinds of keys that count."""
    identity = draft.config.identity
    for kind in (EMAIL, PHONE, DEVICE):
        if kind in identity.ids:
            continue
        unused = f"{kind} is not in identity.ids, so this has no effect"
        if getattr(identity.limits, f"{kind}_per_person") is not None:
            yield draft.problem(("identity", "limits", f"{kind}_per_person"), unused)
        if kind != EMAIL and getattr(identity.never_merge_on, kind):
            yield draft.problem(("identity", "never_merge_on", kind), unused)
