"""A plan on a terminal: campaigns, lists, properties, data quality, guards, and what to type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from connector.cli.models import show_flows, show_models, show_moves
from connector.cli.screen import (
    MARKS,
    console,
    count,
    reason_words,
    say,
    show_guards,
    subject,
    table,
)
from connector.domain import Kind, Level
from connector.numbers import NONE, several
from connector.report.approving import SOURCE, advice, command
from connector.report.format import span
from connector.report.words import LISTS, left_out, phrase

if TYPE_CHECKING:
    from rich.console import Console

    from connector.plan.document import CampaignPlan, Header, Plan

KEPT_MEASURES = frozenset(
    {"source_rows", "rows", "kept", "entries", "profiles", "new_profiles"}
    | {"standing_granted", "standing_withdrawn", "standing_unknown"}
)
"""Quality measures that are no trouble."""

_MOST_MOVES = 12
"""Pairs of groups that are shown when cut points were fitted anew."""

_DEEDS = {"add": "joins", "remove": "leaves", "update": "properties"}


def show_plan(plan: Plan, *, passed: bool = False) -> None:
    """The plan as a marketer reads it.

    Args:
        plan: The plan.
        passed: Whether a person has let its guards pass.
    """
    out, header = console(), plan.header
    out.print(
        f"[bold]{header.project}[/bold]  {header.plan_id}, as of {header.as_of:%Y-%m-%d %H:%M} UTC"
    )
    out.print()
    _show_remarks(out, header)
    _show_campaigns(out, header)
    for note in header.notes:
        say(out, *MARKS[Level.NOTE], subject(note.subject, note.message))
    _show_lists(out, header)
    _show_properties(out, header)
    _show_models(out, header)
    if header.migration:
        _show_migration(out, header.migration)
    _show_quality(out, header)
    if header.guards:
        told = (
            "Guards that you let pass:"
            if passed
            else "Guards hold this plan until a person has looked:"
        )
        out.print(Text(told, style="bold yellow"))
        show_guards(out, header.guards)
    elif header.is_empty:
        out.print(Text("Nothing to change.", style="bold green"))


def _show_remarks(out: Console, header: Header) -> None:
    """Destinations that the plan cannot do its work for."""
    for one in header.unreadable:
        left = "could not be read, so this plan leaves it as it is but for explicit withdrawals."
        message = f"{left} {one.message} {one.hint}".strip()
        say(out, *MARKS[Level.ERROR], subject(one.destination, message))
    for gone in header.abandoned:
        hint = Text(f"→ {gone.hint}", style="dim")
        say(out, *MARKS[Level.WARNING], subject(gone.destination, gone.message), hint)


def _show_campaigns(out: Console, header: Header) -> None:
    """People and money of each campaign, then who is left out and why."""
    if not header.campaigns:
        out.print("No campaign is configured, so nobody is addressed.\n")
        return
    has_usual = any(c.arms.get("business_as_usual") for c in header.campaigns)
    columns = [
        *("in\nsegment", "eligible", "treated"),
        *(["usual"] if has_usual else []),
        *("held\nout", "newly\ndrawn", f"cost\n{header.currency}"),
    ]
    made = table("Campaigns", "campaign", *columns, numbers=columns)
    for c in header.campaigns:
        whose = f"\n({c.shared})" if c.shared else ""
        budget = "" if c.budget is None else f"\nof {c.budget:,.2f}{whose}"
        made.add_row(
            Text.assemble(c.campaign, (f"\n{c.segment}", "dim"), (_offers(c), "dim")),
            *(count(n) for n in (c.in_segment, c.eligible, c.arms.get("treatment", 0))),
            *([count(c.arms.get("business_as_usual", 0))] if has_usual else []),
            count(c.arms.get("no_contact", 0)),
            count(sum(c.new_arms.values())),
            f"{c.cost:,.2f}{budget}",
        )
    out.print(made)
    blocked = table("Not addressed, and why", "campaign", "people", "why", numbers=("people",))
    for c in header.campaigns:
        reasons = sorted(c.blocked.items(), key=lambda item: -item[1])
        if total := sum(c.blocked.values()):
            why = ", ".join(f"{n:,} {reason_words(reason).lower()}" for reason, n in reasons if n)
            blocked.add_row(c.campaign, f"{total:,}", why)
    if blocked.row_count:
        out.print(blocked)


def _offers(campaign: CampaignPlan) -> str:
    """How many get which offer, one a line."""
    return "".join(f"\n  {offer}: {n:,}" for offer, n in campaign.offers.items())


def _show_lists(out: Console, header: Header) -> None:
    """Every list; columns that would be empty are left out."""
    extra = [
        name
        for name, is_there in (
            ("held\nback", any(a.held for a in header.audiences)),
            ("not\nours", any(a.foreign for a in header.audiences)),
            ("taken\noff", any(a.taken_off for a in header.audiences)),
        )
        if is_there
    ]
    numbers = ("before", "joins", "leaves", "after", *extra)
    made = table("Lists", "destination", "list", *numbers, "", numbers=numbers)
    for a in header.audiences:
        further = {"held\nback": a.held, "not\nours": a.foreign, "taken\noff": a.taken_off}
        made.add_row(
            a.destination,
            a.name,
            *(count(n) for n in (a.before, a.joins, a.leaves, a.after)),
            *(count(further[name]) for name in extra),
            "" if a.status == "kept" else phrase(LISTS, a.status).title,
        )
    if made.row_count:
        out.print(made)
    if taken_off := sum(a.taken_off for a in header.audiences):
        people = several(taken_off, "person was", "people were")
        again = "Whoever still belongs there joins again."
        out.print(Text(f"{people} taken off at the destination, not by us. {again}", style="dim"))


def _show_properties(out: Console, header: Header) -> None:
    numbers = ("updates", "new\ncontacts", "cleared", "unchanged", "held\nback", "calls", "takes")
    made = table("Properties", "destination", *numbers, numbers=numbers)
    efforts = {e.destination: e for e in header.efforts}
    for r in header.records:
        effort = efforts.get(r.destination)
        made.add_row(
            r.destination,
            *(count(n) for n in (r.updates, r.creates, r.clears, r.unchanged, r.held)),
            count(effort.calls if effort else 0),
            span(60 * effort.minutes) if effort and effort.calls else NONE,
        )
    if made.row_count:
        out.print(made)


def _show_quality(out: Console, header: Header) -> None:
    guarded = {guard.subject for guard in header.guards if guard.name == SOURCE}
    for row in header.quality:
        # What trips a guard is told with the guards.
        is_told = row.get("level") == "error" and row["subject"] in guarded
        if row.get("level") in {"error", "warning"} and not is_told:
            say(out, *MARKS[Level(row["level"])], subject(row["subject"], row["message"]))
    aside: dict[str, list[str]] = {}
    for row in header.quality:
        if row.get("n") and row.get("measure") not in KEPT_MEASURES:
            aside.setdefault(row["table"].removeprefix("in_"), []).append(
                f"{row['n']:,} {left_out(row['measure'])}"
            )
    if aside:
        made = table("Set aside or counted while cleaning", "table", "rows")
        for name, parts in aside.items():
            made.add_row(name, ", ".join(parts))
        out.print(made)


def _show_models(out: Console, header: Header) -> None:
    """Models, where there are others than RFM, and who came and went since the last run."""
    if any(one["kind"] != "rfm" for one in header.models):
        show_models(out, header.models, header.currency)
    if any(not row["is_new"] for row in header.flows):
        show_flows(out, header.flows)
    if header.moves:
        show_moves(out, header.moves, "Who is elsewhere than at the last applied run")


def _show_migration(out: Console, migration: Sequence[Mapping[str, Any]]) -> None:
    """Who changes the group because cut points were fitted anew."""
    made = table("Refitted cut points move people", "from", "to", "people", numbers=("people",))
    for row in sorted(migration, key=lambda r: -r["people"])[:_MOST_MOVES]:
        made.add_row(row["before"], row["after"], f"{row['people']:,}")
    out.print(made)


def show_next(plan: Plan, folder: Path | None) -> None:
    """What to type next."""
    header = plan.header
    if header.is_empty and not header.guards:
        return
    names = {guard.name for guard in header.guards}
    if words := advice(names):
        console().print(Text(f"\n{words}", style="yellow"))
    typed = command(names, folder=str(folder or ""))
    console().print(Text.assemble("\nNext: ", (typed, "bold")))


# ---------------------------------------------------------------------- people
_TURNS = ("destination", "audience", "action")
"""What changes are alike in, when people are shown by turns."""


def people_rows(plan: Plan, limit: int) -> list[dict[str, Any]]:
    """Some changes with reason and arm: a few of every list joined and left, then of properties.

    Lists take turns, so that a short list of people shows every campaign. Addresses are masked
    here and nowhere shown in full.
    """
    import pyarrow.dataset as ds

    from connector.pipeline.person.explain import mask

    columns = [
        *("destination", "kind", "action", "audience", "profile_id", "match_value"),
        *("arm", "reason", "detail"),
    ]
    changes = ds.dataset(plan.changes_path)
    rows: list[dict[str, Any]] = []
    for kind in (Kind.MEMBERSHIP, Kind.RECORD):
        groups = (
            changes.to_table(columns=list(_TURNS), filter=ds.field("kind") == kind.value)
            .group_by(list(_TURNS))
            .aggregate([])
        )
        turns = []
        for group in sorted(groups.to_pylist(), key=lambda row: tuple(map(str, row.values()))):
            chosen = ds.field("kind") == kind.value
            for name, value in group.items():
                chosen &= ds.field(name).is_null() if value is None else ds.field(name) == value
            turns.append(changes.scanner(columns=columns, filter=chosen).head(limit).to_pylist())
        mixed = [row for turn in zip_longest(*turns) for row in turn if row is not None]
        rows += mixed[: limit - len(rows)]
    for row in rows:
        row["address"] = mask(row.pop("match_value"))
    return sorted(
        rows,
        key=lambda row: (
            row["kind"] == Kind.RECORD.value,
            row["destination"],
            row["audience"] or "",
            row["action"],
        ),
    )


def show_people(plan: Plan, limit: int) -> None:
    """Some of the changes, person by person, below the list that each is about."""
    rows = people_rows(plan, limit)
    if not rows:
        return
    out = console()
    out.print()
    heading = f"{several(len(rows), 'change')} of {plan.header.n_changes:,}, person by person"
    out.print(Text(heading, style="bold"))
    place = None
    for row in rows:
        here = f"{row['destination']}: {row['audience'] or 'properties'}"
        if here != place:
            out.print(Text(f"\n {here}", style="dim"))
            place = here
        sign, style, deed = _deed(row)
        words = row["reason"].replace("_", " ")
        why = ": ".join(part for part in (words if words != deed else "", row["detail"]) if part)
        who = Text.assemble(
            (row["profile_id"], "bold"),
            f"  {row['address']}  {deed}",
            f", {row['arm'].replace('_', ' ')}" if row["arm"] else "",
        )
        say(out, sign, style, who, *([Text(why, style="dim")] if why else []))


def _deed(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Sign, colour and word of what happens to a person."""
    if row["kind"] == Kind.RECORD.value and row["action"] == "add":
        return "+", "green", "new contact"
    sign, style = {"add": ("+", "green"), "remove": ("-", "red")}.get(row["action"], ("~", "cyan"))
    return sign, style, _DEEDS[row["action"]]
