"""The seams: what the engine asks of a warehouse and of a destination, and nothing more.

Adapters in ``destinations/`` see this module, :mod:`connector.domain` and :mod:`connector.errors`
only. The engine never imports an adapter; :mod:`connector.registry` finds them by entry point. A
destination implements :class:`Destination` and may opt in to the small protocols below it; the
engine asks with ``isinstance``, so a list-only vendor stays small.

Why ``push`` takes the whole batch and returns one result for each change: vendors answer per
request, people are counted per record, and a silent gap between the two is how audiences rot. The
engine checks that every change got one answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from connector.domain import Audience, Capabilities, Change, Field, Finding, RecordResult

if TYPE_CHECKING:
    import pyarrow as pa


@runtime_checkable
class Warehouse(Protocol):
    """Where the user's data lives, and where everything up to the scores is computed.

    Every SQL text given to it is in the house dialect (see :mod:`connector.warehouse.dialect`); the
    implementation renders it for its engine. About fifty lines an engine.
    """

    dialect: str
    """sqlglot's name of the engine's dialect."""

    def create_table_as(self, name: str, sql: str) -> None:
        """Create or replace the relation ``name`` with the rows of ``sql``."""
        ...

    def create_view_as(self, name: str, sql: str) -> None:
        """Create or replace the relation ``name`` as a view of ``sql``."""
        ...

    def batches(self, sql: str) -> pa.RecordBatchReader:
        """Stream the rows of ``sql`` as Arrow."""
        ...

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a small result."""
        ...

    def load(self, name: str, data: pa.Table | pa.RecordBatchReader) -> None:
        """Create or replace the relation ``name`` with Arrow data."""
        ...

    def columns(self, name: str) -> Mapping[str, str]:
        """Column name -> type (as house-dialect SQL) of a relation.

        Empty when there is no such relation.
        """
        ...

    def close(self) -> None:
        """Release files and connections; safe to call twice."""
        ...


@runtime_checkable
class Destination(Protocol):
    """A vendor that people's properties and list memberships are pushed to.

    All methods may raise :class:`connector.errors.DestinationError`. Pushes are idempotent: the
    same batch twice leaves the vendor as after once. ``push`` is called from several threads at
    once when ``capabilities.workers`` > 1.
    """

    name: str
    """The name in the configuration; also the ledger's key."""

    @property
    def capabilities(self) -> Capabilities:
        """What this destination can do."""
        ...

    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any]) -> Self:
        """Build from the validated options of the configuration, secrets already resolved.

        Raises:
            ConfigError: An option is missing, unknown or impossible.
        """
        ...

    def check(self) -> Sequence[Finding]:
        """Try credentials and scopes without writing anything."""
        ...

    def find_audience(self, name: str, audience_id: str | None) -> Audience | None:
        """The list of that id (or, without one, of that name), or None when the vendor has none."""
        ...

    def ensure_audience(self, name: str) -> Audience:
        """Get the list of that name, or create it."""
        ...

    def push(self, audience: Audience | None, changes: Sequence[Change]) -> Sequence[RecordResult]:
        """Carry out one batch.

        Record changes when ``audience`` is None, else memberships of that list.

        A batch holds one kind, at most ``max_records`` or ``max_members`` changes, and for
        memberships either additions or removals or both. Exactly one result for each change, in any
        order.

        Raises:
            BatchRejectedError: The whole batch is refused and nothing was applied; the engine
                halves it.
            TransientError: Nothing can be said of any change of the batch; the engine books them as
                unknown.
            AuthenticationError, PermanentError: The run stops for this destination.
        """
        ...

    def close(self) -> None:
        """Release connections; safe to call twice."""
        ...


@runtime_checkable
class FindsRecords(Protocol):
    """A destination that tells which people it already knows."""

    def find(self, match_values: Sequence[str]) -> Mapping[str, str]:
        """Match value -> the vendor's record id, for those that exist.

        Any number of values, batched inside.
        """
        ...


@runtime_checkable
class ReadsMembers(Protocol):
    """A destination whose lists can be read back."""

    def members(self, audience: Audience) -> Iterator[str]:
        """Record ids (or, where the vendor has none, match values) of everybody on the list."""
        ...


@runtime_checkable
class DefinesFields(Protocol):
    """A destination where properties must exist before they are written."""

    def ensure_fields(self, fields: Iterable[Field]) -> Sequence[Field]:
        """Create the properties that are missing; returns those created.

        Raises:
            PermanentError: A property exists with a type that cannot hold ours.
        """
        ...


@runtime_checkable
class Flushes(Protocol):
    """A destination that gathers pushes and writes them at the end of a run, such as a file."""

    def flush(self) -> None:
        """Make everything pushed so far visible, atomically."""
        ...
