"""``liftline status`` on a terminal: what waits, then what is where."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from connector.cli.models import show_models
from connector.cli.screen import MARKS, console, count, say, show_guards, subject, table, utc
from connector.domain import Level
from connector.numbers import several
from connector.pipeline.activate.waiting import age
from connector.plan.document import Guard
from connector.report.words import ARMS, RUN_STATUS, phrase

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


OLD_DAYS = 2
"""From so many days on the age of the last run's data is a warning."""


def show_status(found: Mapping[str, Any]) -> None:
    """What waits, the last run, and everything that the ledgers hold."""
    out = console()
    last = found["last_run"]
    if last is None:
        out.print(f"[bold]{found['project']}[/bold]: no run yet.")
    else:
        ended = phrase(RUN_STATUS, last["status"]).title.lower()
        out.print(
            f"[bold]{found['project']}[/bold]: last run {last['run_id']}, {ended},"
            f" data as of {utc(last['as_of'])} UTC"
        )
    _show_age(out, found)
    _show_waiting(out, found)
    for made in (_lists(found), _records(found), _arms(found)):
        if made.row_count:
            out.print(made)
    show_models(out, found["models"], found["currency"])


def _show_age(out: Console, found: Mapping[str, Any]) -> None:
    """How old the data are that everything here rests on."""
    days = found["data_age_days"]
    if days is not None and days >= OLD_DAYS:
        say(
            out, "!", "yellow",
            f"No run has taken new data for {several(days, 'day')}: lists and scores are as old."
            " `liftline sync` brings them up to date.",
        )  # fmt: skip
    for one in found["freshness"]:
        say(out, *MARKS[Level(one["level"])], subject(one["subject"], one["message"]))


def _show_waiting(out: Console, found: Mapping[str, Any]) -> None:
    """The plan that nobody has applied, and runs that did not come to their end."""
    plan, runs = found["waiting_plan"], found["unfinished_runs"]
    out.print()
    for name in found["abandoned"]:
        gone = "the configuration does not name it any more, but people of ours are still there;"
        say(out, "!", "yellow", subject(name, f"{gone} `liftline plan` says what to do."))
    if plan is None and not runs:
        out.print("Nothing waits.\n")
        return
    out.print(Text("Waiting", style="bold"))
    if plan is not None:
        old = age(datetime.fromisoformat(found["now"]) - datetime.fromisoformat(plan["created_at"]))
        state = "not applied"
        if plan["guards"]:
            is_held = plan["status"] == "held"
            state = "held by a guard" if is_held else "somebody must look at it first"
        head = Text.assemble(
            (plan["plan_id"], "bold"),
            f"  {several(plan['n_changes'], 'change')}, made {old} ago; {state}",
        )
        lines = [Text(plan["obstacle"], style="yellow")] if plan["obstacle"] else []
        if plan["replaced"]:
            several_plans = several(plan["replaced"], "older plan")
            lines.append(Text(f"It replaces {several_plans} not applied either.", style="dim"))
        say(out, "!", "yellow", head, *lines)
        show_guards(out, (Guard(**guard) for guard in plan["guards"]))
        if plan["advice"]:
            say(out, "→", "", Text(plan["advice"], style="yellow"))
        if not plan["obstacle"] and not plan["advice"]:
            until = utc(plan["expires_at"])
            say(out, "→", "", Text.assemble((plan["command"], "bold"), f"  until {until} UTC"))
        else:
            say(out, "→", "", Text(plan["command"], style="bold"))
    for run in runs:
        words = phrase(RUN_STATUS, run["status"])
        head = Text.assemble((run["run_id"], "bold"), f"  {words.sentence or words.title}")
        say(out, "!", "yellow", head)
    out.print()


def _lists(found: Mapping[str, Any]) -> Table:
    numbers = ("people", "not\nconfirmed", "refused")
    made = table("Lists", "destination", "list", *numbers, "", numbers=numbers)
    for row in found["lists"]:
        made.add_row(
            row["destination"],
            row["name"],
            *(count(row[name]) for name in ("people", "unconfirmed", "blocked")),
            "" if row["status"] == "present" else row["status"],
        )
    return made


def _records(found: Mapping[str, Any]) -> Table:
    numbers = ("people", "not\nconfirmed", "refused", "not known\nthere")
    made = table("Properties", "destination", *numbers, numbers=numbers)
    for row in found["records"]:
        cells = [row[name] for name in ("people", "unconfirmed", "blocked", "unknown_there")]
        if any(cells):
            made.add_row(row["destination"], *map(count, cells))
    return made


def _arms(found: Mapping[str, Any]) -> Table:
    """Who is in which group, a row a campaign; an epoch is named where it is not the first."""
    groups: dict[tuple[str, int], dict[str, int]] = {}
    for row in found["arms"]:
        groups.setdefault((row["campaign"], row["epoch"]), {})[row["arm"]] = row["people"]
    numbers = [one.title.lower().replace(" ", "\n") for one in ARMS.values()]
    made = table("Groups, drawn for good", "campaign", *numbers, numbers=numbers)
    for (campaign, epoch), people in groups.items():
        name = campaign if epoch == 1 else f"{campaign}, epoch {epoch}"
        name += " (all campaigns)" if campaign in found["global_holdouts"] else ""
        made.add_row(name, *(count(people.get(arm, 0)) for arm in ARMS))
    return made
