"""Which operation a request asks for, and which scope it needs.

HubSpot's dated paths differ from the v3 ones by their prefix only (``/crm/v3/objects/...`` is
``/crm/objects/2026-09/...``), so a path is taken apart once: area, version, and the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from . import contacts, lists, schema, search
from .answers import PORTAL_ID, Answer, Json, missing_scopes, not_found, object_of
from .faults import Knobs
from .portal import Portal
from .records import Desk

CONTACT_TYPES = frozenset({"contacts", "contact", "CONTACT", "CONTACTS", "0-1"})
_PATH = re.compile(
    r"/crm/(?:v3/(?P<old>objects|lists|properties|limits)"
    r"|(?P<area>objects|lists|properties|limits)/(?P<version>2026-03|2026-09))"
    r"(?P<rest>(?:/[^/]+)*)/?"
)
_ACCOUNT = re.compile(r"/account-info/(?:v3|2026-03|2026-09)/details/?")
_TOKEN_INFO = "/oauth/v2/private-apps/get/access-token-info"  # noqa: S105 - a path


@dataclass(frozen=True, slots=True)
class Request:
    """One API request, taken apart.

    Attributes:
        method: Upper case.
        path: Decoded, without the query.
        query: One text for each parameter; values of a repeated one are joined by commas.
        repeated: All values of each query parameter.
        body: Decoded JSON, or None.
        scopes: What the caller's token may do.
    """

    method: str
    path: str
    query: Mapping[str, str]
    repeated: Mapping[str, list[str]]
    body: object
    scopes: frozenset[str]


def is_search(path: str) -> bool:
    """Whether the request falls under the search limit instead of the ten-second one."""
    return path.rstrip("/").endswith("/search") and "/objects/" in path


def handle(request: Request, portal: Portal, knobs: Knobs) -> Answer:
    """Carry the request out."""
    if _ACCOUNT.fullmatch(request.path) and request.method == "GET":
        return _account()
    if request.path == _TOKEN_INFO and request.method == "POST":
        return _token_info(request, portal)
    match = _PATH.fullmatch(request.path)
    if match is None:
        raise not_found("Not Found")
    rest = tuple(match["rest"].split("/")[1:])
    area, version = match["old"] or match["area"], match["version"] or "v3"
    if area == "lists":
        return _lists(request, portal, knobs, rest)
    if area == "limits" and rest == ("custom-properties",) and request.method == "GET":
        return schema.custom_property_limits(portal)
    if rest and rest[0] in CONTACT_TYPES:
        if area == "objects":
            return _objects(request, Desk(portal, knobs, version), rest[1:])
        if area == "properties":
            return _properties(request, portal, rest[1:])
    raise not_found("Not Found")


def _objects(request: Request, desk: Desk, rest: tuple[str, ...]) -> Answer:
    body, query = request.body, request.query
    reads = request.method == "GET" or rest in {("batch", "read"), ("search",)}
    _need(request, "crm.objects.contacts.read" if reads else "crm.objects.contacts.write")
    match request.method, *rest:
        case "POST", "batch", "read":
            return contacts.read_batch(desk, body)
        case "POST", "batch", "create":
            return contacts.create_batch(desk, body)
        case "POST", "batch", "update":
            return contacts.update_batch(desk, body)
        case "POST", "batch", "upsert":
            return contacts.upsert_batch(desk, body)
        case "POST", "batch", "archive":
            return contacts.archive_batch(desk, body)
        case "POST", "search":
            return search.search_contacts(desk.portal, body)
        case "POST", "gdpr-delete":
            return contacts.gdpr_delete(desk, body)
        case ("POST",):
            return contacts.create_one(desk, body)
        case ("GET",):
            return contacts.read_page(desk, query)
        case "GET", key:
            return contacts.read_one(desk, key, query)
        case "PATCH", key:
            return contacts.update_one(desk, key, body, query)
        case "DELETE", key:
            return contacts.archive_one(desk, key)
    raise not_found("Not Found")


def _properties(request: Request, portal: Portal, rest: tuple[str, ...]) -> Answer:
    reads = request.method == "GET" or rest == ("batch", "read")
    if reads:
        _need(request, "crm.schemas.contacts.read", "crm.objects.contacts.read")
    else:
        _need(request, "crm.schemas.contacts.write")
    match request.method, *rest:
        case ("GET",):
            return schema.list_properties(portal)
        case ("POST",):
            return schema.create_property(portal, request.body)
        case "POST", "batch", "create":
            return schema.create_properties(portal, request.body)
        case "POST", "batch", "read":
            return schema.read_properties(portal, request.body)
        case "GET", "groups":
            return schema.list_groups(portal)
        case "POST", "groups":
            return schema.create_group(portal, request.body)
        case "GET", "groups", name:
            return schema.get_group(portal, name)
        case "GET", name:
            return schema.get_property(portal, name)
        case "PATCH", name:
            return schema.update_property(portal, name, request.body)
        case "DELETE", name:
            return schema.archive_property(portal, name)
    raise not_found("Not Found")


def _lists(request: Request, portal: Portal, knobs: Knobs, rest: tuple[str, ...]) -> Answer:
    body, query = request.body, request.query
    reads = request.method == "GET" or rest == ("search",)
    _need(request, "crm.lists.read" if reads else "crm.lists.write")
    match request.method, *rest:
        case ("POST",):
            return lists.create_list(portal, body)
        case ("GET",):
            return lists.get_lists(portal, knobs, request.repeated.get("listIds", []))
        case "POST", "search":
            return lists.search_lists(portal, body)
        case "GET", "object-type-id", "0-1", "name", name:
            return lists.get_list_by_name(portal, knobs, name)
        case "GET", "records", "0-1", record_id, "memberships":
            return lists.lists_of(portal, record_id)
        case "GET", list_id:
            return lists.get_list(portal, knobs, list_id)
        case "DELETE", list_id:
            return lists.delete_list(portal, list_id)
        case "PUT", list_id, "update-list-name":
            return lists.rename_list(portal, list_id, query)
        case "GET", list_id, "memberships":
            return lists.read_members(portal, knobs, list_id, query)
        case "DELETE", list_id, "memberships":
            return lists.clear_members(portal, knobs, list_id)
        case "PUT", list_id, "memberships", "add":
            return lists.change_members(portal, knobs, list_id, add=body, remove=[])
        case "PUT", list_id, "memberships", "remove":
            return lists.change_members(portal, knobs, list_id, add=[], remove=body)
        case "PUT", list_id, "memberships", "add-and-remove":
            both = object_of(body)
            return lists.change_members(
                portal,
                knobs,
                list_id,
                add=both.get("recordIdsToAdd", []),
                remove=both.get("recordIdsToRemove", []),
            )
    raise not_found("Not Found")


def _need(request: Request, *scopes: str) -> None:
    """Refuse unless the token has one of the scopes."""
    if request.scopes.isdisjoint(scopes):
        raise missing_scopes(scopes)


def _account() -> Answer:
    details: Json = {
        "portalId": PORTAL_ID,
        "accountType": "SANDBOX",
        "timeZone": "Europe/Berlin",
        "companyCurrency": "EUR",
        "additionalCurrencies": [],
        "utcOffset": "+01:00",
        "utcOffsetMilliseconds": 3_600_000,
        "uiDomain": "app-eu1.hubspot.com",
        "dataHostingLocation": "eu1",
    }
    return Answer(200, details)


def _token_info(request: Request, portal: Portal) -> Answer:
    """What the token named in the body may do; this is how a client learns its own scopes."""
    token = portal.tokens.get(str(object_of(request.body).get("tokenKey")))
    if token is None:
        raise not_found("Token not found")
    info: Json = {"userId": 1, "hubId": PORTAL_ID, "appId": 1, "scopes": sorted(token.scopes)}
    return Answer(200, info)
