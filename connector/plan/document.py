"""The plan as a document.

A header that people read and a table of changes that the push carries out.

The header is JSON (counts, guards, costs) without personal data. The table is Parquet with match
values and properties: it is private payload, lies in the state folder, and is readable by its owner
only. It is written and read in batches; millions of changes never become Python objects at once.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.errors import PlanError, StalePlanError
from connector.plan.diff import COLUMNS, ORDER
from connector.plan.remarks import Abandoned, Note, Unreadable

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

FORMAT = 1
"""Version of the document's shape."""

ROWS_AT_ONCE = 10_000
"""Rows of one batch while a plan is written or read."""


@dataclass(frozen=True, slots=True)
class AudiencePlan:
    """One list: its size before and after, and what changes.

    Attributes:
        before: People on it by our ledger (certain and unconfirmed), without foreign members.
        joins: Additions, unconfirmed ones that are sent again included.
        leaves: Removals.
        held: Wanted, but blocked since an earlier rejection or without a record at the vendor.
        foreign: Members that were on the list before us; never touched.
        status: ``new`` (will be created), ``adopted`` (found at the vendor), ``kept`` or
            ``deleted`` (by the vendor's users); ``unreadable`` where the destination could not be
            read, so that this plan leaves the list as it is.
        taken_off: People who were on it by our ledger, and whom its reading for this plan did not
            find there any more: taken off, or their records deleted. Those still wanted are among
            ``joins``.
    """

    destination: str
    name: str
    campaign: str
    arm: str
    before: int
    joins: int
    leaves: int
    held: int
    foreign: int
    status: str

    @property
    def after(self) -> int:
        """Our people on the list once the plan is carried out."""
        return self.before_certain + self.joins - self.leaves

    @property
    def before_certain(self) -> int:
        """People on the list who are not also among the additions (those are unconfirmed)."""
        return self.before - self.unconfirmed

    unconfirmed: int = 0
    taken_off: int = 0


