"""What the operations on contacts share: reading requests, finding, refusing, showing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .answers import (
    Answer,
    Json,
    RefusalError,
    bad_request,
    conflict,
    duplicate_ids,
    error_body,
    invalid_properties,
    not_found,
    object_of,
)
from .faults import Knobs
from .fields import find_problems
from .portal import Contact, Portal

BATCH_LIMIT = 100
DEFAULT_READ = ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname")
ALWAYS_READ = ("createdate", "hs_object_id", "lastmodifieddate")
CREATED = (
    "hs_all_contact_vids",
    "hs_email_domain",
    "hs_object_id",
    "createdate",
    "lastmodifieddate",
)
CONSTANTS = {
    "hs_is_contact": "true",
    "hs_is_unworked": "true",
    "hs_pipeline": "contacts-lifecycle-pipeline",
}
LAST_MULTI_STATUS = "2026-03"
Values = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Desk:
    """What every operation on contacts works on."""

    portal: Portal
    knobs: Knobs
    version: str


def inputs_of(body: object) -> list[Json]:
    """The inputs of a batch request, checked for shape and number."""
    inputs = object_of(body).get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(each, dict) for each in inputs):
        raise bad_request("Invalid input JSON: some required fields were not set: [inputs]")
    if len(inputs) > BATCH_LIMIT:
        raise bad_request(
            f"The maximum number of inputs supported in a batch request is {BATCH_LIMIT}. "
            f"Received {len(inputs)}."
        )
    return inputs


def values_of(entry: Mapping[str, Any]) -> Values:
    """The properties of one input: text or null only, the e-mail in lower case."""
    values = entry.get("properties", {})
    if not isinstance(values, dict):
        raise bad_request("Invalid input JSON: properties must be an object")
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise bad_request(
                "Invalid input JSON on line 1, column 1: Cannot deserialize value of type "
                f"`java.lang.String` from {type(value).__name__} (property {name})"
            )
    email = values.get("email")
    if isinstance(email, str):
        return {**values, "email": email.strip().lower()}
    return values


def id_of(entry: Mapping[str, Any]) -> str:
    """The id of one input."""
    found = entry.get("id")
    if not isinstance(found, str | int) or isinstance(found, bool) or found == "":
        raise bad_request("Invalid input JSON: some required fields were not set: [id]")
    return str(found).strip()


def show(contact: Contact, names: Sequence[str], portal: Portal) -> Json:
    """A record as an answer shows it; names that do not exist are silently left out."""
    shown = {name: contact.read(name) for name in names if name in portal.properties}
    return _record(contact, shown)


def find(portal: Portal, by: str, key: str) -> Contact | None:
    """The contact that the key names under that property, or None."""
    if by == "email":
        return portal.find_email(key)
    if by == "hs_object_id":
        return portal.contacts.get(int(key)) if key.isdecimal() else None
    if by not in portal.by_unique:
        raise bad_request(f"Unable to identify records by non-unique 0-1 property {by}")
    record_id = portal.by_unique[by].get(key)
    return None if record_id is None else portal.contacts[record_id]


def find_one(desk: Desk, key: str, query: Mapping[str, str]) -> Contact:
    """The contact of a single-record call; 404 when there is none."""
    by = query.get("idProperty") or "hs_object_id"
    contact = find(desk.portal, by, key.lower() if by == "email" else key)
    if contact is None:
        raise not_found()
    return contact


def asked_names(query: Mapping[str, str]) -> list[str] | None:
    """The ``properties`` of a query string."""
    return query["properties"].split(",") if query.get("properties") else None


def names_to_read(asked: Sequence[str] | None) -> list[str]:
    """What a read shows: what was asked for, or the default, and what is always there."""
    return list(dict.fromkeys([*(asked or DEFAULT_READ), *ALWAYS_READ]))


def fault_names(key: str, contact: Contact | None, values: Values) -> tuple[str, ...]:
    """Everything that a record fault may name this record by."""
    email = contact.values.get("email", "") if contact else ""
    return (key, str(contact.record_id) if contact else "", email, values.get("email") or "")


def refuse_duplicates(keys: Sequence[str]) -> None:
    """Refuse a batch that names one record twice."""
    twice = [key for key, n in Counter(keys).items() if n > 1]
    if twice:
        raise duplicate_ids(twice)


def refuse_poison(desk: Desk, records: Sequence[tuple[str, ...]]) -> None:
    """Refuse the whole batch when one of its records is poisoned."""
    for names in records:
        problem = desk.knobs.records.poison_in(*names)
        if problem is not None:
            raise RefusalError(Answer(400, invalid_properties([problem])))


def reason_not_to_create(desk: Desk, values: Values, taken: set[str]) -> Answer | None:
    """Why this record cannot be created, or None."""
    email = values.get("email") or ""
    problems = find_problems(values, desk.portal.properties)
    rejection = desk.knobs.records.rejection_of(email)
    if rejection is not None:
        problems.append(rejection)
    if problems:
        return Answer(400, invalid_properties(problems))
    if email in desk.portal.blocked:
        return _blocked()
    existing = desk.portal.find_email(email) if email else None
    if existing is not None:
        return Answer(409, conflict(existing.record_id))
    if email and email in taken:
        return Answer(409, error_body("Contact already exists.", "CONFLICT"))
    return _unique_conflict(desk.portal, values, None)


def check_values(portal: Portal, values: Values, contact: Contact | None) -> None:
    """Refuse values that cannot be held, or that belong to another contact."""
    problems = find_problems(values, portal.properties)
    if problems:
        raise RefusalError(Answer(400, invalid_properties(problems)))
    email = values.get("email") or ""
    if email in portal.blocked:
        raise RefusalError(_blocked())
    owner = portal.find_email(email) if email else None
    if owner is not None and owner is not contact:
        raise RefusalError(Answer(409, conflict(owner.record_id)))
    refused = _unique_conflict(portal, values, contact)
    if refused is not None:
        raise RefusalError(refused)


def _blocked() -> Answer:
    message = "The email address is on the blocklist of GDPR deleted contacts."
    return Answer(400, error_body(message, "VALIDATION_ERROR", sub_category="GDPR_BLOCKLISTED"))


def _unique_conflict(portal: Portal, values: Values, contact: Contact | None) -> Answer | None:
    own = contact.record_id if contact else None
    for name, index in portal.by_unique.items():
        owner = index.get(values.get(name) or "")
        if owner is not None and owner != own:
            return Answer(409, conflict(owner))
    return None


def would_be_partial(portal: Portal, contact: Contact, values: Values) -> bool:
    """Whether a write would leave out a value that the contact has."""
    return any(
        text and name not in values and not portal.properties[name].read_only
        for name, text in contact.values.items()
    )


def write(portal: Portal, contact: Contact, values: Values, now: str) -> None:
    """Apply one write to one contact."""
    portal.remember(contact)
    portal.set_values(contact, values)
    contact.updated_at = now
    contact.writes += 1


def _record(contact: Contact, shown: Mapping[str, str | None]) -> Json:
    return {
        "id": str(contact.record_id),
        "properties": dict(shown),
        "createdAt": contact.created_at,
        "updatedAt": contact.updated_at,
        "archived": contact.archived,
    }


def show_created(contact: Contact, values: Values) -> Json:
    """A record as the answer to its creation shows it: what was written or computed."""
    computed = {name: contact.read(name) for name in CREATED}
    shown = {**values, **CONSTANTS, **computed}
    return _record(contact, {name: text for name, text in shown.items() if text is not None})


def show_updated(contact: Contact, values: Values) -> Json:
    """A record as the answer to an update shows it: what was written, and what that changed."""
    shown = {**values, "lastmodifieddate": contact.updated_at}
    if "email" in values:
        shown["hs_email_domain"] = contact.read("hs_email_domain")
    return _record(contact, shown)


def batch_answer(
    desk: Desk,
    started: str,
    results: list[Json],
    errors: list[Json],
    *,
    success: int,
    partial: int | None,
) -> Answer:
    """The envelope of a batch. Order is HubSpot's own: here, scattered by id."""
    results.sort(key=lambda record: int(record["id"]) * 2654435761 % 4294967296)
    body: Json = {"status": "COMPLETE", "results": results}
    if not results and desk.knobs.omit_empty:
        del body["results"]
    if errors:
        if desk.knobs.omit_empty:
            errors = [{k: v for k, v in each.items() if v not in ([], {})} for each in errors]
        body |= {"numErrors": len(errors), "errors": errors}
        dated = 200 if desk.version not in {"v3", LAST_MULTI_STATUS} else 207
        success = partial or dated
    body |= {"startedAt": started, "completedAt": desk.portal.now()}
    return Answer(success, body)
