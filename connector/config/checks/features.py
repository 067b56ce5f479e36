"""Checks of features: they read what is mapped, and models read what they may."""

from __future__ import annotations

from collections.abc import Iterator

from connector.config.checks.draft import Draft
from connector.config.problems import KeyPath, Problem
from connector.features.catalogue import PACKS, Settings, packs_of

FEATURES = "features"
NOT_COUNTED = ("customers", "products")
"""Logical tables whose rows have no time."""
TAKEN = ("profile_id", "customer_id", "email", "created_at", "n_customers")
"""Columns of people that no feature may be called by."""


def custom_features_are_whole(draft: Draft) -> Iterator[Problem]:
    """Each has a name of its own and reads a configured table, or features without a window."""
    if FEATURES in draft.broken:
        return
    seen: set[str] = set()
    for i, one in enumerate(draft.config.features.custom):
        path: KeyPath = (FEATURES, "custom", i)
        yield from draft.twice((*path, "name"), "feature", one.name, seen)
        if one.name in TAKEN:
            yield draft.problem((*path, "name"), f"{one.name} is a column of people")
        if one.source == FEATURES:
            for key, value in (("window", one.window), ("where", one.where)):
                if value is not None:
                    yield draft.problem(
                        (*path, key),
                        "does not go with from: features",
                        hint="The features that it reads have windows of their own.",
                    )
        elif "tables" not in draft.broken:
            tables = [name for name, _ in draft.config.tables.items() if name not in NOT_COUNTED]
            known = (*tables, FEATURES)
            yield from draft.unknown((*path, "from"), "configured table", one.source, known)


def embeddings_are_mapped(draft: Draft) -> Iterator[Problem]:
    """Each is a mapped column of customers, under a name that nothing else has."""
    if FEATURES in draft.broken or "tables" in draft.broken:
        return
    columns = tuple(draft.config.tables.customers.columns)
    seen = {one.name for one in draft.config.features.custom}
    for name, column in draft.config.features.embeddings.items():
        path: KeyPath = (FEATURES, "embeddings", name)
        yield from draft.twice(path, "feature", name, seen)
        yield from draft.unknown(path, "column of tables.customers.columns", column, columns)


def mutable_columns_are_mapped(draft: Draft) -> Iterator[Problem]:
    """What changes in place is a mapped column, and not what makes a row that row."""
    if "tables" in draft.broken:
        return
    for name, table in draft.config.tables.items():
        fixed = {"orders": ("order_id", "customer_id", "ordered_at")}.get(name, ())
        for i, column in enumerate(table.mutable):
            path: KeyPath = ("tables", name, "mutable", i)
            known = tuple(table.columns)
            yield from draft.unknown(path, f"column of tables.{name}.columns", column, known)
            if column in fixed:
                yield draft.problem(
                    path,
                    f"{column} says which order it is, whose and when",
                    hint="A row whose key or time changes is another row; map one that stays.",
                )


def allowed_attributes_are_some(draft: Draft) -> Iterator[Problem]:
    """What is allowed would only describe otherwise, and no other list forbids it."""
    if FEATURES in draft.broken:
        return
    features = draft.config.features
    known = tuple(
        meta.name
        for pack in packs_of(PACKS, Settings())
        for meta in pack.metas
        if meta.describe_only
    )
    for i, name in enumerate(features.allow):
        path: KeyPath = (FEATURES, "allow", i)
        yield from draft.unknown(path, "attribute of people", name, known)
        for other, names in (("deny", features.deny), ("report_only", features.report_only)):
            if name in names:
                yield draft.problem(
                    path,
                    f"{name} is in features.{other} too",
                    hint="Take it out of one of the two.",
                )


def models_read_what_they_may(draft: Draft) -> Iterator[Problem]:
    """The inputs of a model exist, and are neither denied nor there to describe only."""
    if FEATURES in draft.broken or "models" in draft.broken:
        return
    features = draft.config.features
    metas = {meta.name: meta for pack in packs_of(PACKS, Settings()) for meta in pack.metas}
    own = [*(one.name for one in features.custom), *features.embeddings]
    known = tuple(dict.fromkeys([*own, *metas]))
    for model, settings in draft.config.models.named():
        for i, name in enumerate(getattr(settings, FEATURES, ())):
            path: KeyPath = ("models", model, FEATURES, i)
            describes = name in metas and metas[name].describe_only
            describes = describes and name not in (*own, *features.allow)
            if name in features.deny:
                yield draft.problem(
                    path,
                    f"{name} is denied: no model may read it",
                    hint="Take it out here, or out of features.deny.",
                )
            elif name in features.report_only or describes:
                yield draft.problem(
                    path,
                    f"{name} may describe a segment, but not form it",
                    hint="Take it out here, or "
                    + (
                        "name it in features.allow."
                        if describes
                        else "out of features.report_only."
                    ),
                )
            else:
                yield from draft.unknown(path, "feature", name, known)
