"""Audiences and properties as CSV files in a folder, for whatever takes a file.

One file for each audience with its present members, and ``properties.csv`` with one row for each
person who has a property: whoever's properties are all cleared is in it no more. Files are
owner-only, sorted, and replaced as a whole, so that a reader sees either the old or the new one.
The files are their own memory: the next run reads them back.

A push must survive a crash before the file is written, or the engine's ledger would say "delivered"
of people who are in no file. So a push appends to a journal beside the file, and ``flush`` folds
journal and file into a new file. A journal that a crash left behind is folded in by the next run.

Cells are safe to open in a spreadsheet: text that a spreadsheet would run as a formula gets an
apostrophe in front, which reading back takes off again. With ``hash`` the address itself is nowhere
in the files; the identifier is the SHA-256 of the normalised address, as ad platforms want it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field as Constraint

from connector.domain import (
    Action,
    Audience,
    Capabilities,
    Change,
    Finding,
    Level,
    Outcome,
    RecordResult,
)
from connector.errors import PermanentError
from destinations.options import Options, read_options
from destinations.values import as_text, set_aside

_PROPERTIES = "properties"
_BATCH = 10_000
_OWNER_ONLY = 0o600
_OWNER_ONLY_FOLDER = 0o700
_FORMULA = re.compile(r"[=+\-@\t\r\n']")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")

Row = dict[str, str]


class Hash(Options):
    """How an identifier becomes a digest."""

    email: Literal["sha256"]
    normalise: Sequence[Literal["trim", "lower"]] = ("trim", "lower")


class CsvOptions(Options):
    """What the configuration may say about a CSV destination."""

    path: str = Constraint(min_length=1)
    match_on: str = Constraint(default="email", pattern=r"^[a-z][a-z0-9_]*$")
    hash: Hash | None = None


class CsvFile:
    """Writes audiences and properties into a folder."""

    def __init__(self, name: str, options: CsvOptions) -> None:
        self.name = name
        self._folder = Path(options.path)
        self._hash = options.hash
        self._match_on = options.match_on
        self._key = f"{options.match_on}_{options.hash.email}" if options.hash else options.match_on
        self._lock = threading.Lock()
        self._tables: dict[str, dict[str, Row]] = {}

    def __repr__(self) -> str:
        return f"CsvFile({self.name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """Everybody can be written to a file; nobody is billed for it."""
        return Capabilities(max_records=_BATCH, max_members=_BATCH, match_on=self._match_on)

    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any]) -> Self:
        """Build from the configuration's options."""
        return cls(name, read_options(CsvOptions, name, options))

    def check(self) -> Sequence[Finding]:
        """Whether the folder can be written to; writes nothing."""
        subject = f"destinations.{self.name}.path"
        nearest = next(
            one for one in (self._folder, *self._folder.absolute().parents) if one.exists()
        )
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            return [
                Finding(Level.ERROR, subject, "Nobody may write there.", "Choose another folder.")
            ]
        return [Finding(Level.OK, subject, "The folder can be written to.")]

    def find_audience(self, name: str, audience_id: str | None) -> Audience | None:
        """The audience's file, when there is one."""
        stem = audience_id or _stem(name)
        if not (self._file(stem).exists() or self._journal(stem).exists()):
            return None
        return Audience(name, stem)

    def ensure_audience(self, name: str) -> Audience:
        """The audience's file, made empty when there is none."""
        found = self.find_audience(name, None)
        if found is not None:
            return found
        stem = _stem(name)
        with self._lock:
            self._write(stem, {})
        return Audience(name, stem, created=True)

    def push(self, audience: Audience | None, changes: Sequence[Change]) -> list[RecordResult]:
        """Book the changes in the journal; ``flush`` makes them visible."""
        stem = _PROPERTIES if audience is None else audience.audience_id
        sendable, answered = set_aside(changes)
        entries = [
            {
                "key": self._identifier(change.match_value),
                "gone": change.action is Action.REMOVE,
                "values": {name: as_text(value) for name, value in change.properties.items()},
            }
            for change in sorted(sendable, key=lambda one: one.change_id)
        ]
        with self._lock:
            if audience is not None and self.find_audience(audience.name, stem) is None:
                raise PermanentError(
                    f"{self.name}: the audience's file does not exist any more.",
                    hint="Plan again: it will be made anew after a look.",
                )
            table = self._table(stem)
            self._append(stem, entries)
            for entry in entries:
                _book(table, entry, stem)
        return answered + [
            RecordResult(
                one.change_id,
                Outcome.DELIVERED,
                self._identifier(one.match_value) if self._hash else None,
            )
            for one in sendable
        ]

    def members(self, audience: Audience) -> Iterator[str]:
        """Identifiers of everybody in the audience: match values, or their digests."""
        with self._lock:
            keys = sorted(self._table(audience.audience_id))
        yield from keys

    def flush(self) -> None:
        """Fold every journal into its file."""
        with self._lock:
            for journal in sorted(self._folder.glob(".*.journal")):
                stem = journal.name[1 : -len(".journal")]
                self._write(stem, self._table(stem))
                journal.unlink()

    def close(self) -> None:
        """Nothing is held open."""

    # -- people

    def _identifier(self, match_value: str) -> str:
        if self._hash is None:
            return match_value
        text = match_value
        for step in self._hash.normalise:
            text = text.strip() if step == "trim" else text.lower()
        return hashlib.sha256(text.encode()).hexdigest()

    # -- files

    def _file(self, stem: str) -> Path:
        return self._folder / f"{stem}.csv"

    def _journal(self, stem: str) -> Path:
        return self._folder / f".{stem}.journal"

    def _table(self, stem: str) -> dict[str, Row]:
        """Everybody in a file and its journal, by identifier."""
        if stem not in self._tables:
            table = self._read(stem)
            if self._journal(stem).exists():
                with self._journal(stem).open(encoding="utf-8") as lines:
                    for entry in filter(None, map(_whole, lines)):
                        _book(table, entry, stem)
            self._tables[stem] = table
        return self._tables[stem]

    def _read(self, stem: str) -> dict[str, Row]:
        if not self._file(stem).exists():
            return {}
        with self._file(stem).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if self._key not in (reader.fieldnames or ()):
                raise PermanentError(
                    f"{self.name}: {stem}.csv has no column {self._key!r}.",
                    hint="The options match_on or hash have changed: move the old files away.",
                )
            rows = [{name: _unescape(cell or "") for name, cell in row.items()} for row in reader]
        table = {row.pop(self._key): row for row in rows}
        if stem != _PROPERTIES:
            return table
        return {key: row for key, row in table.items() if not _is_empty(row)}

    def _append(self, stem: str, entries: Iterable[Mapping[str, object]]) -> None:
        self._folder.mkdir(mode=_OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = os.open(self._journal(stem), flags, _OWNER_ONLY)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            # The break in front ends a line that a crash tore off, so that it spoils none of ours.
            file.write("\n" + "".join(json.dumps(entry) + "\n" for entry in entries))
            file.flush()
            os.fsync(file.fileno())

    def _write(self, stem: str, table: Mapping[str, Row]) -> None:
        self._folder.mkdir(mode=_OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
        columns = sorted({name for row in table.values() for name in row})
        temporary = self._folder / f".{stem}.tmp"
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([self._key, *columns])
            for key in sorted(table):
                row = table[key]
                cells = (key, *(row.get(name, "") for name in columns))
                writer.writerow([_escape(cell) for cell in cells])
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._file(stem))


def _whole(line: str) -> dict[str, Any] | None:
    """A line of a journal, unless a crash tore it off: then its push was never confirmed."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _book(table: dict[str, Row], entry: Mapping[str, Any], stem: str) -> None:
    """Apply one change; a later one for the same person goes on top."""
    key = entry["key"]
    if not entry["gone"]:
        table.setdefault(key, {}).update(entry["values"])
    if entry["gone"] or (stem == _PROPERTIES and _is_empty(table[key])):
        table.pop(key, None)


def _is_empty(row: Row) -> bool:
    """Whether a person has no property left, so that nothing is to be told of them."""
    return not any(row.values())


def _stem(audience_name: str) -> str:
    """A file name for an audience: readable, safe, and its own even if two names read alike."""
    readable = re.sub(r"[^a-z0-9]+", "-", audience_name.lower()).strip("-")[:60]
    return f"{readable or 'audience'}-{hashlib.sha256(audience_name.encode()).hexdigest()[:8]}"


def _escape(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def _unescape(cell: str) -> str:
    return cell.removeprefix("'")
