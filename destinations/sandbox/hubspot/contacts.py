"""What HubSpot does with contacts: batches of up to 100, one at a time, archive and GDPR deletion.

The rules that clients trip over, all modelled: one bad value or one conflict refuses a whole batch;
only a create with an ``objectWriteTraceId`` on every input answers record by record (207); records
that do not exist are an ``errors`` entry of an answer that is otherwise a success (207 up to
2026-03, plain 200 from 2026-09); answers come in no particular order; an address matches a contact
also when it is only one of its additional ones.

The documented "Partial upserts are not supported when using email as the idProperty" is read as: an
upsert by e-mail that would leave out a value which the contact already has is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from .answers import (
    Answer,
    Json,
    RefusalError,
    bad_request,
    invalid_properties,
    missing_records,
    not_found,
    object_of,
    record_error,
)
from .portal import Contact
from .records import (
    CONSTANTS,
    Desk,
    asked_names,
    batch_answer,
    check_values,
    fault_names,
    find,
    find_one,
    id_of,
    inputs_of,
    names_to_read,
    reason_not_to_create,
    refuse_duplicates,
    refuse_poison,
    show,
    show_created,
    show_updated,
    values_of,
    would_be_partial,
    write,
)

PARTIAL_UPSERT = (
    "Partial upserts are not supported when using email as the idProperty for contacts. "
    "Use a custom unique identifier property instead."
)


def create_batch(desk: Desk, body: object) -> Answer:
    """POST batch/create."""
    inputs = inputs_of(body)
    entries = [(entry.get("objectWriteTraceId"), values_of(entry)) for entry in inputs]
    refuse_poison(desk, [(values.get("email") or "",) for _, values in entries])
    traces = [trace for trace, _ in entries if isinstance(trace, str) and trace]
    multi_status = bool(entries) and len(traces) == len(entries)
    if len(set(traces)) != len(traces):
        raise bad_request("objectWriteTraceId must be unique within a batch")
    verdicts, taken = [], set[str]()
    for _, values in entries:
        refused = reason_not_to_create(desk, values, taken)
        if refused is not None and not multi_status:
            raise RefusalError(refused)
        verdicts.append(refused)
        if refused is None and values.get("email"):
            taken.add(values["email"] or "")
    now, results, errors = desk.portal.now(), [], []
    for (trace, values), refused in zip(entries, verdicts, strict=True):
        if refused is not None:
            context = {"objectWriteTraceId": [str(trace)]}
            errors.append(record_error(refused.body or {}, context))
            continue
        contact = desk.portal.add_contact(values | CONSTANTS, now=now)
        contact.writes = 1
        shown = show_created(contact, values)
        if trace:
            shown["objectWriteTraceId"] = trace
        if not desk.knobs.records.swallows(values.get("email") or "", str(contact.record_id)):
            results.append(shown)
    return batch_answer(desk, now, results, errors, success=201, partial=207)


def read_batch(desk: Desk, body: object) -> Answer:
    """POST batch/read, by record id, e-mail (additional ones too) or a unique property."""
    wanted = [id_of(entry) for entry in inputs_of(body)]
    request = object_of(body)
    by = request.get("idProperty") or "hs_object_id"
    keys = [key.lower() for key in wanted] if by == "email" else wanted
    refuse_duplicates(keys)
    names = names_to_read(request.get("properties"))
    found: dict[int, Contact] = {}
    missing = []
    for key in keys:
        contact = find(desk.portal, by, key)
        if contact is None:
            missing.append(key)
        else:
            found[contact.record_id] = contact
    results = [show(contact, names, desk.portal) for contact in found.values()]
    errors = [missing_records(missing)] if missing else []
    return batch_answer(desk, desk.portal.now(), results, errors, success=200, partial=None)


def update_batch(desk: Desk, body: object) -> Answer:
    """POST batch/update, by record id or a unique property (not by e-mail)."""
    portal, entries = desk.portal, []
    for entry in inputs_of(body):
        by = entry.get("idProperty") or "hs_object_id"
        if by == "email" or (by != "hs_object_id" and by not in portal.by_unique):
            raise bad_request(f"Unable to perform update/upsert by non-unique 0-1 property {by}")
        entries.append((id_of(entry), find(portal, by, id_of(entry)), values_of(entry)))
    refuse_duplicates([key for key, _, _ in entries])
    refuse_poison(desk, [fault_names(key, contact, values) for key, contact, values in entries])
    for _, contact, values in entries:
        check_values(portal, values, contact)
    now, results, errors = portal.now(), [], list[Json]()
    missing = [key for key, contact, _ in entries if contact is None]
    if missing:
        errors.append(missing_records(missing))
    for key, contact, values in entries:
        if contact is None:
            continue
        names = fault_names(key, contact, values)
        problem = desk.knobs.records.rejection_of(*names)
        if problem is not None:
            errors.append(record_error(invalid_properties([problem]), {"ids": [key]}))
            continue
        write(portal, contact, values, now)
        if not desk.knobs.records.swallows(*names):
            results.append(show_updated(contact, values))
    return batch_answer(desk, now, results, errors, success=200, partial=None)


def upsert_batch(desk: Desk, body: object) -> Answer:
    """POST batch/upsert, by e-mail (whole records only) or a unique property."""
    portal, entries = desk.portal, []
    for entry in inputs_of(body):
        by = entry.get("idProperty") or ""
        if by != "email" and by not in portal.by_unique:
            raise bad_request(f"Unable to perform update/upsert by non-unique 0-1 property {by}")
        key = id_of(entry).lower() if by == "email" else id_of(entry)
        entries.append((key, by, values_of({"properties": {by: key} | values_of(entry)})))
    refuse_duplicates([key for key, _, _ in entries])
    refuse_poison(desk, [(key, values.get("email") or "") for key, _, values in entries])
    for key, by, values in entries:
        contact = find(portal, by, key)
        check_values(portal, values, contact)
        if contact is not None and by == "email" and would_be_partial(portal, contact, values):
            raise bad_request(PARTIAL_UPSERT)
    now, results, errors = portal.now(), [], []
    for key, by, values in entries:
        contact = find(portal, by, key)
        problem = desk.knobs.records.rejection_of(key, values.get("email") or "")
        if problem is not None:
            errors.append(record_error(invalid_properties([problem]), {"ids": [key]}))
            continue
        is_new = contact is None
        if contact is None:
            contact = portal.add_contact(values | CONSTANTS, now=now)
            contact.writes = 1
            shown = show_created(contact, values)
        else:
            write(portal, contact, values, now)
            shown = show_updated(contact, values)
        if not desk.knobs.records.swallows(key, str(contact.record_id)):
            results.append({**shown, "new": is_new})
    return batch_answer(desk, now, results, errors, success=200, partial=None)


def archive_batch(desk: Desk, body: object) -> Answer:
    """POST batch/archive: 204 whether or not the records exist."""
    for key in [id_of(entry) for entry in inputs_of(body)]:
        contact = find(desk.portal, "hs_object_id", key)
        if contact is not None:
            desk.portal.remove_contact(contact)
    return Answer(204)


def gdpr_delete(desk: Desk, body: object) -> Answer:
    """POST gdpr-delete: for good, and the addresses can never be added again (known or not)."""
    request = object_of(body)
    if not request.get("objectId"):
        raise bad_request("Invalid input JSON: some required fields were not set: [objectId]")
    by = request.get("idProperty") or "hs_object_id"
    key = str(request["objectId"]).strip()
    contact = find(desk.portal, by, key.lower() if by == "email" else key)
    if contact is not None:
        emails = [contact.values.get("email", ""), *contact.extra_emails]
        desk.portal.blocked.update(email for email in emails if email)
        desk.portal.remove_contact(contact)
    elif by == "email":
        desk.portal.blocked.add(key.lower())
    else:
        raise not_found()
    return Answer(204)


def create_one(desk: Desk, body: object) -> Answer:
    """POST of one contact."""
    values = values_of(object_of(body))
    refuse_poison(desk, [(values.get("email") or "",)])
    refused = reason_not_to_create(desk, values, set())
    if refused is not None:
        raise RefusalError(refused)
    contact = desk.portal.add_contact(values | CONSTANTS, now=desk.portal.now())
    contact.writes = 1
    return Answer(201, show_created(contact, values))


def read_one(desk: Desk, key: str, query: Mapping[str, str]) -> Answer:
    """GET of one contact."""
    contact = find_one(desk, key, query)
    return Answer(200, show(contact, names_to_read(asked_names(query)), desk.portal))


def update_one(desk: Desk, key: str, body: object, query: Mapping[str, str]) -> Answer:
    """PATCH of one contact; by e-mail too, with ``idProperty``."""
    contact = find_one(desk, key, query)
    values = values_of(object_of(body))
    refuse_poison(desk, [fault_names(key, contact, values)])
    check_values(desk.portal, values, contact)
    write(desk.portal, contact, values, desk.portal.now())
    return Answer(200, show_updated(contact, values))


def archive_one(desk: Desk, key: str) -> Answer:
    """DELETE of one contact: 204 whether or not it exists."""
    return archive_batch(desk, {"inputs": [{"id": key}]})


def read_page(desk: Desk, query: Mapping[str, str]) -> Answer:
    """GET of all contacts, in pages by record id."""
    limit = min(int(query.get("limit", "10")), 100)
    after = int(query.get("after", "0"))
    names = names_to_read(asked_names(query))
    ids = sorted(key for key in desk.portal.contacts if key >= after)
    page = [show(desk.portal.contacts[key], names, desk.portal) for key in ids[:limit]]
    body: Json = {"results": page}
    if len(ids) > limit:
        body["paging"] = {"next": {"after": str(ids[limit]), "link": f"?after={ids[limit]}"}}
    return Answer(200, body)
