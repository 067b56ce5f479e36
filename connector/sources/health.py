"""Is the data there, all of it, and recent?

A source that shrank overnight must not empty everybody's audiences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from connector.domain import Finding, Level
from connector.sources.spec import Freshness, TableReport


def check_freshness(report: TableReport, freshness: Freshness, *, now: datetime) -> Finding:
    """Compare a table's newest time with the clock.

    Args:
        report: What the mapping found.
        freshness: The limits.
        now: Aware time to compare with.
    """
    subject = f"tables.{report.table}.freshness"
    if report.freshest is None:
        return Finding(
            Level.ERROR,
            subject,
            f"{freshness.column} holds no time at all.",
            "Check the column and the source.",
        )
    age = max(now - report.freshest, timedelta())  # rows later than a past --as-of are not old
    what = f"The newest {freshness.column} is {_span(age)} old"
    if freshness.error_after is not None and age > freshness.error_after:
        return Finding(
            Level.ERROR,
            subject,
            f"{what}; {_span(freshness.error_after)} are allowed.",
            "Repair the source's own refresh; people would be chosen by stale data.",
        )
    if freshness.warn_after is not None and age > freshness.warn_after:
        return Finding(
            Level.WARNING,
            subject,
            f"{what}; expected within {_span(freshness.warn_after)}.",
            "Look at the source's own refresh.",
        )
    return Finding(Level.OK, subject, f"{what}.")


def check_rows(
    reports: Iterable[TableReport], previous: Mapping[str, int], *, max_drop_share: float
) -> list[Finding]:
    """Compare each table's rows with those of the last runs.

    Args:
        reports: What the mapping found.
        previous: Table -> the most rows that were kept at one of the last runs; tables that were
            not there are not compared.
        max_drop_share: Share of rows (0 to 1) that may be missing.

    Returns:
        One finding a table; ERROR for an empty table, and for one that shrank by more.
    """
    findings = []
    for report in reports:
        subject, before = f"tables.{report.table}", previous.get(report.table)
        if report.n_kept == 0:
            findings.append(_empty(report))
            continue
        drop = (before - report.n_kept) / before if before else 0.0
        if drop > max_drop_share:
            findings.append(
                Finding(
                    Level.ERROR,
                    subject,
                    f"{report.n_kept:,} rows, {drop:.0%} fewer than the {before:,} of the last runs"
                    f" ({max_drop_share:.0%} are allowed).",
                    "Repair the source; if the rows are gone for good, approve `source` once.",
                )
            )
        else:
            findings.append(Finding(Level.OK, subject, f"{report.n_kept:,} rows."))
    return findings


def _empty(report: TableReport) -> Finding:
    """A table without rows, and what became of those that the source has."""
    subject = f"tables.{report.table}"
    if report.n_source == 0:
        return Finding(Level.ERROR, subject, "The source holds no row.", "Check the source.")
    fates = {"filtered": report.n_filtered, **report.n_quarantined}
    told = ", ".join(f"{n:,} {why.replace('_', ' ')}" for why, n in fates.items() if n)
    return Finding(
        Level.ERROR,
        subject,
        f"No row is left of {report.n_source:,}{f': {told}' if told else ''}.",
        "Check the source, the columns' expressions, and the table's filter and quarantine rules.",
    )


def _span(span: timedelta) -> str:
    """A duration in words: hours up to two days, then days."""
    hours = span.total_seconds() / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.1f} days"
