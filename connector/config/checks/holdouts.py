"""Checks of global holdouts, and of what campaigns must be able to show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from connector.config.checks.draft import Draft
from connector.config.problems import KeyPath, Problem, shown

_SAME = 1e-9
"""Chances that differ by less are the same."""


def global_holdouts_are_named_apart(draft: Draft) -> Iterator[Problem]:
    """A global holdout is drawn like a campaign, so it needs a name of its own."""
    if "holdouts" in draft.broken:
        return
    seen: set[str] = set()
    for i, held in enumerate(draft.config.holdouts.global_):
        path = _path(draft, i)
        if held.name in draft.names("campaigns"):
            yield draft.problem(
                (*path, "name"),
                f"a campaign is named {shown(held.name)}, too",
                allowed="a name that no campaign has",
            )
        yield from draft.twice((*path, "name"), "global holdout", held.name, seen)
        if held.share >= 1:
            yield draft.problem((*path, "share"), "holds everybody out", allowed="less than 100%")
        for k, name in enumerate(held.exempt_campaigns):
            yield from draft.unknown(
                (*path, "exempt_campaigns", k), "campaign", name, draft.names("campaigns")
            )


def global_holdouts_follow_one_another(draft: Draft) -> Iterator[Problem]:
    """Each has a day, and no day has two: one would hold back a person whom the other lets go."""
    if "holdouts" in draft.broken:
        return
    held = draft.config.holdouts.global_
    for i, one in enumerate(held):
        path = _path(draft, i)
        if one.start and one.end and one.end < one.start:
            yield draft.problem(
                (*path, "end"),
                f"ends {one.end}, before it starts on {one.start}",
                allowed=f"{one.start} or later (the last day is included)",
            )
            continue
        for other in held[:i]:
            first = max(one.start or date.min, other.start or date.min)
            if first <= min(one.end or date.max, other.end or date.max):
                when = "" if first == date.min else f" on {first}"
                yield draft.problem(
                    path,
                    f"{one.name} and {other.name} would both hold people out{when}",
                    allowed="one global holdout at a time",
                    hint="Give each a start and an end.",
                )


def power_has_one_place(draft: Draft) -> Iterator[Problem]:
    """What must be shown is said once, with the alpha that verdicts use."""
    if {"holdouts", "measurement"} & {*draft.broken, *draft.mistyped}:
        return
    written = draft.document.content.get("measurement")
    before = written if isinstance(written, Mapping) else {}
    power = draft.config.holdouts.power
    for key in ("detect", "power"):
        if key in before and getattr(power, key) is not None:
            yield draft.problem(
                ("measurement", key),
                f"is said in holdouts.power.{key}, too",
                hint="Leave it out here.",
            )
    left = 1.0 - draft.config.measurement.ci
    # A share of it is spent at the end, whatever the design: that is not asked for here.
    if power.alpha is not None and abs(power.alpha - left) > _SAME:
        yield draft.problem(
            ("holdouts", "power", "alpha"),
            f"found {power.alpha:g}, but verdicts are given with {left:.4g}",
            allowed=f"{left:.4g}, or nothing",
            hint="Change the measurement's confidence instead.",
        )


def _path(draft: Draft, i: int) -> KeyPath:
    """Where the i-th global holdout stands; one alone may stand without a list."""
    written = draft.document.content.get("holdouts")
    one = written.get("global") if isinstance(written, Mapping) else None
    return ("holdouts", "global", i) if isinstance(one, list) else ("holdouts", "global")
