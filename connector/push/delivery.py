"""The engine's side of a push.

For every batch: write the intent, call the adapter, book the answers. The engine thread owns the
ledger; only the adapter's calls run in worker threads, so at most one batch a worker is in flight
when the process is killed, and the ledger says of exactly those that they are unknown.

A batch that the vendor refuses as a whole is halved (:mod:`connector.push.halving`). When nobody of
it gets through, that proves nothing of its records, least of all of a batch of one. So the batch is
set aside until its stage has ended:

* when another change of the same kind got through, its records were refused for themselves: they
  are booked as rejected, and blocked until they change;
* when a second batch of the same kind fares alike, the cause is not one record: the destination is
  given up, and nobody is booked;
* else nobody can tell. The changes stay unknown, are listed with the vendor's cause, and are sent
  again by the next run. The others go on; but who could not be written to joins no list meanwhile.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connector.domain import (
    Action,
    Audience,
    Change,
    Kind,
    Outcome,
    RecordResult,
    Stage,
)
from connector.errors import AdapterError, DestinationError, LiftlineError, TransientError
from connector.ports import Destination, Flushes
from connector.push.halving import UnprovenError, deliver, systemic, unproven
from connector.push.report import DestinationReport, Issue
from connector.state.ledger import Begun, Intent, Ledger

if TYPE_CHECKING:
    from connector.state.database import State

MAX_TRANSIENT_BATCHES = 3
"""Batches in a row that may fail for lack of a vendor before the destination is given up for this
run.
"""

_NOT_SENT = {
    "moved": "the ledger has moved since the plan was made",
    "permission": "may no longer be contacted",
}


class DestinationPush:
    """The push of one plan into one destination, stage by stage."""

    def __init__(
        self,
        destination: Destination,
        state: State,
        *,
        no_longer_permitted: Collection[str] = (),
        progress: Callable[[int], None] = lambda n: None,
    ) -> None:
        """Prepare a push.

        Args:
            destination: The adapter.
            state: Holds the ledger.
            no_longer_permitted: Profile ids that lost consent or were excluded since the plan was
                made; nothing is added or updated for them.
            progress: Called with the number of changes just settled.
        """
        self._destination = destination
        self._ledger = Ledger(state, destination.name)
        self._barred = frozenset(no_longer_permitted)
        self._progress = progress
        self._transient_in_a_row = 0
        self._got_through: set[_Scope] = set()
        self._set_aside: dict[_Scope, _SetAside] = {}
        self._unwritten: set[str] = set()
        self.report = DestinationReport(destination.name)

    def run(
        self,
        batches: Iterator[list[dict[str, Any]]],
        *,
        stage: Stage,
        audiences: Mapping[str, Audience],
        is_repeated: bool = False,
    ) -> None:
        """Send one stage; afterwards :attr:`report` holds the answers.

        Args:
            batches: Rows of the plan's table, each batch of one kind, list and action.
            stage: The stage, for which leaving is exempt from the permission check.
            audiences: List name -> list, for every list that the batches name.
            is_repeated: The stage was carried out before, while the plan was held: what has moved
                since is done and no news.
        """
        workers = max(1, self._destination.capabilities.workers)
        in_flight: dict[Future[list[RecordResult]], tuple[Begun, Audience | None]] = {}
        with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="push") as pool:
            try:
                for rows in batches:
                    while len(in_flight) >= workers:
                        self._collect(in_flight)
                    if self.report.error is not None:
                        self.report.n_unsent += len(rows)
                        continue
                    name = rows[0]["audience"]
                    audience = None if name is None else audiences.get(name)
                    if name is not None and audience is None:
                        self._pass_over(rows)  # the list was found deleted since the plan was made
                        continue
                    begun = self._begin(rows, audience, stage, is_repeated=is_repeated)
                    if begun.accepted:
                        future = pool.submit(self._deliver, audience, begun.accepted)
                        in_flight[future] = (begun, audience)
            finally:
                # Whatever stops us, what is on its way is waited for, so its answers count.
                while in_flight:
                    self._collect(in_flight)
                self._decide()

    @property
    def destination(self) -> Destination:
        """The adapter that is pushed to."""
        return self._destination

    def flush(self) -> None:
        """Let a destination that gathers its output write it, even after an error.

        What the ledger calls delivered must not wait in a journal.
        """
        if isinstance(self._destination, Flushes):
            with self.guarded():
                self._destination.flush()

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Give the destination up when its adapter raises anything; the others go on."""
        try:
            yield
        except DestinationError as error:
            self.report.error = self.report.error or error
        except LiftlineError as error:
            wrapped = AdapterError(error.message, hint=error.hint)
            self.report.error = self.report.error or wrapped
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything
            self.report.error = self.report.error or _unexpected(self._destination.name, error)

    # ------------------------------------------------------------------ before a request
    def _pass_over(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self._issue(_intent(row, {}), None, "skipped", "moved", _NOT_SENT["moved"])

    def _begin(
        self,
        rows: Sequence[Mapping[str, Any]],
        audience: Audience | None,
        stage: Stage,
        *,
        is_repeated: bool,
    ) -> Begun:
        leaving = stage <= Stage.LEAVE
        intents = []
        unknown = [row["match_key"] for row in rows if row["record_id"] is None]
        learned = self._ledger.record_ids(unknown) if unknown else {}
        waits_for_record = (
            audience is not None and self._destination.capabilities.needs_record_id and not leaving
        )
        for row in rows:
            intent = _intent(row, learned)
            if not leaving and intent.change.profile_id in self._barred:
                self._issue(intent, audience, "skipped", "permission", _NOT_SENT["permission"])
            elif (waits_for_record and intent.change.record_id is None) or (
                audience is not None and not leaving and intent.change.profile_id in self._unwritten
            ):
                self._issue(
                    intent,
                    audience,
                    "skipped",
                    "NO_RECORD",
                    "its record could not be written first",
                )
            else:
                intents.append(intent)
        audience_id = None if audience is None else audience.audience_id
        begun = self._ledger.begin(intents, audience_id=audience_id)
        for intent in () if is_repeated else begun.moved:
            self._issue(intent, audience, "skipped", "moved", _NOT_SENT["moved"])
        return begun

    # ------------------------------------------------------------------ the request, in a worker
    # thread
    def _deliver(self, audience: Audience | None, intents: Sequence[Intent]) -> list[RecordResult]:
        changes = [intent.change for intent in intents]
        results = deliver(functools.partial(self._destination.push, audience), changes)
        answered = Counter(result.change_id for result in results)
        asked = {change.change_id for change in changes}
        if set(answered) != asked or any(n != 1 for n in answered.values()):
            raise _IncompleteAnswerError(
                f"the adapter of {self._destination.name} answered {len(answered):,} of"
                f" {len(asked):,} changes"
                f" ({sum(n > 1 for n in answered.values())} of them more than once).",
                [r for r in results if r.change_id in asked and answered[r.change_id] == 1],
            )
        return results

    # ------------------------------------------------------------------ after a request
    def _collect(
        self, in_flight: dict[Future[list[RecordResult]], tuple[Begun, Audience | None]]
    ) -> None:
        done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
        for future in done:
            begun, audience = in_flight.pop(future)
            results: list[RecordResult] = []
            try:
                results = future.result()
                self._transient_in_a_row = 0
            except UnprovenError as error:
                self._doubt(begun, audience, error)
                continue
            except _IncompleteAnswerError as error:
                results = error.results
                self.report.error = error
            except TransientError as error:
                self._transient_in_a_row += 1
                self.report.unanswered = error
                if self._transient_in_a_row >= MAX_TRANSIENT_BATCHES or error.retry_after_s:
                    self.report.error = error
            except DestinationError as error:
                self.report.error = error
            except Exception as error:  # noqa: BLE001 - an adapter may raise anything; its batch stays unknown
                self.report.error = _unexpected(self._destination.name, error)
            self._book(begun, audience, results)

    def _doubt(self, begun: Begun, audience: Audience | None, found: UnprovenError) -> None:
        """Set a batch aside of which nobody got through; a second one of its kind is too many."""
        self._transient_in_a_row = 0
        scope = _scope(begun, audience)
        is_refused = any(one.outcome is Outcome.REJECTED for one in found.results)
        if scope in self._got_through or not is_refused:
            self._book(begun, audience, found.results)
        elif scope in self._set_aside:
            self.report.error = self.report.error or systemic(found.refusal, len(begun.accepted))
            self._book(begun, audience, _unsettled(found.results))
        else:
            self._set_aside[scope] = _SetAside(begun, audience, found)

    def _decide(self) -> None:
        """At the end of a stage, settle what was set aside."""
        for scope, aside in self._set_aside.items():
            results = aside.found.results
            if scope not in self._got_through:
                results = _unsettled(results)
                n_refused = sum(one.outcome is Outcome.DEFERRED for one in results)
                self.report.unanswered = unproven(aside.found.refusal, n_refused)
                if aside.audience is None:
                    self._unwritten.update(i.change.profile_id for i in aside.begun.accepted)
            self._book(aside.begun, aside.audience, results)
        self._set_aside.clear()
        self._got_through.clear()

    def _book(
        self, begun: Begun, audience: Audience | None, results: Sequence[RecordResult]
    ) -> None:
        audience_id = None if audience is None else audience.audience_id
        if any(result.outcome is Outcome.DELIVERED for result in results):
            self._got_through.add(_scope(begun, audience))
        self._ledger.settle(begun, results, audience_id=audience_id)
        by_id = {result.change_id: result for result in results}
        for intent in begun.accepted:
            change = intent.change
            result = by_id.get(change.change_id)
            outcome = Outcome.DEFERRED if result is None else result.outcome
            self.report.outcomes[change.kind, _action(intent), outcome] += 1
            if result is not None and outcome is not Outcome.DELIVERED:
                self._issue(intent, audience, outcome, result.code, result.message, counted=True)
        self._progress(len(begun.accepted))

    def _issue(
        self,
        intent: Intent,
        audience: Audience | None,
        outcome: str,
        code: str,
        message: str,
        *,
        counted: bool = False,
    ) -> None:
        change = intent.change
        if not counted:
            self.report.outcomes[change.kind, _action(intent), outcome] += 1
            self._progress(1)
        self.report.issues.append(
            Issue(
                destination=self._destination.name,
                kind=change.kind,
                action=change.action,
                audience=None if audience is None else audience.name,
                profile_id=change.profile_id,
                outcome=outcome,
                code=code,
                message=message,
            )
        )


_Scope = tuple[Kind, str, Action]
"""Changes of one kind, list and action: what gets one of them through gets the others through."""


@dataclass(frozen=True, slots=True)
class _SetAside:
    """A batch of which nobody got through."""

    begun: Begun
    audience: Audience | None
    found: UnprovenError


def _scope(begun: Begun, audience: Audience | None) -> _Scope:
    change = begun.accepted[0].change
    return change.kind, "" if audience is None else audience.audience_id, change.action


def _unsettled(results: Sequence[RecordResult]) -> list[RecordResult]:
    """The same results, the rejections as what they are: unproven."""
    return [
        dataclasses.replace(one, outcome=Outcome.DEFERRED)
        if one.outcome is Outcome.REJECTED
        else one
        for one in results
    ]


class _IncompleteAnswerError(AdapterError):
    """The adapter did not answer for every change; carries what it did answer."""

    def __init__(self, message: str, results: list[RecordResult]) -> None:
        super().__init__(
            message, hint="The others stay unknown and are sent again by the next run."
        )
        self.results = results


def _unexpected(name: str, error: Exception) -> AdapterError:
    """Of an exception that no adapter should raise, the class alone: texts may quote payloads."""
    return AdapterError(
        f"the adapter of {name} raised {type(error).__name__}.",
        hint="What was not confirmed is sent again by the next run; report the adapter.",
    )


def _action(intent: Intent) -> str:
    """Clearing properties is an update to the vendor and a leave to people."""
    if intent.change.kind is Kind.RECORD and intent.leaves:
        return "clear"
    return intent.change.action.value


def _intent(row: Mapping[str, Any], learned: Mapping[str, str]) -> Intent:
    return Intent(
        change=Change(
            change_id=row["change_id"],
            kind=Kind(row["kind"]),
            action=Action(row["action"]),
            profile_id=row["profile_id"],
            match_value=row["match_value"],
            record_id=row["record_id"] or learned.get(row["match_key"]),
            properties=json.loads(row["properties"]),
        ),
        match_key=row["match_key"],
        fingerprint=row["fingerprint"],
        fields=tuple(json.loads(row["fields"])),
        claims=row["claims"] or "",
        expected_version=row["expected_version"],
        reason=row["reason"],
    )
