"""``liftline holdout`` on a terminal: what would show, and who has which arm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from connector.cli.holdout import DRAW_ANEW
from connector.cli.screen import MARKS, console, say, subject, table, utc
from connector.domain import Arm, Level
from connector.numbers import NONE, count, gain, percent, several, short, short_of
from connector.pipeline.prove.prospects import TWO_YEARS, consequence
from connector.report.words import ARMS, NOT_SENT, phrase

if TYPE_CHECKING:
    from rich.console import Console

    from connector.config import Config
    from connector.pipeline.prove.power_plan import Choice, PowerPlan


def show_power(plans: Sequence[PowerPlan], file: Config) -> None:
    """What each comparison could show, a table each, and what follows.

    Args:
        plans: The comparisons.
        file: The configuration.
    """
    out = console()
    if not plans:
        out.print("No campaign that runs or will run holds anybody out.")
        return
    for one in plans:
        _show_trials(out, one, file)
    out.print()
    small = 0
    for one in plans:
        enough = one.prospect.is_enough(file.detect)
        small += not enough and not one.started
        mark = MARKS[Level.OK if enough else Level.WARNING]
        say(out, *mark, subject(_name(one), consequence(one.prospect)))
    if small and file.holdouts.power.on_underpowered == "hold":
        say(
            out,
            *MARKS[Level.WARNING],
            "A campaign that cannot show it and has not started holds the run that would start it,"
            " until somebody approves `underpowered`.",
        )
    out.print(
        Text(
            f"Smallest effect that would be found with {percent(file.power)} probability, by the"
            " two-sided alpha that the verdict spends: less for a campaign that is looked at on the"
            " way, least for one without an end. Newcomers come as they did in the last window."
            " * as the file says.",
            style="dim",
        )
    )


def _show_trials(out: Console, one: PowerPlan, file: Config) -> None:
    p = one.prospect
    if not one.choices:
        return
    heads = [_crowd(crowd.n_eligible, crowd.weeks) for crowd in one.crowds]
    wanted = f"people\nfor {percent(file.detect)}"
    numbers = ("held out", "people\nheld out", "buyers\nthere", *heads, wanted)
    title = f"{_name(one)}: {p.metric.name}, alpha {one.alpha:.3g}"
    made = table(title, *numbers, "", numbers=numbers)
    for choice in one.choices:
        now = choice.trials[0]
        made.add_row(
            f"{percent(choice.holdout_share)}{' *' if choice.is_own else '  '}",
            count(now.n_holdout),
            short_of(now.buyers),
            *(NONE if trial.lift is None else gain(trial.lift) for trial in choice.trials),
            NONE if choice.n_required is None else count(_rounded(choice.n_required)),
            _when(choice),
        )
    out.print()
    out.print(made)


def _crowd(n: int, weeks: int | None) -> str:
    if weeks is None:
        return f"if\n{short(n)}"
    return f"in {several(weeks, 'week')}\n{short(n)}" if weeks else f"now\n{short(n)}"


def _rounded(n: int) -> int:
    """To two digits: no plan is surer than that."""
    return round(n, 2 - len(str(n))) if n >= 100 else n


def _when(choice: Choice) -> str:
    if choice.n_required is None:
        return ""
    if choice.weeks is None or choice.weeks > TWO_YEARS:
        return "in over 2 years"
    return "now" if not choice.weeks else f"in {several(math.ceil(choice.weeks), 'week')}"


def _name(one: PowerPlan) -> str:
    p = one.prospect
    return f"{p.campaign}, vs usual" if p.arm is Arm.BUSINESS_AS_USUAL else p.campaign


def show_log(told: Mapping[str, Any], file: Config) -> None:
    """Counts or entries of the log, and one person's decisions."""
    out = console()
    if not told["assignments"]:
        out.print("Nobody has an arm yet.")
        return
    if "counts" in told:
        _show_counts(out, told["counts"], file)
    else:
        _show_entries(out, told["entries"])
        if told["pages"] > 1:
            of = several(told["assignments"], "assignment")
            out.print(Text(f"Page {told['page']} of {told['pages']:,}; {of}.", style="dim"))
    if len(told.get("profiles", ())) > 1:
        former = ", ".join(told["profiles"][1:])
        out.print(f"{told['profiles'][0]} is one person with {former}; the earliest entry holds.")
    if told.get("decisions"):
        out.print(Text("Would be sent it", style="bold"))
        for row in told["decisions"]:
            why = f", {_reason(row['reason'])}" if row["reason"] else ""
            out.print(f"  {utc(row['at'])}  {_epoch(row)}: {row['decision']}{why}")
    out.print(Text(DRAW_ANEW, style="dim"))


def _show_counts(out: Console, rows: Sequence[Mapping[str, Any]], file: Config) -> None:
    numbers = ("people", "would be\nsent it", "of")
    made = table("Assignments", "campaign", "group", *numbers, "first", "last", numbers=numbers)
    everyone = {held.name for held in file.holdouts.global_}
    for row in rows:
        made.add_row(
            _epoch(row) + (" (all campaigns)" if row["campaign"] in everyone else ""),
            phrase(ARMS, row["arm"]).title,
            count(row["people"]),
            count(row["would_send"]),
            count(row["logged"]),
            utc(row["first_at"])[:10],
            utc(row["last_at"])[:10],
        )
    out.print(made)


def _show_entries(out: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    made = table("Assignments", "campaign", "profile", "group", "since", "run", "would be sent it")
    for row in rows:
        decision = row["decision"] or NONE
        made.add_row(
            _epoch(row),
            row["profile_id"],
            phrase(ARMS, row["arm"]).title,
            utc(row["first_eligible_at"]),
            row["run_id"],
            f"{decision}, {_reason(row['reason'])}" if row["reason"] else decision,
        )
    out.print(made)


def _reason(code: str) -> str:
    return phrase(NOT_SENT, code).title.lower()


def _epoch(row: Mapping[str, Any]) -> str:
    return row["campaign"] if row["epoch"] == 1 else f"{row['campaign']}, epoch {row['epoch']}"
