"""Models on a terminal: each beside the best naive rule, its gates, and whom a refit moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.text import Text

from connector.cli.screen import console, count, say, subject, table
from connector.numbers import NONE, percent, several
from connector.report import model_words as words

if TYPE_CHECKING:
    from rich.console import Console

    from connector.pipeline.show.trained import Trained

_MOST_MOVES = 5
"""Moves of one kind that are shown; the rest is summed up."""

_USES = {"new": "new", "stored": "in use", "none": "none"}


def show_models(out: Console, models: Sequence[Mapping[str, Any]], currency: str) -> None:
    """Every model: algorithm, its measure beside the best naive rule's, gates, version.

    Args:
        out: The terminal.
        models: In short, as in a plan's header.
        currency: Of errors in money.
    """
    if not models:
        return
    made = table(
        "Models",
        *("model", "algorithm", "people", "on unseen data", "best naive rule", "gates", "used"),
        numbers=("people",),
    )
    for one in models:
        made.add_row(
            one["name"],
            words.algorithm(one["algorithm"]) if one["algorithm"] else NONE,
            count(one["people"] or 0),
            _figure(one, one["value"], currency),
            _rule(one, currency),
            _gates(one),
            _used(one),
        )
    out.print(made)
    for one in models:
        if one["refused"]:
            kept = "the one before stays" if one["use"] != "none" else "its columns hold nothing"
            message = f"the newest fit is not used, {kept}: {'; '.join(one['refused'])}"
            say(out, "!", "yellow", subject(one["name"], message))


def show_training(done: Trained, currency: str) -> None:
    """What ``liftline train`` did."""
    out = console()
    show_models(out, [one.short() for one in done.models], currency)
    moved = [move.to_json() for move in done.moved]
    if not moved:
        out.print("The new models move nobody.")
        return
    show_moves(out, moved, "Whom the new models move")
    total = several(sum(move.people for move in done.moved), "move")
    out.print(f"{total} by refits alone; `liftline plan` shows what follows from them.")


def show_flows(out: Console, flows: Sequence[Mapping[str, Any]]) -> None:
    """Sizes of the segments, and how many came and went since the last applied run."""
    if not flows:
        return
    numbers = ("people", "joins", "leaves", "changed")
    made = table("Segments since the last applied run", "segment", *numbers, "", numbers=numbers)
    for row in flows:
        volatility = row["volatility"]
        made.add_row(
            row["segment"],
            *(count(row[name]) for name in ("people", "joins", "leaves")),
            NONE if volatility is None else percent(volatility),
            "first seen" if row["is_new"] else "",
        )
    out.print(made)


def show_moves(out: Console, moves: Sequence[Mapping[str, Any]], title: str) -> None:
    """From where to where, the largest moves of each kind."""
    if not moves:
        return
    made = table(title, "of", "from", "to", "people", numbers=("people",))
    for of in dict.fromkeys(row["of"] for row in moves):
        mine = sorted((row for row in moves if row["of"] == of), key=lambda row: -row["people"])
        for row in islice(mine, _MOST_MOVES):
            made.add_row(
                of, row["before"] or NONE, row["after"] or "none of them", f"{row['people']:,}"
            )
        rest = mine[_MOST_MOVES:]
        if rest:
            n = sum(row["people"] for row in rest)
            made.add_row(
                of, Text(f"{several(len(rest), 'smaller move')}", style="dim"), "", f"{n:,}"
            )
    out.print(made)


def _figure(one: Mapping[str, Any], value: float | None, currency: str) -> str:
    if value is None:
        return NONE
    return f"{words.measure(one['measure'])} {words.figure(one['measure'], value, currency)}"


def _rule(one: Mapping[str, Any], currency: str) -> str:
    if one["baseline"] is None:
        return NONE
    return f"{words.figure(one['measure'], one['baseline'], currency)}, {words.rule(one['rule'])}"


def _gates(one: Mapping[str, Any]) -> str:
    if not one["gates"]:
        return NONE
    failed = [words.GATES.get(name, name) for name, passed in one["gates"] if not passed]
    return f"fail: {', '.join(failed)}" if failed else f"{len(one['gates'])} hold"


def _used(one: Mapping[str, Any]) -> str:
    if one["use"] == "none":
        return "none"
    version = "" if one["version"] is None else f", version {one['version']}"
    # Plans of earlier versions tell the instant alone.
    on = one.get("day") or (one["as_of"] or "")[:10]
    day = f" of {on}" if on else ""
    return f"{_USES[one['use']]}{day}{version}"