@dataclass(frozen=True, slots=True)
class RecordsPlan:
    """Properties at one destination.

    Attributes:
        updates: People whose properties are written.
        creates: New people, billable where the vendor charges for them.
        clears: People whose properties are cleared because they are no longer addressed.
        unchanged: People whose properties are as wanted already.
        held: Blocked since an earlier rejection.
    """

    destination: str
    updates: int
    creates: int
    clears: int
    unchanged: int
    held: int


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """One campaign: who is eligible, who is not and why, and what it costs.

    Attributes:
        in_segment: Members of its segment.
        eligible: Of them, those who got an arm and do not wait for a budget.
        blocked: Reason -> people.
        arms: Arm -> people; ``new_arms`` counts those assigned in this run, and among them also
            those who wait.
        cost: Contacts joining the treatment list times the strategy's cost for one.
        budget: What this run may cost; None for no limit.
        shared: Name of the budget, where campaigns share it.
        offers: Offer -> people of the treatment arm who get it; empty: there is one strategy.
    """

    campaign: str
    segment: str
    in_segment: int
    eligible: int
    blocked: Mapping[str, int]
    arms: Mapping[str, int]
    new_arms: Mapping[str, int]
    cost: float
    budget: float | None
    shared: str = ""
    offers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effort:
    """How many calls the plan takes at one destination, and how long at the vendor's own limit."""

    destination: str
    calls: int
    minutes: float


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard that holds the run back.

    Attributes:
        name: The configuration's key, such as ``removals_above``.
        subject: What tripped it: a list, a destination, a table.
        message: What was found against what is allowed, and what to do.
    """

    name: str
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a plan says of itself; everything in it may be shown.

    Attributes:
        migration: People whose RFM group new cut points move: ``before``, ``after``, ``people``.
        models: Every model in short: version, algorithm, its measure beside the best naive rule's,
            gates, and why a newer fit is not used.
        flows: Every segment against the last applied run: people, joins, leaves, volatility.
        moves: People who are in another segment, group, cluster or topic than at the last applied
            run: ``of``, ``before``, ``after``, ``people``.
    """

    plan_id: str
    project: str
    created_at: datetime
    as_of: datetime
    config_digest: str
    currency: str
    audiences: tuple[AudiencePlan, ...]
    records: tuple[RecordsPlan, ...]
    campaigns: tuple[CampaignPlan, ...]
    efforts: tuple[Effort, ...]
    guards: tuple[Guard, ...]
    segments: Mapping[str, int]
    quality: tuple[Mapping[str, Any], ...] = ()
    migration: tuple[Mapping[str, Any], ...] = ()
    model_versions: Mapping[str, int] = field(default_factory=dict)
    models: tuple[Mapping[str, Any], ...] = ()
    flows: tuple[Mapping[str, Any], ...] = ()
    moves: tuple[Mapping[str, Any], ...] = ()
    table_counts: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    unreadable: tuple[Unreadable, ...] = ()
    abandoned: tuple[Abandoned, ...] = ()
    notes: tuple[Note, ...] = ()
    n_changes: int = 0
    format: int = FORMAT

    @property
    def is_empty(self) -> bool:
        """Whether the plan changes nothing."""
        return self.n_changes == 0

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        document = dataclasses.asdict(self)
        for moment in ("created_at", "as_of"):
            document[moment] = document[moment].isoformat()
        for audience, shown in zip(self.audiences, document["audiences"], strict=True):
            shown["after"] = audience.after
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Header:
        """The inverse of :meth:`to_json`.

        Raises:
            PlanError: The document is of another format.
        """
        if document.get("format") != FORMAT:
            raise PlanError(
                f"the plan has format {document.get('format')}, this program reads {FORMAT}.",
                hint="Make the plan again with `liftline plan`.",
            )
        values = dict(document)
        for moment in ("created_at", "as_of"):
            values[moment] = datetime.fromisoformat(values[moment])
        values["audiences"] = tuple(
            AudiencePlan(**{k: v for k, v in a.items() if k != "after"})
            for a in values["audiences"]
        )
        values["records"] = tuple(RecordsPlan(**r) for r in values["records"])
        values["campaigns"] = tuple(CampaignPlan(**c) for c in values["campaigns"])
        values["efforts"] = tuple(Effort(**e) for e in values["efforts"])
        values["guards"] = tuple(Guard(**g) for g in values["guards"])
        values["unreadable"] = tuple(Unreadable(**u) for u in values.get("unreadable", ()))
        values["abandoned"] = tuple(
            Abandoned(**{**a, "lists": tuple(a["lists"])}) for a in values.get("abandoned", ())
        )
        values["notes"] = tuple(Note(**n) for n in values.get("notes", ()))
        for name in ("quality", "migration", "models", "flows", "moves"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan on disk.

    Attributes:
        folder: Holds ``plan.json``, ``changes.parquet`` and one Parquet file for each of
            :data:`SIDE_TABLES`.
        header: Its header.
    """

    folder: Path
    header: Header

    def side_table(self, name: str) -> pa.Table:
        """One of :data:`SIDE_TABLES`.

        Raises:
            PlanError: The plan has none; an older version made it.
        """
        import pyarrow.parquet as pq

        path = self.folder / f"{name}.parquet"
        if not path.exists():
            raise PlanError(
                f"the plan in {self.folder} has no {path.name}.", hint="Make the plan again."
            )
        return pq.read_table(path)

    def totals(self) -> dict[tuple[str, int], int]:
        """Changes of each destination and stage, where there are any."""
        import pyarrow.parquet as pq

        keys = ["destination", "stage"]
        changes = pq.read_table(self.changes_path, columns=keys)
        counts = changes.group_by(keys).aggregate([([], "count_all")]).to_pylist()
        return {(row["destination"], row["stage"]): row["count_all"] for row in counts}

    @property
    def changes_path(self) -> Path:
        """The table of changes."""
        return self.folder / "changes.parquet"

    def check_age(self, now: datetime, max_age: timedelta) -> None:
        """Refuse a plan that is too old to be carried out.

        Raises:
            StalePlanError: It is older than ``max_age``.
        """
        age = now - self.header.created_at
        if age > max_age:
            raise StalePlanError(
                f"the plan {self.header.plan_id} is {age.total_seconds() / 3600:.1f} hours old;"
                f" the limit is"
                f" {max_age.total_seconds() / 3600:.0f}.",
                hint="Make it again with `liftline plan`.",
            )


SIDE_TABLES = ("released", "held", "new_arms", "would_send", "labels", "segment_state")
"""What apply writes to the state beside the changes themselves."""


def write_plan(con: duckdb.DuckDBPyConnection, folder: Path, header: Header) -> Plan:
    """Write the plan's files, readable by their owner only.

    Relations read: ``changes``, ``released``, ``held``, ``new_arms``, ``would_send``,
        ``new_labels``, ``new_segment_state``.
    """
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    sources = {
        "changes": f"SELECT {', '.join(COLUMNS)} FROM changes ORDER BY {ORDER}",
        "released": "FROM released",
        "held": "FROM held",
        "new_arms": "FROM new_arms",
        "would_send": "FROM would_send",
        "labels": "FROM new_labels",
        "segment_state": "FROM new_segment_state",
    }
    previous = os.umask(0o077)
    try:
        for name, sql in sources.items():
            # Through Arrow, not COPY: a sealed workspace may not touch files.
            reader = con.sql(sql).to_arrow_reader(ROWS_AT_ONCE)
            if name == "changes":
                reader = _numbered(reader)
            with pq.ParquetWriter(folder / f"{name}.parquet", reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
        (folder / "plan.json").write_text(
            json.dumps(header.to_json(), indent=2, ensure_ascii=False, default=str),
            encoding="utf-8",
        )
    finally:
        os.umask(previous)
    return Plan(folder, header)


def _numbered(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same rows with a ``change_id`` in front, counted from 1.

    Counted here, because a window over all changes in the engine would sort them a second time.
    """
    import numpy as np
    import pyarrow as pa

    schema = reader.schema.insert(0, pa.field("change_id", pa.int64()))

    def batches() -> Iterator[pa.RecordBatch]:
        first = 1
        for batch in reader:
            ids = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
            yield pa.RecordBatch.from_arrays([ids, *batch.columns], schema=schema)
            first += batch.num_rows

    return pa.RecordBatchReader.from_batches(schema, batches())


def read_plan(folder: Path) -> Plan:
    """Open a plan that was written earlier.

    Raises:
        PlanError: There is no plan in the folder, or it is damaged.
    """
    try:
        document = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PlanError(
            f"there is no plan in {folder}.", hint="Make one with `liftline plan --out DIR`."
        ) from error
    except ValueError as error:
        raise PlanError(
            f"{folder / 'plan.json'} is damaged.", hint="Make the plan again."
        ) from error
    return Plan(folder, Header.from_json(document))


def batches(
    plan: Plan, *, destination: str, stage: int, sizes: Mapping[str, int]
) -> Iterator[list[dict[str, Any]]]:
    """Stream one stage of one destination as batches that a single request may carry.

    A batch holds one kind, one audience and one action, so that an answer for it can be booked in
    one transaction.

    Args:
        plan: The plan.
        destination: Whose changes.
        stage: Which stage.
        sizes: Kind -> largest batch.
    """
    import pyarrow.dataset as ds

    chosen = (ds.field("destination") == destination) & (ds.field("stage") == stage)
    batch: list[dict[str, Any]] = []
    scope: tuple[object, ...] | None = None
    for chunk in ds.dataset(plan.changes_path).to_batches(filter=chosen, batch_size=ROWS_AT_ONCE):
        for row in chunk.to_pylist():
            here = (row["kind"], row["audience"], row["action"])
            if batch and (here != scope or len(batch) >= sizes[row["kind"]]):
                yield batch
                batch = []
            scope = here
            batch.append(row)
    if batch:
        yield batch


def quality_rows(findings: Sequence[Any]) -> tuple[Mapping[str, Any], ...]:
    """Findings as plain rows of the header."""
    return tuple(dataclasses.asdict(finding) for finding in findings)
