"""One person, one message: the first segment of a priority list that claims a person wins.

Computed over sets, never person by person. Only the segments of a list compete with each other; a
segment that is in no list competes with nobody, and one that is in several must win in each. The
relation of members may be any that has the columns ``segment`` and ``profile_id``: a caller that
gives only people who may be contacted keeps somebody whom the first segment cannot reach from being
lost to the second.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from connector.errors import ConfigError
from connector.ports import Warehouse
from connector.warehouse.render import literal, quote


@dataclass(frozen=True, slots=True)
class PriorityList:
    """Segments in order of importance.

    Attributes:
        name: The list's name.
        order: Segments, the most important first.
    """

    name: str
    order: tuple[str, ...]


def check_lists(lists: Sequence[PriorityList], segments: Collection[str]) -> None:
    """Refuse lists that cannot be meant.

    Args:
        lists: The priority lists.
        segments: Every segment's name.

    Raises:
        ConfigError: A list names a segment twice or one that does not exist, or two lists have one
            name.
    """
    names: set[str] = set()
    for one in lists:
        if one.name in names:
            raise ConfigError(f"priority list {one.name} is defined twice.")
        names.add(one.name)
        for segment in one.order:
            if segment not in segments:
                raise ConfigError(
                    f"priority list {one.name}: there is no segment {segment}.",
                    hint=f"Known: {', '.join(sorted(segments))}.",
                )
            if one.order.count(segment) > 1:
                raise ConfigError(f"priority list {one.name} names segment {segment} twice.")


def build_priority_winners(
    warehouse: Warehouse,
    lists: Sequence[PriorityList],
    *,
    members: str = "segment_members",
    output: str = "priority_winners",
) -> None:
    """Make ``priority_winners(list_name, profile_id, segment)``: one row a list and profile.

    Args:
        warehouse: Holds ``members``.
        lists: The priority lists; none gives an empty relation.
        members: Relation with ``segment`` and ``profile_id``.
        output: Name of the relation to make.
    """
    warehouse.create_table_as(
        output,
        f"WITH ranks AS ({_ranks(lists)}), "
        "best AS (SELECT r.list_name, m.profile_id, MIN(r.place) AS place "
        f"FROM {quote(members)} AS m JOIN ranks AS r ON r.segment = m.segment "
        "GROUP BY r.list_name, m.profile_id) "
        "SELECT b.list_name, b.profile_id, r.segment FROM best AS b "
        "JOIN ranks AS r ON r.list_name = b.list_name AND r.place = b.place",
    )


def build_eligible_after_priority(
    warehouse: Warehouse,
    lists: Sequence[PriorityList],
    campaigns: Mapping[str, str],
    *,
    members: str = "segment_members",
    winners: str = "priority_winners",
    output: str = "eligible_after_priority",
) -> None:
    """Make ``eligible_after_priority(campaign, segment, profile_id)``: whom no list takes away.

    Args:
        warehouse: Holds ``members`` and ``winners``.
        lists: The lists that ``winners`` was made with.
        campaigns: Campaign -> the segment that it addresses.
        members: Relation with ``segment`` and ``profile_id``.
        winners: From :func:`build_priority_winners`.
        output: Name of the relation to make.
    """
    listed = _values(
        ("campaign", "segment"),
        [(literal(name), literal(segment)) for name, segment in campaigns.items()],
    )
    warehouse.create_table_as(
        output,
        f"WITH ranks AS ({_ranks(lists)}), addressed AS ({listed}), "
        "people AS (SELECT DISTINCT a.campaign, a.segment, m.profile_id "
        f"FROM addressed AS a JOIN {quote(members)} AS m ON m.segment = a.segment), "
        "outranked AS (SELECT DISTINCT p.campaign, p.profile_id FROM people AS p "
        "JOIN ranks AS r ON r.segment = p.segment "
        f"JOIN {quote(winners)} AS w ON w.list_name = r.list_name AND w.profile_id = p.profile_id "
        "WHERE w.segment <> p.segment) "
        "SELECT p.campaign, p.segment, p.profile_id FROM people AS p "
        "LEFT JOIN outranked AS o ON o.campaign = p.campaign AND o.profile_id = p.profile_id "
        "WHERE o.campaign IS NULL",
    )


def _ranks(lists: Sequence[PriorityList]) -> str:
    """The lists as a query of ``list_name``, ``segment`` and ``place``; 1 goes first."""
    return _values(
        ("list_name", "segment", "place"),
        [
            (literal(one.name), literal(segment), str(place))
            for one in lists
            for place, segment in enumerate(one.order, start=1)
        ],
    )


def _values(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Fixed rows as a query of every engine; without rows, an empty one of the same columns."""
    if not rows:
        empty = ", ".join(
            f"{'0' if column == 'place' else chr(39) * 2} AS {column}" for column in columns
        )
        return f"SELECT * FROM (SELECT {empty}) AS none WHERE FALSE"
    return " UNION ALL ".join(
        "SELECT "
        + ", ".join(f"{value} AS {column}" for value, column in zip(row, columns, strict=True))
        for row in rows
    )
