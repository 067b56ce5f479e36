"""What is allowed, but probably not meant: the notes and warnings of ``liftline check``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from connector.config.problems import nearest
from connector.config.root import Config
from connector.config.stability import Stability
from connector.domain import Arm, Finding, Level
from connector.tables import CONSENTS, TABLES, Table


def lint(config: Config) -> list[Finding]:
    """Findings about a valid configuration; none of them is an error."""
    return [finding for one in LINTS for finding in one(config)]


def unused(config: Config) -> Iterator[Finding]:
    """Blocks that nothing refers to."""
    campaigns = config.campaigns.values()
    inner = {name for segment in config.segments.values() for name in segment.references}
    used: dict[str, set[str]] = {
        "sources": {text.partition(".")[0] for text in config.relations},
        "segments": {campaign.segment for campaign in campaigns} | inner,
        "strategies": {
            name
            for key, campaign in config.campaigns.items()
            for name in (campaign.strategy, *config.given(key))
            if name
        },
        "destinations": {to for campaign in campaigns for to in campaign.to},
    }
    meaning = {
        "sources": "no table is read from this source",
        "segments": "no campaign addresses this segment; it is computed and reported only",
        "strategies": "no campaign uses this strategy",
        "destinations": "no campaign sends to this destination",
    }
    for section, names in used.items():
        for name in getattr(config, section):
            if name not in names:
                yield _finding(config, Level.NOTE, (section, name), meaning[section])


def near_miss_columns(config: Config) -> Iterator[Finding]:
    """Extra columns whose name is nearly that of a contracted one which is not mapped."""
    mapped: list[tuple[tuple[str, ...], Table, Mapping[str, str]]] = [
        (("tables", name), TABLES[name], table.columns) for name, table in config.tables.items()
    ]
    if config.consent is not None:
        mapped.append((("consent",), CONSENTS, config.consent.columns))
    for path, contract, columns in mapped:
        known = {column.name for column in contract.columns}
        for name in columns:
            meant = nearest(name, known - set(columns), cutoff=0.75) if name not in known else None
            if meant is not None:
                yield _finding(
                    config,
                    Level.WARNING,
                    (*path, "columns", name),
                    f"{name} is a column of your own, carried along unread",
                    f"Did you mean '{meant}'?",
                )


def unprovable_campaigns(config: Config) -> Iterator[Finding]:
    """Campaigns without a comparison group, or with one that the file does not mention."""
    for name, campaign in config.campaigns.items():
        path = ("campaigns", name, "arms")
        if {arm for arm, share in campaign.arms.items() if share} == {Arm.TREATMENT}:
            message = "everybody is treated, so this campaign's lift can never be known"
            hint = "Keep a few per cent as business_as_usual or no_contact."
            yield _finding(config, Level.WARNING, path, message, hint)
        elif "arms" not in campaign.model_fields_set:
            message = "no arms are given: 90% treatment, 10% no_contact"
            yield _finding(config, Level.NOTE, path, message)


def overlapping_campaigns(config: Config) -> Iterator[Finding]:
    """Campaigns whose segments no priority list ranks, where others are ranked."""
    ranked = {name for one in config.priority_lists for name in one.order}
    for name, campaign in config.campaigns.items():
        if ranked and campaign.segment not in ranked:
            message = (
                f"segment {campaign.segment} is in no priority list, so one person may get this"
                " campaign and another"
            )
            yield _finding(config, Level.NOTE, ("campaigns", name, "segment"), message)


def silent_guards(config: Config) -> Iterator[Finding]:
    """Guards that are switched off."""
    guards = config.guards
    path = ("guards",)
    if not guards.needs_approval.first_sync:
        message = "the first sync to a destination is sent without anybody's approval"
        yield _finding(config, Level.WARNING, (*path, "needs_approval", "first_sync"), message)
    for key in ("removals_above", "source_rows_drop_above"):
        if getattr(guards, key) >= 1:
            yield _finding(config, Level.WARNING, (*path, key), "100% switches this guard off")
    if guards.additions_above >= 1:
        message = "at 100% a list may double in one run before anybody is asked"
        yield _finding(config, Level.WARNING, (*path, "additions_above"), message)


SALT_CHARACTERS = 16
"""Fewest characters of a salt that is no guess: 64 bits, where they are hexadecimal digits."""


def short_salt(config: Config) -> Iterator[Finding]:
    """A salt that can be guessed, and with it who is held out; it is never repeated here."""
    if len(config.holdouts.assign.salt.get_secret_value()) < SALT_CHARACTERS:
        yield _finding(
            config,
            Level.WARNING,
            ("holdouts", "assign", "salt"),
            f"the salt has fewer than {SALT_CHARACTERS} characters, so arms could be foretold",
            "Before the first plan, take a long random text (`openssl rand -hex 16`); once arms are"
            " drawn, keep the salt as it is.",
        )


def hasty_stays(config: Config) -> Iterator[Finding]:
    """A shortest stay for whoever enters by one noisy score: it keeps the wrong people for days."""
    blocks: dict[tuple[str, ...], Stability] = {("stability",): config.stability}
    for name, segment in config.segments.items():
        if segment.stability is not None:
            blocks["segments", name, "stability"] = segment.stability
    for path, one in blocks.items():
        if one.min_stay and one.enter_after == 1 and not one.margin.has_entry:
            yield _finding(
                config,
                Level.NOTE,
                path,
                "`min_stay` keeps whoever enters for days, and one noisy score is enough to enter",
                "Add `enter_after: 2 runs`, or a margin for entering such as"
                " `margin: {percentile: {enter: 2, exit: 2}}`.",
            )


def _finding(
    config: Config, level: Level, path: tuple[str, ...], message: str, hint: str = ""
) -> Finding:
    return Finding(level, ".".join(path), f"{config.locate(path)}: {message}", hint)


LINTS: tuple[Callable[[Config], Iterable[Finding]], ...] = (
    unused,
    near_miss_columns,
    unprovable_campaigns,
    overlapping_campaigns,
    silent_guards,
    short_salt,
    hasty_stays,
)
