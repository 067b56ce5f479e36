"""What every view on a terminal is made of: its width, its tables, its signs, its words."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import rich.box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from connector.domain import Level
from connector.numbers import NONE
from connector.report.words import BLOCKED, ISSUES, phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector.plan.document import Guard

MARKS: Mapping[Level, tuple[str, str]] = {
    Level.OK: ("✓", "green"),
    Level.NOTE: ("·", "cyan"),
    Level.WARNING: ("!", "yellow"),
    Level.ERROR: ("✗", "red"),
}

UNBROKEN = frozenset({"campaign", "destination", "model", "run", "table"})
"""Columns of names that are never broken."""

_PIPED_WIDTH = 140
"""Columns of output that goes to no terminal, unless ``COLUMNS`` says otherwise."""


def console() -> Console:
    """The terminal; plain and wide enough for our tables when output is piped."""
    out = Console(highlight=False, soft_wrap=False)
    if out.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return out
    return Console(highlight=False, width=_PIPED_WIDTH)


def table(title: str, *columns: str, numbers: Sequence[str] = ()) -> Table:
    """A light table; columns named in ``numbers`` stand to the right.

    Where it does not fit, long numbers are folded and never cut off: half a number is a wrong one.
    """
    made = Table(
        title=Text(title, style="bold", no_wrap=True, overflow="ignore"),
        title_justify="left",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="dim",
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        is_number = column in numbers
        made.add_column(
            column,
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=column in UNBROKEN,
            vertical="top",
        )
    return made


def say(
    out: Console, sign: str, style: str, text: Text | str, *more: Text | str, indent: int = 0
) -> None:
    """A line after a sign, and lines below it; what is too long goes on under the text."""
    made = Table.grid(padding=(0, 1, 0, 0))
    made.add_column(width=1)
    made.add_column(overflow="fold")
    made.add_row(Text(sign, style=style), text)
    for line in more:
        made.add_row("", line)
    out.print(Padding(made, (0, 0, 0, indent)))


def subject(name: str, message: str) -> Text:
    """What something is about, then what there is to say."""
    return Text.assemble((name, "bold"), "  ", message)


def show_guards(out: Console, guards: Iterable[Guard]) -> None:
    """Guards that tripped, by the names that ``--approve`` takes."""
    for guard in guards:
        say(out, "!", "yellow", subject(guard.name, f"{guard.subject}: {guard.message}"))


def count(n: int) -> str:
    """A number with separators; a dash for zero, so that what matters stands out."""
    return f"{n:,}" if n else NONE


def utc(text: str | None) -> str:
    """An instant of the state, to the minute."""
    return (text or "")[:16].replace("T", " ")


def reason_words(code: str) -> str:
    """A reason code in a few words."""
    return phrase(BLOCKED if code in BLOCKED else ISSUES, code).title
