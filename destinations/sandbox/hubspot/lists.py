"""Lists (the user interface calls them segments) and their members.

Only MANUAL and SNAPSHOT lists can be edited. Membership calls are idempotent and say what they
really did: ids that were on the list already are in none of the answer's three arrays. HubSpot
spells one of them ``recordsIdsAdded``.
"""

from __future__ import annotations

from collections.abc import Mapping

from .answers import Answer, Json, bad_request, not_found, object_of
from .faults import Knobs
from .portal import EDITABLE, ContactList, MemberChange, Portal

PROCESSING_TYPES = ("DYNAMIC", "MANUAL", "SNAPSHOT")
MAX_PAGE = 250


def create_list(portal: Portal, body: object) -> Answer:
    """POST of a list."""
    request = object_of(body)
    absent = [key for key in ("name", "objectTypeId", "processingType") if not request.get(key)]
    if absent:
        listed = ", ".join(absent)
        raise bad_request(f"Invalid input JSON: some required fields were not set: [{listed}]")
    if request["objectTypeId"] != "0-1":
        raise bad_request(f"Unsupported object type {request['objectTypeId']}")
    kind = request["processingType"]
    if kind not in PROCESSING_TYPES:
        raise bad_request(f"{kind} is not one of {', '.join(PROCESSING_TYPES)}")
    if kind == "DYNAMIC" and not request.get("filterBranch"):
        raise bad_request("A DYNAMIC list needs a filterBranch")
    return Answer(
        200,
        {"list": _show(add_list(portal, str(request["name"]), kind, request.get("filterBranch")))},
    )


def add_list(
    portal: Portal, name: str, processing_type: str, filter_branch: Json | None = None
) -> ContactList:
    """Store a new list; refused when a list of that name exists."""
    _refuse_taken(portal, name)
    now = portal.now()
    created = ContactList(portal.next_id(), name, processing_type, now, now, filter_branch)
    portal.lists[created.list_id] = created
    return created


def get_list(portal: Portal, knobs: Knobs, list_id: str) -> Answer:
    """GET of one list by id."""
    return Answer(200, {"list": _settled(portal, knobs, find_list(portal, list_id))})


def get_lists(portal: Portal, knobs: Knobs, list_ids: list[str]) -> Answer:
    """GET of several lists by id; unknown ones are left out."""
    found = [portal.lists.get(int(each)) for each in list_ids if each.isdecimal()]
    return Answer(200, {"lists": [_settled(portal, knobs, each) for each in found if each]})


def get_list_by_name(portal: Portal, knobs: Knobs, name: str) -> Answer:
    """GET of one list by name; case does not matter."""
    return Answer(200, {"list": _settled(portal, knobs, find_by_name(portal, name))})


def rename_list(portal: Portal, list_id: str, query: Mapping[str, str]) -> Answer:
    """PUT update-list-name."""
    found = find_list(portal, list_id)
    name = query.get("listName", "")
    if not name:
        raise bad_request("listName is required")
    if name.lower() != found.name.lower():
        _refuse_taken(portal, name)
    found.name, found.updated_at = name, portal.now()
    return Answer(200, {"updatedList": _show(found)})


def delete_list(portal: Portal, list_id: str) -> Answer:
    """DELETE of a list; its members stay contacts."""
    del portal.lists[find_list(portal, list_id).list_id]
    return Answer(204)


def search_lists(portal: Portal, body: object) -> Answer:
    """POST search: by part of the name, ids and processing types."""
    asked = object_of(body)
    query, count = str(asked.get("query", "")).lower(), int(asked.get("count", 20))
    offset = int(asked.get("offset", 0))
    ids = {str(each) for each in asked.get("listIds") or []}
    kinds = set(asked.get("processingTypes") or PROCESSING_TYPES)
    found = [
        each
        for each in portal.lists.values()
        if query in each.name.lower()
        and each.processing_type in kinds
        and (not ids or str(each.list_id) in ids)
    ]
    page = found[offset : offset + count]
    return Answer(
        200,
        {
            "total": len(found),
            "offset": offset + len(page),
            "hasMore": offset + len(page) < len(found),
            "lists": [
                _show(each) | {"additionalProperties": {"hs_list_size": str(len(each.visible))}}
                for each in page
            ],
        },
    )


def read_members(portal: Portal, knobs: Knobs, list_id: str, query: Mapping[str, str]) -> Answer:
    """GET memberships, in pages of at most 250 by record id."""
    found = find_list(portal, list_id)
    _settle(portal, knobs, found)
    limit = int(query.get("limit", "100"))
    if not 1 <= limit <= MAX_PAGE:
        raise bad_request(f"limit must be between 1 and {MAX_PAGE}")
    after = int(query.get("after", "0"))
    ids = sorted(key for key in found.visible if key > after)
    page = ids[:limit]
    body: Json = {
        "total": len(found.visible),
        "results": [
            {"recordId": str(key), "membershipTimestamp": found.visible[key]} for key in page
        ],
    }
    if len(ids) > limit:
        body["paging"] = {"next": {"after": str(page[-1]), "link": f"?after={page[-1]}"}}
    for change in found.pending:
        change.reads -= 1
    return Answer(200, body)


