"""The relation ``scored``: everything known of a profile in one row, for segments to read."""

from __future__ import annotations

from collections.abc import Sequence

from connector.errors import ModelError
from connector.ports import Warehouse


def build_scored(
    warehouse: Warehouse,
    score_relations: Sequence[str],
    *,
    features: str = "features",
    profiles: str = "profiles",
    output: str = "scored",
) -> tuple[str, ...]:
    """Join features, profile columns and the outputs of models, one row for each profile.

    Args:
        warehouse: Where they lie.
        score_relations: Outputs of models, each with ``profile_id`` and columns of its own.
        features: One row a profile.
        profiles: Likewise; of a name in both, the feature is kept.
        output: Name of the relation to make.

    Returns:
        The column names of the output.

    Raises:
        ModelError: Two of the relations offer the same column.
    """
    taken = ["profile_id"]
    picks = ['a."profile_id" AS "profile_id"']
    joins = []
    sources = [
        (features, "a"),
        (profiles, "p"),
        *((r, f"s{i}") for i, r in enumerate(score_relations)),
    ]
    for relation, alias in sources:
        for column in warehouse.columns(relation):
            if column == "profile_id" or (alias == "p" and column in taken):
                continue
            if column in taken:
                raise ModelError(
                    f"Two relations offer the column {column!r}, one of them {relation!r}.",
                    hint="Give the models different names.",
                )
            taken.append(column)
            picks.append(f'{alias}."{column}" AS "{column}"')
        if alias != "a":
            joins.append(f"LEFT JOIN {relation} AS {alias} ON {alias}.profile_id = a.profile_id")
    warehouse.create_table_as(
        output, f"SELECT {', '.join(picks)} FROM {features} AS a {' '.join(joins)}"
    )
    return tuple(taken)
