"""Contact properties: a batch of record changes to requests, answers to results.

HubSpot has no partial upsert by e-mail, so a batch is: read the record ids that we do not know by
e-mail (one call), update by record id (one call), create the rest with a trace id each (one call,
only where ``create_missing`` allows it). In the steady state every record id is known and a batch
is exactly one call.

Two changes may turn out to be one contact: a repeated change, or two addresses of one person, since
HubSpot matches additional e-mails too. HubSpot refuses a batch that names a record twice, so they
are folded into one write, later change ids last; a change whose values lost is rejected, because
calling it delivered would be untrue and writing both in turn would never come to rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from connector.domain import Action, Change, Outcome, RecordResult
from connector.errors import PermanentError, TransientError
from destinations.http import machine_word
from destinations.hubspot.answers import (
    CONFLICT,
    NOT_FOUND,
    Answer,
    Json,
    RefusedError,
    Verdict,
    absent_properties,
    context_values,
    missing,
    refusal,
    verdict_of,
)
from destinations.hubspot.client import Api
from destinations.hubspot.properties import MATCH_PROPERTY, objection
from destinations.limits import HUBSPOT_OBJECT_BATCH
from destinations.values import as_text, set_aside

_ADDRESSES = (MATCH_PROPERTY, "hs_additional_emails")
_BATCH = HUBSPOT_OBJECT_BATCH.value
_SYSTEMIC_FROM = 10
"""So many new contacts refused alike, and none taken, are not so many bad records."""

Values = Mapping[str, str]
KeyT = TypeVar("KeyT", bound=str)


def normalised(match_value: str) -> str:
    """An e-mail as HubSpot keeps it: lower case, no outer spaces."""
    return match_value.strip().lower()


def result_of(change: Change, verdict: Verdict) -> RecordResult:
    """The answer to one change."""
    return RecordResult(
        change.change_id, verdict.outcome, verdict.record_id, verdict.code, verdict.message
    )


def isolate(
    write: Callable[[Mapping[str, Values]], dict[str, Verdict]], wanted: Mapping[str, Values]
) -> dict[str, Verdict]:
    """Write, and when the whole is refused, halve until the culprits stand alone.

    The engine halves batches too; this is for a batch of which a part is already applied, when
    "nothing was applied" would be untrue.
    """
    try:
        return write(wanted)
    except RefusedError as error:
        if len(wanted) == 1:
            (only,) = wanted
            return {only: rejected(error)}
    keys = list(wanted)
    middle = len(keys) // 2
    first = isolate(write, {key: wanted[key] for key in keys[:middle]})
    return first | isolate(write, {key: wanted[key] for key in keys[middle:]})


def rejected(error: RefusedError) -> Verdict:
    """The verdict on a record that stands alone in a refused batch."""
    outcome = Outcome.MISSING if error.code == NOT_FOUND else Outcome.REJECTED
    return Verdict(outcome, code=error.code, message=f"HubSpot refuses it ({error.code}).")


class Records:
    """Finds and writes contacts."""

    def __init__(self, name: str, api: Callable[[], Api], *, creates: bool, workers: int) -> None:
        self._name = name
        self._api = api
        self._creates = creates
        self._workers = workers

    # -- finding

    def find(self, match_values: Sequence[str]) -> dict[str, str]:
        """Match value -> record id, for those that exist."""
        wanted = list(dict.fromkeys(normalised(value) for value in match_values))
        batches = [wanted[n : n + _BATCH] for n in range(0, len(wanted), _BATCH)]
        ids: dict[str, str] = {}
        if len(batches) < 2 or self._workers < 2:
            for batch in batches:
                ids |= self._find_batch(batch)
        else:
            with ThreadPoolExecutor(self._workers) as pool:
                for found in pool.map(self._find_batch, batches):
                    ids |= found
        return {value: ids[normalised(value)] for value in match_values if normalised(value) in ids}

    def _find_batch(self, emails: Sequence[str]) -> dict[str, str]:
        refused: list[Answer] = []
        found = self._look_up(emails, refused)
        if len(refused) == len(emails) > 1:
            # Nobody got through, so no address is to blame; "not there" would be untrue of all.
            raise refusal(self._name, "to look contacts up", refused[0])
        return found

    def _look_up(self, emails: Sequence[str], refused: list[Answer]) -> dict[str, str]:
        """Read by e-mail, halving a refused batch; ``refused`` gathers what stood alone."""
        answer = self._api().read_contacts(
            emails, id_property=MATCH_PROPERTY, properties=_ADDRESSES
        )
        if answer.status == 400:
            if len(emails) == 1:
                refused.append(answer)  # HubSpot will not even look for such an address
                return {}
            middle = len(emails) // 2
            first = self._look_up(emails[:middle], refused)
            return first | self._look_up(emails[middle:], refused)
        if not answer.ok:
            raise refusal(self._name, "to look contacts up", answer)
        self._insist_on_not_found(answer)
        found: dict[str, str] = {}
        for record in answer.results:
            for address in _addresses(record):
                found.setdefault(address, str(record["id"]))
        return {email: found[email] for email in emails if email in found}

    def _existing(self, record_ids: Iterable[str]) -> set[str]:
        answer = self._api().read_contacts(
            list(record_ids), id_property=None, properties=[MATCH_PROPERTY]
        )
        if not answer.ok:
            return set(record_ids)
        self._insist_on_not_found(answer)
        return {str(record["id"]) for record in answer.results}

    def _insist_on_not_found(self, answer: Answer) -> None:
        """Absence from an answer means absence at HubSpot only if nothing else went wrong."""
        for error in answer.errors:
            category = machine_word(error.get("category"))
            if category != NOT_FOUND:
                raise TransientError(
                    f"{self._name}: HubSpot could not read some contacts ({category}).",
                    hint="Run again later.",
                    status=answer.status,
                    request_id=answer.request_id,
                    applied=False,
                )

    # -- writing

    def push(self, changes: Sequence[Change]) -> list[RecordResult]:
        """One result for each record change; at most 100 changes."""
        self._refuse_protected(changes)
        sendable, answered = set_aside(changes)
        results = {one.change_id: one for one in answered}
        values: dict[int, Values] = {
            change.change_id: {name: as_text(value) for name, value in change.properties.items()}
            for change in sendable
        }
        ids = self.find([one.match_value for one in sendable if one.record_id is None])
        known: dict[str, list[Change]] = {}
        unknown: dict[str, list[Change]] = {}
        for change in sorted(sendable, key=lambda one: one.change_id):
            record_id = change.record_id or ids.get(change.match_value)
            if record_id is not None:
                known.setdefault(record_id, []).append(change)
            else:
                unknown.setdefault(normalised(change.match_value), []).append(change)

        updates = {key: _fold(group, values) for key, group in known.items()}
        creations = {
            key: _fold(group, values) for key, group in unknown.items() if self._may_create(group)
        }
        verdicts = self._write(updates, creations)
        for key, group in (known | unknown).items():
            written = updates.get(key) or creations.get(key) or {}
            verdict = verdicts.get(key) or _absent(group)
            for change in group:
                results[change.change_id] = result_of(
                    change, _own(verdict, values[change.change_id], written)
                )
        return [results[change.change_id] for change in changes]

    def _write(
        self, updates: Mapping[str, Values], creations: Mapping[str, Values]
    ) -> dict[str, Verdict]:
        try:
            verdicts = self._update(updates)
            if not creations:
                return verdicts
            if updates:
                return verdicts | self._create_apart(creations)
            return self._create(creations)
        except RefusedError as error:
            if len(updates) + len(creations) > 1:
                raise
            return {key: rejected(error) for key in (*updates, *creations)}

    def _create_apart(self, creations: Mapping[str, Values]) -> dict[str, Verdict]:
        """Create when the batch's updates are applied already.

        Raises:
            PermanentError: None of many gets through: a rule of the account, nobody's own fault.
        """
        verdicts = isolate(self._create, creations)
        codes = {one.code for one in verdicts.values() if one.outcome is Outcome.REJECTED}
        refused = all(one.outcome is Outcome.REJECTED for one in verdicts.values())
        if refused and len(codes) == 1 and len(verdicts) >= _SYSTEMIC_FROM:
            raise PermanentError(
                f"{self._name}: HubSpot refuses every one of {len(verdicts)} new contacts"
                f" ({codes.pop()}).",
                hint="Check the account's validation rules and required properties.",
            )
        return verdicts

    def _refuse_protected(self, changes: Sequence[Change]) -> None:
        for name in sorted({name for change in changes for name in change.properties}):
            reason = objection(name)
            if reason:
                raise PermanentError(
                    f"{self._name}: the property {name!r} {reason}.", hint="Map another property."
                )

    def _may_create(self, group: Sequence[Change]) -> bool:
        """Only an addition creates: an update speaks of a contact that somebody has deleted."""
        return self._creates and any(change.action is Action.ADD for change in group)

    def _update(self, wanted: Mapping[str, Values]) -> dict[str, Verdict]:
        """Write by record id; a record without values to write is left alone."""
        verdicts = {
            key: Verdict(Outcome.DELIVERED, key) for key, values in wanted.items() if not values
        }
        wanted = {key: values for key, values in wanted.items() if values}
        if not wanted:
            return verdicts
        answer = self._api().update_contacts(wanted)
        absent = set() if answer.ok else absent_properties(answer)
        if absent and not any(values.get(key) for values in wanted.values() for key in absent):
            # Somebody deleted the property, so there is nothing left of it to clear.
            return verdicts | self._update(
                {
                    key: {name: value for name, value in values.items() if name not in absent}
                    for key, values in wanted.items()
                }
            )
        if not answer.ok:
            raise refusal(self._name, "a batch of contact updates", answer)
        for record in answer.results:
            record_id = str(record.get("id"))
            if record_id in wanted:
                verdicts[record_id] = Verdict(Outcome.DELIVERED, record_id)
        loose: list[Verdict] = []
        for error in answer.errors:
            named = [one for one in context_values(error, "ids") if one in wanted]
            verdict = verdict_of(self._name, error, answer)
            verdicts |= dict.fromkeys(named, verdict)
            if not named:
                loose.append(verdict)
        silent = [key for key in wanted if key not in verdicts]
        if silent and not loose:
            # HubSpot leaves out ids that it does not know (deleted, merged) and says nothing.
            there = self._existing(silent)
            return verdicts | {key: _unanswered() if key in there else missing() for key in silent}
        return verdicts | _spread(loose, silent)

    def _create(self, wanted: Mapping[str, Values]) -> dict[str, Verdict]:
        """Create contacts by e-mail; whoever turns out to exist is updated instead."""
        answer = self._create_call(wanted)
        if answer.status == 409:
            return self._after_conflict(wanted)
        if not answer.ok:
            raise refusal(self._name, "a batch of new contacts", answer)
        emails = list(wanted)
        verdicts: dict[str, Verdict] = {}
        for record in answer.results:
            for email in _traced(record.get("objectWriteTraceId"), emails) or _addresses(record):
                if email in wanted:
                    verdicts[email] = Verdict(Outcome.DELIVERED, str(record["id"]))
        again: dict[str, Values] = {}
        for error in answer.errors:
            traced = [
                email
                for trace in context_values(error, "objectWriteTraceId")
                for email in _traced(trace, emails)
            ]
            if machine_word(error.get("category")) == CONFLICT:
                again |= {email: wanted[email] for email in traced}
            else:
                verdicts |= dict.fromkeys(traced, verdict_of(self._name, error, answer))
        again |= {key: wanted[key] for key in emails if key not in verdicts}
        return verdicts | (self._update_found(again) if again else {})

    def _create_call(self, wanted: Mapping[str, Values]) -> Answer:
        return self._api().create_contacts(
            {
                str(n): {**{k: v for k, v in values.items() if v}, MATCH_PROPERTY: email}
                for n, (email, values) in enumerate(wanted.items())
            }
        )

    def _after_conflict(self, wanted: Mapping[str, Values]) -> dict[str, Verdict]:
        """Somebody created some of them meanwhile, and HubSpot refused all."""
        verdicts = self._update_found(wanted)
        rest = {key: wanted[key] for key, one in verdicts.items() if one.code == CONFLICT}
        if not rest or len(rest) == len(wanted) == 1:
            return verdicts
        if len(rest) < len(wanted):
            return verdicts | isolate(self._create, rest)
        # Nobody could be found, so the culprit is unknown: halve.
        keys = list(rest)
        middle = len(keys) // 2
        first = self._create({key: rest[key] for key in keys[:middle]})
        return first | isolate(self._create, {key: rest[key] for key in keys[middle:]})

    def _update_found(self, wanted: Mapping[str, Values]) -> dict[str, Verdict]:
        """Update those that exist by now; the others are answered with ``CONFLICT``."""
        ids = self.find(list(wanted))
        by_id = {record_id: wanted[email] for email, record_id in ids.items()}
        verdicts = isolate(self._update, by_id) if by_id else {}
        unresolved = Verdict(
            Outcome.DEFERRED,
            code=CONFLICT,
            message="HubSpot says that the contact exists but does not show it yet.",
        )
        return {email: verdicts[ids[email]] if email in ids else unresolved for email in wanted}


def _fold(group: Sequence[Change], values: Mapping[int, Values]) -> dict[str, str]:
    """One write for all changes of one contact; ``group`` is in order of change ids."""
    folded: dict[str, str] = {}
    for change in group:
        folded |= values[change.change_id]
    return folded


def _own(verdict: Verdict, values: Values, written: Values) -> Verdict:
    """The verdict on one change of a contact: delivered only if its own values were written."""
    delivered = verdict.outcome is Outcome.DELIVERED
    if delivered and any(written.get(name, value) != value for name, value in values.items()):
        return Verdict(
            Outcome.REJECTED,
            verdict.record_id,
            "DUPLICATE_RECORD",
            "Another change of the same batch is about the same HubSpot contact.",
        )
    return verdict


def _absent(group: Sequence[Change]) -> Verdict:
    """The verdict on a contact that HubSpot does not have and that we did not create."""
    if all(change.action is Action.REMOVE for change in group):
        return Verdict(Outcome.DELIVERED)
    return missing()


def _unanswered() -> Verdict:
    return Verdict(
        Outcome.DEFERRED, code="NO_ANSWER", message="HubSpot's answer does not mention it."
    )


def _spread(loose: Sequence[Verdict], silent: Sequence[str]) -> dict[str, Verdict]:
    """Verdicts on records that errors without ids must be about; certain only if they all agree."""
    if len(loose) == len(silent) and len(set(loose)) == 1:
        return dict.fromkeys(silent, loose[0])
    return dict.fromkeys(silent, _unanswered())


def _traced(trace: object, emails: Sequence[str]) -> list[str]:
    """The e-mail that a trace id stands for."""
    text = str(trace)
    return [emails[int(text)]] if text.isdigit() and int(text) < len(emails) else []


def _addresses(record: Json) -> list[str]:
    """All e-mails of a contact, as HubSpot keeps them."""
    values = record.get("properties") or {}
    found = [str(values.get(MATCH_PROPERTY) or "")]
    found += str(values.get("hs_additional_emails") or "").split(";")
    return [normalised(one) for one in found if one.strip()]
