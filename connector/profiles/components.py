"""Connected components: who hangs together, and when that is too many.

Keys join in the order of trust, one kind after the other. What a kind would join into a person
beyond a limit is not joined by that kind at all; what the kinds before it have joined stays. So one
telephone number of a call centre cannot undo what e-mail addresses have proved, and the result
depends on nobody's order of rows.

The components themselves are found by scipy over integers: only keys that several groups share are
fetched, and a chain of a hundred thousand links costs no more than as many pairs (spreading labels
in SQL, tried before, takes as many statements as the longest chain has links).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.ports import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Limit:
    """How many different values of one kind a person may have.

    Attributes:
        relation: Relation ``customer_id, v`` of the values; empty: the customers themselves.
        most: The limit.
    """

    relation: str
    most: int


def alone(warehouse: Warehouse, customers: str, output: str) -> None:
    """Make ``output(customer_id, label)`` in which everybody is a group of one."""
    warehouse.create_view_as(
        output, f"SELECT c.customer_id AS customer_id, c.customer_id AS label FROM {customers} AS c"
    )


def join_groups(
    warehouse: Warehouse, *, groups: str, edges: str, output: str, limits: Sequence[Limit] = ()
) -> None:
    """Make ``output(customer_id, label)``: the groups that hang together by shared keys.

    A label is the smallest customer id of its group. Also makes ``<output>_refused(v)``: the keys
    that would have joined groups beyond a limit, and therefore joined nobody.

    Args:
        warehouse: Where everything lies.
        groups: Relation ``customer_id, label`` to start from.
        edges: SELECT of ``customer_id, v``: who has which key.
        output: Name of the relation to make.
        limits: What a person may have at most.
    """
    pairs, moves = f"{output}_pairs", f"{output}_moves"
    warehouse.create_table_as(
        f"{output}_edges",
        f"SELECT g.label AS label, e.v AS v FROM ({edges}) AS e JOIN {groups} AS g"
        " ON g.customer_id = e.customer_id",
    )
    warehouse.create_table_as(
        pairs,
        f"SELECT e.label AS label, e.v AS v FROM {output}_edges AS e JOIN (SELECT x.v AS v FROM"
        f" {output}_edges AS x GROUP BY x.v HAVING min(x.label) < max(x.label)) AS s ON s.v = e.v",
    )
    if not _components(warehouse, pairs, f"{output}_components"):
        warehouse.create_view_as(
            output, f"SELECT g.customer_id AS customer_id, g.label AS label FROM {groups} AS g"
        )
        warehouse.create_view_as(f"{output}_refused", f"SELECT p.v AS v FROM {pairs} AS p")
        return
    warehouse.create_table_as(
        moves,
        "SELECT c.label AS label, m.label AS joined FROM"
        f" {output}_components AS c JOIN (SELECT x.component AS component, min(x.label) AS label"
        f" FROM {output}_components AS x GROUP BY x.component) AS m ON m.component = c.component",
    )
    warehouse.create_table_as(f"{output}_breaches", _breaches(groups, moves, limits))
    warehouse.create_table_as(
        output,
        "SELECT g.customer_id AS customer_id, CASE WHEN m.joined IS NOT NULL AND b.label IS NULL"
        f" THEN m.joined ELSE g.label END AS label FROM {groups} AS g"
        f" LEFT JOIN {moves} AS m ON m.label = g.label"
        f" LEFT JOIN {output}_breaches AS b ON b.label = m.joined",
    )
    warehouse.create_table_as(
        f"{output}_refused",
        f"SELECT DISTINCT p.v AS v FROM {pairs} AS p JOIN {moves} AS m ON m.label = p.label"
        f" JOIN {output}_breaches AS b ON b.label = m.joined",
    )


def over_limit(limit: Limit, groups: str) -> str:
    """SELECT of the labels of ``groups(customer_id, label)`` that have too many values."""
    if not limit.relation:
        return (
            f"SELECT g.label AS label FROM {groups} AS g GROUP BY g.label"
            f" HAVING count(*) > {limit.most}"
        )
    return (
        f"SELECT g.label AS label FROM {groups} AS g JOIN {limit.relation} AS h"
        " ON h.customer_id = g.customer_id GROUP BY g.label"
        f" HAVING count(DISTINCT h.v) > {limit.most}"
    )


def _breaches(groups: str, moves: str, limits: Sequence[Limit]) -> str:
    """SELECT of the joined labels that would be beyond a limit."""
    joined = (
        f"(SELECT g.customer_id AS customer_id, m.joined AS label FROM {groups} AS g"
        f" JOIN {moves} AS m ON m.label = g.label)"
    )
    nobody = "SELECT CAST(NULL AS VARCHAR) AS label WHERE FALSE"
    parts = [nobody, *(over_limit(limit, joined) for limit in limits)]
    return f"SELECT DISTINCT x.label AS label FROM ({' UNION ALL '.join(parts)}) AS x"


def _components(warehouse: Warehouse, pairs: str, output: str) -> int:
    """Make ``output(label, component)`` of the relation ``pairs(label, v)``; returns its rows."""
    import numpy as np
    import pyarrow as pa
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = warehouse.batches(f"SELECT p.label AS label, p.v AS v FROM {pairs} AS p").read_all()
    if not rows.num_rows:
        return 0
    labels, values = (_codes(rows[name]) for name in ("label", "v"))
    n_labels = len(labels.dictionary)
    n_nodes = n_labels + len(values.dictionary)
    ends = (labels.indices.to_numpy(), values.indices.to_numpy() + n_labels)
    ones = np.ones(rows.num_rows, dtype=np.int32)
    graph = coo_array((ones, ends), shape=(n_nodes, n_nodes))
    _, found = connected_components(graph, directed=False)
    warehouse.load(
        output,
        pa.table(
            {
                "label": labels.dictionary.cast(pa.string()),
                "component": pa.array(found[:n_labels], pa.int64()),
            }
        ),
    )
    return n_labels


def _codes(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """The texts as numbers, with the dictionary of the texts."""
    return column.combine_chunks().dictionary_encode()
