"""The report's summary for a terminal: the sentences, the segments, what was sent, what was not.

Names and messages are never read as markup, so that a segment called ``[bold]`` stays one.
"""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from connector.report import story
from connector.report.cards import Card, cards
from connector.report.data import ReportData
from connector.report.format import NBSP, NONE, Spoken, count, moment, money, percent, signed
from connector.report.words import (
    BLOCKED,
    GUARDS,
    ISSUES,
    OUTCOMES,
    RUN_STATUS,
    VERDICTS,
    phrase,
)

_MARKS = {
    "win": ("▲", "bold green"),
    "loss": ("▼", "bold red"),
    "flat": ("=", "bold"),
    "directional_only": ("◇", "yellow"),
    "not_enough_data": ("…", "dim"),
    "do_not_trust": ("✕", "bold magenta"),
}
"""Verdict -> shape and style; the word stands beside it."""

_ASCII = str.maketrans(
    {
        NBSP: " ", "\u2212": "-", "\u2013": "-", "▲": "^", "▼": "v", "◇": "o", "…": ".", "✕": "x",
        "·": "|", "→": ">",
    }
)  # fmt: skip


def render_terminal(data: ReportData, console: Console) -> None:
    """Print the summary.

    Args:
        data: What to show.
        console: Where to; colours and width are its own affair.
    """
    painter = _Painter(data, console)
    painter.head()
    painter.results()
    painter.segments()
    painter.sent()


class _Painter:
    """The parts of the summary, on one console."""

    def __init__(self, data: ReportData, console: Console) -> None:
        self._data = data
        self._console = console
        self._ascii = console.options.ascii_only

    def head(self) -> None:
        """Whose report it is, and its one sentence."""
        data = self._data
        said = f"{data.project} · data of {moment(data.as_of, data.timezone)}"
        if data.run is not None:
            said += f" · {data.run.run_id}: {phrase(RUN_STATUS, data.run.status).title.lower()}"
        self._say(said, "dim")
        self._say(story.headline(data).text, "bold")

    def results(self) -> None:
        """A sentence for each campaign, then every goal with its interval."""
        lines = story.lines(self._data)
        if lines:
            self._console.print()
        for line in lines:
            mark, style = _MARKS.get(line.verdict, ("·", ""))
            word = f"{phrase(VERDICTS, line.verdict).title}. " if line.verdict else ""
            shown = Text.assemble(
                (self._text(f" {mark} {word}"), style), self._text(line.text), overflow="fold"
            )
            self._console.print(shown)
        made = cards(self._data)
        if made:
            self._console.print(self._result_table(made))

    def segments(self) -> None:
        """People and money."""
        data = self._data
        if not data.segments:
            return
        table = self._table("Segments (revenue: net, last 365 days)")
        table.add_column("Segment")
        for name in ("People", "Of all", "Change", "Revenue"):
            table.add_column(name, justify="right")
        for row in data.segments:
            change = "" if row.previous_people is None else signed(row.people - row.previous_people)
            self._row(
                table,
                row.name,
                count(row.people),
                percent(row.share),
                change,
                money(row.revenue_365d, data.currency),
            )
        self._console.print(table)

    def sent(self) -> None:
        """What reached the destinations, what did not, and who was not addressed."""
        data = self._data
        if data.deliveries:
            table = self._table("Sent")
            table.add_column("Destination")
            table.add_column("Delivered", justify="right")
            table.add_column("Did not get through")
            for row in data.deliveries:
                counts = Counter[str]()
                for outcome in row.outcomes:
                    counts[outcome.outcome] += outcome.people
                counts["unsent"] += row.unsent
                trouble = ", ".join(
                    f"{count(n)} {phrase(OUTCOMES, name).title.lower()}"
                    for name, n in counts.most_common()
                    if n and name != "delivered"
                )
                self._row(table, row.destination, count(counts["delivered"]), trouble)
            self._console.print(table)
        if data.issues:
            table = self._table("Why")
            table.add_column("People", justify="right")
            table.add_column("Destination")
            table.add_column("Cause")
            for issue in data.issues:
                cause = phrase(ISSUES, issue.code)
                said = f"{cause.title}: {cause.sentence or issue.message}".rstrip(": ")
                self._row(table, count(issue.people), issue.destination, said)
            self._console.print(table)
        self._not_addressed()
        if (
            data.remarks
            or data.waiting
            or data.guards
            or any(delivery.error for delivery in data.deliveries)
        ):
            self._console.print()
        for delivery in data.deliveries:
            if delivery.error:
                self._say(f"{delivery.destination} was given up. {delivery.error}", "bold red")
        for remark in data.remarks:
            self._say(f"{remark.destination}: {remark.message} {remark.hint}".rstrip(), "bold red")
        if waiting := story.waiting_line(data):
            self._say(waiting, "bold yellow")
        for guard in data.waiting.guards if data.waiting else ():
            self._say(f"{phrase(GUARDS, guard.name).title} ({guard.subject}): {guard.message}", "")
        for guard in data.guards:
            state = "passed by a person" if guard.approved else "held the last run"
            name = phrase(GUARDS, guard.name).title
            style = "dim" if guard.approved else "bold red"
            self._say(f"{name} ({guard.subject}), {state}: {guard.message}", style)

    def _not_addressed(self) -> None:
        totals = Counter[str]()
        for campaign in self._data.campaigns:
            totals.update(campaign.blocked)
        if not totals.total():
            return
        table = self._table("Members of segments who were not addressed")
        table.add_column("People", justify="right")
        table.add_column("Reason")
        for reason, n in totals.most_common():
            self._row(table, count(n), phrase(BLOCKED, reason).title)
        self._console.print(table)

    def _result_table(self, made: tuple[Card, ...]) -> Table:
        table = self._table("Treated against held out, as drawn (intention to treat)")
        for name in ("Campaign", "Verdict", "Measure", "Per person", "In all"):
            table.add_column(name)
        for card in made:
            difference = total = "not shown"
            if card.figures is not None:
                difference = _two_lines(card.figures.difference)
                total = _two_lines(card.figures.total) if card.figures.total else NONE
            self._row(table, card.name, card.verdict.title, card.metric, difference, total)
        return table

    def _table(self, name: str) -> Table:
        self._console.print()
        self._say(name, "bold")
        return Table(box=None, padding=(0, 2, 0, 0), header_style="dim")

    def _row(self, table: Table, *cells: str) -> None:
        name, *rest = cells
        table.add_row(Text(self._text(name)), *(Text(self._text(cell)) for cell in rest))

    def _say(self, text: str, style: str) -> None:
        self._console.print(Text(self._text(text), style=style))

    def _text(self, text: str) -> str:
        return text.translate(_ASCII) if self._ascii else text


def _two_lines(figure: Spoken) -> str:
    """A figure and, below it, its interval."""
    return f"{figure.estimate}{NBSP}{figure.unit}\n{figure.level}: {figure.range}"
