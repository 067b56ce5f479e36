"""Rendering for people at a terminal: tables that fit, numbers with separators, words not codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connector.domain import Finding, Kind, Level
from connector.report.words import BLOCKED, ISSUES, OUTCOMES, left_out, phrase

if TYPE_CHECKING:
    from connector.pipeline.applying import ApplyReport
    from connector.plan.document import Header, Plan

KEPT_MEASURES = frozenset(
    {"source_rows", "rows", "kept", "entries", "profiles", "new_profiles"}
    | {"standing_granted", "standing_withdrawn", "standing_unknown"}
)
"""Quality measures that are no trouble."""

MARKS = {
    Level.OK: ("✓", "green"),
    Level.NOTE: ("·", "cyan"),
    Level.WARNING: ("!", "yellow"),
    Level.ERROR: ("✗", "red"),
}


def console() -> Console:
    """The terminal; plain and wide enough for our tables when output is piped."""
    out = Console(highlight=False, soft_wrap=False)
    return out if out.is_terminal else Console(highlight=False, width=140)


def table(title: str, *columns: str, numbers: Sequence[str] = ()) -> Table:
    """A light table; columns named in ``numbers`` stand to the right."""
    made = Table(
        title=Text(title, style="bold", no_wrap=True, overflow="ignore"),
        title_justify="left",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return made


def count(n: int) -> str:
    """A number with separators; nothing for zero, so that what matters stands out."""
    return f"{n:,}" if n else "–"


def _several(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _utc(text: str | None) -> str:
    """An instant of the state, to the minute."""
    return (text or "")[:16].replace("T", " ")


def reason_words(code: str) -> str:
    """A reason code in a few words."""
    return phrase(BLOCKED if code in BLOCKED else ISSUES, code).title


# ---------------------------------------------------------------------- check
def show_findings(findings: Sequence[Finding]) -> None:
    """One line a finding, its remedy below it."""
    out = console()
    for finding in findings:
        mark, colour = MARKS[finding.level]
        line = Text.assemble(
            (f"{mark} ", colour), (finding.subject, "bold"), f"  {finding.message}"
        )
        out.print(line)
        if finding.hint and finding.level is not Level.OK:
            out.print(Text(f"  → {finding.hint}", style="dim"))
    totals = {level: sum(f.level is level for f in findings) for level in Level}
    out.print()
    verdict = "Ready." if not totals[Level.ERROR] else "Not ready: mend the errors first."
    out.print(
        f"{verdict} {_several(totals[Level.ERROR], 'error')},"
        f" {_several(totals[Level.WARNING], 'warning')},"
        f" {_several(totals[Level.NOTE], 'note')}, {totals[Level.OK]} fine."
    )


# ---------------------------------------------------------------------- plan
def show_plan(plan: Plan, *, passed: bool = False) -> None:
    """The plan as a marketer reads it: campaigns, lists, properties, data quality, then guards.

    Args:
        plan: The plan.
        passed: Whether a person has let its guards pass.
    """
    out, header = console(), plan.header
    out.print(
        f"[bold]{header.project}[/bold]  plan {header.plan_id}, as of"
        f" {header.as_of:%Y-%m-%d %H:%M} UTC"
    )
    out.print()
    campaigns = table(
        "Campaigns",
        "campaign",
        "segment",
        "in segment",
        "eligible",
        "treatment",
        "usual",
        "no contact",
        "new",
        f"cost {header.currency}",
        "budget",
        numbers=(
            "in segment",
            "eligible",
            "treatment",
            "usual",
            "no contact",
            "new",
            f"cost {header.currency}",
            "budget",
        ),
    )
    for c in header.campaigns:
        campaigns.add_row(
            c.campaign,
            c.segment,
            count(c.in_segment),
            count(c.eligible),
            count(c.arms.get("treatment", 0)),
            count(c.arms.get("business_as_usual", 0)),
            count(c.arms.get("no_contact", 0)),
            count(sum(c.new_arms.values())),
            f"{c.cost:,.2f}",
            "–" if c.budget is None else f"{c.budget:,.2f}",
        )
    out.print(campaigns)
    blocked = table("Not addressed, and why", "campaign", "people", "why", numbers=("people",))
    for c in header.campaigns:
        for reason, n in sorted(c.blocked.items(), key=lambda item: -item[1]):
            blocked.add_row(c.campaign, f"{n:,}", reason_words(reason))
    if blocked.row_count:
        out.print(blocked)
    lists = table(
        "Lists",
        "destination",
        "list",
        "arm",
        "before",
        "joins",
        "leaves",
        "after",
        "held",
        "foreign",
        "",
        numbers=("before", "joins", "leaves", "after", "held", "foreign"),
    )
    for a in header.audiences:
        lists.add_row(
            a.destination,
            a.name,
            a.arm.replace("_", " "),
            count(a.before),
            count(a.joins),
            count(a.leaves),
            count(a.after),
            count(a.held),
            count(a.foreign),
            "" if a.status == "kept" else a.status,
        )
    out.print(lists)
    records = table(
        "Properties",
        "destination",
        "updates",
        "new contacts",
        "cleared",
        "unchanged",
        "held",
        "calls",
        "minutes",
        numbers=("updates", "new contacts", "cleared", "unchanged", "held", "calls", "minutes"),
    )
    efforts = {e.destination: e for e in header.efforts}
    for r in header.records:
        effort = efforts.get(r.destination)
        records.add_row(
            r.destination,
            count(r.updates),
            count(r.creates),
            count(r.clears),
            count(r.unchanged),
            count(r.held),
            count(effort.calls if effort else 0),
            f"{effort.minutes:.1f}" if effort else "–",
        )
    out.print(records)
    if header.migration:
        show_migration(header.migration)
    _show_quality(out, header)
    if header.guards:
        told = (
            "Guards that you let pass:"
            if passed
            else "Guards hold this plan until a person has looked:"
        )
        out.print(Text(told, style="bold yellow"))
        for guard in header.guards:
            out.print(
                Text.assemble(
                    ("! ", "yellow"), (guard.name, "bold"), f"  {guard.subject}: {guard.message}"
                )
            )
    elif header.is_empty:
        out.print(Text("Nothing to change.", style="bold green"))


def _show_quality(out: Console, header: Header) -> None:
    bad = [row for row in header.quality if row.get("level") in {"error", "warning"}]
    for row in bad:
        mark, colour = MARKS[Level(row["level"])]
        out.print(
            Text.assemble((f"{mark} ", colour), (row["subject"], "bold"), f"  {row['message']}")
        )
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


def show_migration(migration: Sequence[Mapping[str, Any]]) -> None:
    """Who changes the group because cut points were fitted anew."""
    made = table("Refitted cut points move people", "from", "to", "people", numbers=("people",))
    for row in sorted(migration, key=lambda r: -r["people"])[:12]:
        made.add_row(row["before"], row["after"], f"{row['people']:,}")
    console().print(made)


def show_next(plan: Plan, folder: Path | None) -> None:
    """What to type next."""
    header = plan.header
    if header.is_empty and not header.guards:
        return
    command = f"liftline apply{f' {folder}' if folder else ''}"
    if header.guards:
        command += f" --approve {','.join(sorted({g.name for g in header.guards}))}"
    console().print(f"\nNext: [bold]{command}[/bold]")


def people_rows(plan: Plan, limit: int) -> list[dict[str, Any]]:
    """Some changes with reason and arm: a few of every list joined and left, then of properties.

    Lists take turns, so that a short list of people shows every campaign. Addresses are masked
    here and nowhere shown in full.
    """
    import pyarrow.dataset as ds

    from connector.pipeline.explain import mask

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


_TURNS = ("destination", "audience", "action")
"""What changes are alike in, when people are shown by turns."""


def show_people(plan: Plan, limit: int) -> None:
    """The first changes, person by person."""
    rows = people_rows(plan, limit)
    if not rows:
        return
    heading = f"People ({len(rows):,} of {plan.header.n_changes:,} changes)"
    made = table(heading, "person", "address", "what", "where", "arm", "why")
    for row in rows:
        what = {"add": "joins", "remove": "leaves", "update": "properties"}[row["action"]]
        if row["kind"] == "record" and row["action"] == "add":
            what = "new contact"
        why = row["reason"].replace("_", " ") + (f": {row['detail']}" if row["detail"] else "")
        made.add_row(
            row["profile_id"],
            row["address"],
            what,
            row["audience"] or row["destination"],
            (row["arm"] or "").replace("_", " "),
            why,
        )
    console().print(made)


# ---------------------------------------------------------------------- runs
def show_run(report: ApplyReport) -> None:
    """What a run did, one line a destination and outcome."""
    out = console()
    made = table(
        f"Run {report.run_id}", "destination", "what", "outcome", "people", numbers=("people",)
    )
    for one in report.destinations:
        for (kind, action, outcome), n in sorted(one.outcomes.items()):
            told = phrase(OUTCOMES, str(outcome)).title.lower()
            made.add_row(one.destination, _deed(kind, action), told, f"{n:,}")
        if one.n_unsent:
            made.add_row(one.destination, "", "not sent", f"{one.n_unsent:,}")
    if made.row_count:
        out.print(made)
    elif report.status == "succeeded":
        out.print("Nothing was to be sent.")
    for one in report.destinations:
        if one.problem is not None:
            out.print(Text.assemble(("✗ ", "red"), (one.destination, "bold"), f"  {one.problem}"))
        codes: dict[str, int] = {}
        for issue in one.issues:
            codes[issue.code] = codes.get(issue.code, 0) + 1
        for code, n in sorted(codes.items(), key=lambda item: -item[1])[:5]:
            out.print(Text.assemble(("! ", "yellow"), f"{n:,} × {reason_words(code)}"))
    for guard in report.guards:
        out.print(
            Text.assemble(
                ("! ", "yellow"), (guard.name, "bold"), f"  {guard.subject}: {guard.message}"
            )
        )
    words = {
        "succeeded": ("Delivered.", "bold green"),
        "partial": (
            "Delivered in part; the next run sends what is missing. See `liftline issues`.",
            "bold yellow",
        ),
        "held": (
            "Held: only withdrawals were sent. Look at the plan, then apply with --approve.",
            "bold yellow",
        ),
    }
    text, style = words[report.status]
    if report.status == "held" and not made.row_count:
        text = "Held: nothing was sent. Look at the plan, then apply with --approve."
    if report.status != "succeeded" or made.row_count:
        out.print(Text(text, style=style))


def _deed(kind: str, action: str) -> str:
    if kind == "membership":
        return {"add": "joins", "remove": "leaves"}[action]
    return {"add": "new contacts", "update": "properties", "clear": "properties cleared"}[action]


def show_history(runs: Sequence[Mapping[str, Any]]) -> None:
    """The runs, newest first."""
    made = table(
        "Runs",
        "run",
        "as of (UTC)",
        "started (UTC)",
        "status",
        "delivered",
        "refused",
        numbers=("delivered", "refused"),
    )
    for run in runs:
        totals: dict[str, int] = {}
        for destination in run["summary"].get("destinations", ()):
            for one in destination["outcomes"]:
                totals[one["outcome"]] = totals.get(one["outcome"], 0) + one["people"]
        refused = sum(totals.get(name, 0) for name in ("rejected", "suppressed", "missing"))
        made.add_row(
            run["run_id"],
            _utc(run["as_of"]),
            _utc(run["started_at"]),
            run["status"],
            count(totals.get("delivered", 0)),
            count(refused),
        )
    console().print(made if runs else "No run yet. `liftline plan` shows what the first would do.")


def show_issues(run_id: str | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """Causes, most frequent first."""
    if not rows:
        console().print("No run yet." if run_id is None else f"Everything of {run_id} got through.")
        return
    made = table(
        f"Row issues of {run_id}",
        "people",
        "destination",
        "what",
        "outcome",
        "cause",
        "an example",
        numbers=("people",),
    )
    for row in rows:
        cause = f"{row['code']}: {row['message']}" if row["message"] else row["code"]
        made.add_row(
            f"{row['n']:,}",
            row["destination"],
            _deed(row["kind"], row["action"]),
            row["outcome"],
            cause,
            row["example"],
        )
    console().print(made)
    console().print("`liftline explain PROFILE` tells more of one person.")


def show_status(found: Mapping[str, Any]) -> None:
    """The last run and the lists."""
    out = console()
    last = found["last_run"]
    if last is None:
        out.print(f"[bold]{found['project']}[/bold]: no run yet.")
    else:
        out.print(
            f"[bold]{found['project']}[/bold]: last run {last['run_id']}, {last['status']},"
            f" as of {_utc(last['as_of'])} UTC"
        )
    lists = table(
        "Lists",
        "destination",
        "list",
        "people",
        "unconfirmed",
        "blocked",
        "",
        numbers=("people", "unconfirmed", "blocked"),
    )
    for row in found["lists"]:
        lists.add_row(
            row["destination"],
            row["name"],
            count(row["people"]),
            count(row["unconfirmed"]),
            count(row["blocked"]),
            "" if row["status"] == "present" else row["status"],
        )
    records = table(
        "Properties",
        "destination",
        "people",
        "unconfirmed",
        "blocked",
        "not known there",
        numbers=("people", "unconfirmed", "blocked", "not known there"),
    )
    for row in found["records"]:
        records.add_row(
            row["destination"],
            count(row["people"]),
            count(row["unconfirmed"]),
            count(row["blocked"]),
            count(row["unknown_there"]),
        )
    arms = table("Arms, kept for good", "campaign", "epoch", "arm", "people", numbers=("people",))
    for row in found["arms"]:
        arms.add_row(
            row["campaign"], str(row["epoch"]), row["arm"].replace("_", " "), count(row["people"])
        )
    for made in (lists, records, arms):
        if made.row_count:
            out.print(made)
