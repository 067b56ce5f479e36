"""Segments that do not flap: margins, waiting times and a shortest stay.

A score crosses its threshold back and forth by noise alone, and each crossing is two changes at the
vendor and a campaign that starts anew. So a person enters at the threshold plus one *margin* and
leaves at the threshold less another, and only after the rule has said so at *n* different instants
in a row; whoever entered stays for a while.

A shortest stay alone buys quiet with wrong members: it locks in for days whoever entered by one
noisy score. Waits and margins on both sides cut the flapping *and* make the members truer, since
they look at more than one score; ``tests/segments/test_flapping.py`` has the figures.

Nothing of this delays what must not wait. Consent, exclusions and erasure are judged after this
step and take effect at once; and whoever has bought since entering (a win-back that worked) leaves
as soon as the plain rule says so.

Instants count by their day in the project's time zone: three runs on one day are one. What was
counted is kept in the state and moves on when a plan is applied, not when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlglot import exp

from connector.ports import Warehouse
from connector.segments.reasons import MIRRORED, SYMBOLS, peel
from connector.segments.rules import Segment
from connector.warehouse.grammar import Liftline
from connector.warehouse.render import literal, quote

STAYS = "stays for now, though the rule no longer holds"
"""Reason of members whom only this step keeps."""

_DOWN, _UP = (">", ">="), ("<", "<=")


@dataclass(frozen=True, slots=True)
class Stability:
    """How slowly people move in and out of one segment; the defaults mean at once.

    Attributes:
        enter_after: Different days in a row on which the rule must hold before a person enters.
        exit_after: Likewise, on which it must fail before a member leaves.
        min_stay: Shortest time in the segment.
        leaves_on_purchase: Whether a member who bought since entering, and whom the plain rule no
            longer covers, leaves without waiting.
        margins: Last part of a column's name (``probability``, ``percentile``) -> how far beyond
            the threshold a member may go, in the column's unit.
        enter_margins: Likewise -> how far above the threshold somebody must come to enter.
    """

    enter_after: int = 1
    exit_after: int = 1
    min_stay: timedelta = timedelta(0)
    leaves_on_purchase: bool = True
    margins: Mapping[str, float] = field(default_factory=dict)
    enter_margins: Mapping[str, float] = field(default_factory=dict)


def lenient_sql(segment: Segment, margins: Mapping[str, float]) -> str:
    """The rule that members are held to: thresholds of scores moved outwards by their margin.

    Args:
        segment: A compiled segment.
        margins: As in :class:`Stability`.

    Returns:
        A condition in the house dialect; the rule itself where no margin touches it.
    """
    return _moved_sql(segment, margins, looser=True)


def strict_sql(segment: Segment, margins: Mapping[str, float]) -> str:
    """The rule that newcomers are held to: thresholds of scores moved inwards by their margin.

    Args:
        segment: A compiled segment.
        margins: The margins for entering, as in :class:`Stability`.

    Returns:
        As :func:`lenient_sql`.
    """
    return _moved_sql(segment, margins, looser=False)


def _moved_sql(segment: Segment, margins: Mapping[str, float], *, looser: bool) -> str:
    holder = exp.Paren(this=segment.condition.tree)
    _loosen(holder.this, margins, wanted=looser)
    return str(holder.this.sql(dialect=Liftline, comments=False))


def _loosen(tree: exp.Expr, margins: Mapping[str, float], *, wanted: bool) -> None:
    """Move the thresholds of a tree so that it holds more often (less often under a NOT)."""
    tree = peel(tree)
    if isinstance(tree, exp.Not):
        _loosen(tree.this, margins, wanted=not wanted)
    elif isinstance(tree, (exp.And, exp.Or)):
        _loosen(tree.this, margins, wanted=wanted)
        _loosen(tree.expression, margins, wanted=wanted)
    elif isinstance(tree, exp.Between):
        margin = _margin(tree.this, margins)
        if margin:
            _shift(tree, "low", -margin if wanted else margin)
            _shift(tree, "high", margin if wanted else -margin)
    elif (symbol := SYMBOLS.get(type(tree))) is not None:
        left, right, side = tree.this, tree.expression, "expression"
        if isinstance(peel(right), exp.Column):
            left, symbol, side = right, MIRRORED[symbol], "this"
        margin = _margin(left, margins)
        if margin and symbol in (*_DOWN, *_UP):
            lower = (symbol in _DOWN) is wanted
            _shift(tree, side, -margin if lower else margin)


def _margin(subject: exp.Expr, margins: Mapping[str, float]) -> float:
    subject = peel(subject)
    if not isinstance(subject, exp.Column) or "." not in subject.name:
        return 0.0
    return margins.get(subject.name.rpartition(".")[2], 0.0)


def _shift(tree: exp.Expr, argument: str, by: float) -> None:
    """Add to a threshold that is a plain number; any other is left as it is."""
    number = peel(tree.args[argument])
    sign = 1.0
    if isinstance(number, exp.Neg):
        number, sign = peel(number.this), -1.0
    if isinstance(number, exp.Literal) and not number.is_string:
        # Rounded: 0.6 - 0.03 in binary is a hair off what the user would write.
        moved = round(sign * float(number.this) + by, 9)
        tree.set(argument, exp.convert(moved))


def settle(
    warehouse: Warehouse,
    segments: Sequence[Segment],
    stabilities: Mapping[str, Stability],
    *,
    as_of: datetime,
    today: datetime,
    scored: str = "scored",
    members: str = "segment_members",
    known: str = "known_segments",
    orders: str = "clean_orders",
    progress: str = "segment_progress",
) -> None:
    """Replace the members by rule with the members who stay put, and say what was counted.

    Args:
        warehouse: Holds the relations.
        segments: Compiled; their members by rule are in ``members``.
        stabilities: Segment -> how slowly it moves; those without one move at once.
        as_of: The instant, aware.
        today: First instant of the day of ``as_of`` in the project's time zone, aware.
        scored: Everybody; who is not in it leaves at once.
        members: ``segment, profile_id, reason``; replaced.
        known: What the last applied run left: ``segment, profile_id, is_member, since, streak,
            last_as_of``; times as TIMESTAMP in UTC.
        orders: ``profile_id, ordered_at, is_return``.
        progress: Made: the rows of ``known`` that are new or different now.
    """
    moment, day = literal(as_of), literal(today)
    warehouse.create_table_as(
        "segment_judged", _judged_sql(segments, stabilities, moment, scored, members, known, orders)
    )
    settings = {s.name: stabilities.get(s.name, Stability()) for s in segments}
    warehouse.create_table_as(
        "segment_counted",
        f"""
        SELECT j.segment AS segment, j.profile_id AS profile_id, j.is_in AS is_in,
            j.was AS was, j.known AS known, j.since AS since, j.streak AS streak,
            j.last_as_of AS last_as_of, j.leaves_at_once AS leaves_at_once,
            CASE WHEN NOT j.disagrees THEN 0
                 WHEN j.last_as_of >= {day} AND j.streak > 0 THEN j.streak
                 ELSE j.streak + 1 END AS counted
        FROM (
            SELECT g.segment AS segment, g.profile_id AS profile_id, g.is_in AS is_in,
                g.was AS was, g.known AS known, g.since AS since, g.streak AS streak,
                g.last_as_of AS last_as_of,
                (g.is_gone OR (g.has_bought AND NOT g.is_in)) AS leaves_at_once,
                CASE WHEN g.was THEN g.is_gone OR NOT g.may_stay OR (g.has_bought AND NOT g.is_in)
                     ELSE g.may_enter END AS disagrees
            FROM segment_judged AS g
        ) AS j
        """,
    )
    enter, leave = (
        _cases(settings, lambda s: s.enter_after),
        _cases(settings, lambda s: s.exit_after),
    )
    stay = _cases(settings, lambda s: int(s.min_stay.total_seconds()))
    warehouse.create_table_as(
        "segment_settled",
        f"""
        SELECT c.segment AS segment, c.profile_id AS profile_id, c.is_in AS is_in, c.known AS known,
            c.was AS was, c.streak AS streak, c.last_as_of AS last_as_of, c.since AS since,
            c.counted AS counted,
            CASE WHEN c.counted = 0 THEN c.was
                 WHEN c.was THEN NOT (c.leaves_at_once OR (c.counted >= {leave}
                     AND seconds_between(c.since, {moment}) >= {stay}))
                 ELSE c.counted >= {enter} END AS is_member
        FROM segment_counted AS c
        """,
    )
    warehouse.create_table_as(
        progress,
        f"""
        SELECT p.segment AS segment, p.profile_id AS profile_id,
            CASE WHEN p.is_member THEN 1 ELSE 0 END AS is_member,
            CASE WHEN p.is_member = p.was AND p.known THEN p.since ELSE {moment} END AS since,
            p.streak_now AS streak, {moment} AS last_as_of
        FROM (
            SELECT s.segment AS segment, s.profile_id AS profile_id, s.is_member AS is_member,
                s.was AS was, s.known AS known, s.since AS since, s.streak AS streak,
                CASE WHEN s.is_member = s.was THEN s.counted ELSE 0 END AS streak_now
            FROM segment_settled AS s
        ) AS p
        WHERE p.is_member <> p.was OR p.streak_now <> p.streak
        """,
    )
    warehouse.create_table_as(
        members,
        f"""
        SELECT s.segment AS segment, s.profile_id AS profile_id,
            coalesce(m.reason, {literal(STAYS)}) AS reason
        FROM segment_settled AS s
        LEFT JOIN {quote(members)} AS m ON m.segment = s.segment AND m.profile_id = s.profile_id
        WHERE s.is_member
        """,
    )


def _judged_sql(
    segments: Sequence[Segment],
    stabilities: Mapping[str, Stability],
    moment: str,
    scored: str,
    members: str,
    known: str,
    orders: str,
) -> str:
    """One row for everybody who is in a segment by rule, or was, or is on the way."""

    def held_to(segment: Segment, condition: str) -> str:
        return (
            f"SELECT {literal(segment.name)} AS segment, profile_id FROM {quote(scored)}"
            f" WHERE {condition}"
        )

    rules = {s.name: stabilities.get(s.name, Stability()) for s in segments}
    within = [
        held_to(s, lenient_sql(s, rules[s.name].margins)) for s in segments if rules[s.name].margins
    ]
    guarded = [s for s in segments if rules[s.name].enter_margins]
    beyond = [held_to(s, strict_sql(s, rules[s.name].enter_margins)) for s in guarded]
    may_enter = "m.profile_id IS NOT NULL"
    strictly = ""
    if guarded:
        names = ", ".join(literal(s.name) for s in guarded)
        may_enter += f" AND (k.segment NOT IN ({names}) OR e.profile_id IS NOT NULL)"
        strictly = (
            f"LEFT JOIN ({' UNION '.join(beyond)}) AS e"
            " ON e.segment = k.segment AND e.profile_id = k.profile_id"
        )
    waits = [name for name, one in stabilities.items() if not one.leaves_on_purchase]
    bypasses = f"k.segment NOT IN ({', '.join(map(literal, waits))})" if waits else "TRUE"
    plain = f"SELECT segment, profile_id FROM {quote(members)}"
    may_stay = " UNION ".join([plain, *within])
    return f"""
        SELECT k.segment AS segment, k.profile_id AS profile_id,
            m.profile_id IS NOT NULL AS is_in,
            {may_enter} AS may_enter,
            w.profile_id IS NOT NULL AS may_stay,
            s.profile_id IS NULL AS is_gone,
            {bypasses} AND coalesce(b.last_order > n.since, FALSE) AS has_bought,
            n.profile_id IS NOT NULL AS known,
            coalesce(n.is_member, 0) = 1 AS was,
            coalesce(n.since, {moment}) AS since,
            coalesce(n.streak, 0) AS streak,
            n.last_as_of AS last_as_of
        FROM (
            {plain}
            UNION
            SELECT segment, profile_id FROM {quote(known)}
            WHERE is_member = 1 OR streak > 0
        ) AS k
        LEFT JOIN {quote(members)} AS m
            ON m.segment = k.segment AND m.profile_id = k.profile_id
        LEFT JOIN ({may_stay}) AS w ON w.segment = k.segment AND w.profile_id = k.profile_id
        {strictly}
        LEFT JOIN {quote(known)} AS n ON n.segment = k.segment AND n.profile_id = k.profile_id
        LEFT JOIN {quote(scored)} AS s ON s.profile_id = k.profile_id
        LEFT JOIN (
            SELECT o.profile_id AS profile_id, max(o.ordered_at) AS last_order
            FROM {quote(orders)} AS o
            WHERE NOT o.is_return AND o.ordered_at < {moment}
            GROUP BY o.profile_id
        ) AS b ON b.profile_id = k.profile_id
    """


def _cases(settings: Mapping[str, Stability], pick: Callable[[Stability], int]) -> str:
    """A setting as an expression over the segment's name; the commonest value is the default."""
    values = {name: pick(one) for name, one in settings.items()}
    usual = max(sorted(set(values.values())), key=list(values.values()).count, default=1)
    odd = "".join(
        f" WHEN {literal(name)} THEN {value}" for name, value in values.items() if value != usual
    )
    return f"CASE c.segment{odd} ELSE {usual} END" if odd else str(usual)