def change_members(
    portal: Portal, knobs: Knobs, list_id: str, *, add: object, remove: object
) -> Answer:
    """PUT add, remove or add-and-remove."""
    found = find_list(portal, list_id)
    if found.processing_type not in EDITABLE:
        raise bad_request(
            f"List {list_id} has processing type {found.processing_type}; only members of "
            "MANUAL and SNAPSHOT lists can be changed",
            sub_category="ILS.INVALID_PROCESSING_TYPE",
        )
    to_add, to_remove = _ids(add), _ids(remove)
    missing = [key for key in [*to_add, *to_remove] if key not in portal.contacts]
    gone = set(missing)
    added = [key for key in to_add if key not in gone and key not in found.members]
    removed = [key for key in to_remove if key not in gone and key in found.members]
    apply_members(portal, knobs, found, added, removed)
    for key in [*added, *removed]:
        portal.contacts[key].member_writes += 1
    body: Json = {
        "recordsIdsAdded": [str(key) for key in added],
        "recordIdsRemoved": [str(key) for key in removed],
        "recordIdsMissing": [str(key) for key in missing],
    }
    if knobs.omit_empty:
        body = {name: ids for name, ids in body.items() if ids}
    return Answer(200, body)


def apply_members(
    portal: Portal, knobs: Knobs, found: ContactList, added: list[int], removed: list[int]
) -> None:
    """Change the members; reads see it once the portal's lag is over."""
    now = portal.now()
    for key in added:
        found.members[key] = now
    for key in removed:
        found.members.pop(key, None)
    if added or removed:
        found.updated_at = now
        found.pending.append(
            MemberChange(portal.clock(), knobs.membership_lag_reads, added, removed)
        )
    _settle(portal, knobs, found)


def clear_members(portal: Portal, knobs: Knobs, list_id: str) -> Answer:
    """DELETE memberships: everybody leaves."""
    members = find_list(portal, list_id).members
    change_members(portal, knobs, list_id, add=[], remove=list(members))
    return Answer(204)


def lists_of(portal: Portal, record_id: str) -> Answer:
    """GET the lists that a record is on."""
    key = int(record_id) if record_id.isdecimal() else -1
    results = [
        {
            "listId": str(each.list_id),
            "listVersion": 1,
            "isPublicList": False,
            "firstAddedTimestamp": each.visible[key],
            "lastAddedTimestamp": each.visible[key],
        }
        for each in portal.lists.values()
        if key in each.visible
    ]
    return Answer(200, {"total": len(results), "results": results})


def find_list(portal: Portal, list_id: str) -> ContactList:
    """The list of that id; 404 when there is none."""
    found = portal.lists.get(int(list_id)) if list_id.isdecimal() else None
    if found is None:
        raise not_found(
            f"List does not exist with ID {list_id}.", sub_category="ILS.LIST_NOT_FOUND"
        )
    return found


def find_by_name(portal: Portal, name: str) -> ContactList:
    """The list of that name, whatever its case; 404 when there is none."""
    found = _named(portal, name)
    if found is None:
        raise not_found(f"List does not exist with name {name}.", sub_category="ILS.LIST_NOT_FOUND")
    return found


def _named(portal: Portal, name: str) -> ContactList | None:
    wanted = name.lower()
    return next((each for each in portal.lists.values() if each.name.lower() == wanted), None)


def _refuse_taken(portal: Portal, name: str) -> None:
    if _named(portal, name) is not None:
        raise bad_request(
            f"A list already exists with name '{name}'.", sub_category="ILS.DUPLICATE_LIST_NAMES"
        )


def _ids(raw: object) -> list[int]:
    """Record ids of a request, each once, in order."""
    if not isinstance(raw, list) or not all(str(each).isdecimal() for each in raw):
        raise bad_request("Invalid input JSON: expected an array of record ids")
    return list(dict.fromkeys(int(each) for each in raw))


def _settle(portal: Portal, knobs: Knobs, found: ContactList) -> None:
    """Let reads see the changes whose lag is over, oldest first."""
    horizon = portal.clock() - knobs.membership_lag_s
    while found.pending and found.pending[0].at <= horizon and found.pending[0].reads <= 0:
        change = found.pending.popleft()
        for key in change.added:
            if key in portal.contacts:
                found.visible[key] = found.members.get(key, found.updated_at)
        for key in change.removed:
            found.visible.pop(key, None)


def _settled(portal: Portal, knobs: Knobs, found: ContactList) -> Json:
    _settle(portal, knobs, found)
    return _show(found)


def _show(found: ContactList) -> Json:
    shown: Json = {
        "listId": str(found.list_id),
        "listVersion": 1,
        "name": found.name,
        "objectTypeId": "0-1",
        "processingType": found.processing_type,
        "processingStatus": "COMPLETE",
        "size": len(found.visible),
        "createdAt": found.created_at,
        "updatedAt": found.updated_at,
    }
    if found.filter_branch is not None:
        shown["filterBranch"] = found.filter_branch
        shown["filtersUpdatedAt"] = found.created_at
    return shown
